#!/usr/bin/env python3
# tests/run: timeout=1500
"""deploy/helm: helm lints it, what it makes of several sets of values fits the schemas
of Kubernetes, KEDA and Prometheus' operator, and it says what the kustomization says."""

import copy
import os
import re
import subprocess
from pathlib import Path

import jsonschema
import yaml

import languages
import tap
from compose import known_settings

ROOT = Path(os.environ["TEST_ROOT"])
TMP = Path(os.environ["TEST_TMP"])
CHART = ROOT / "deploy/helm"
KUBERNETES = ROOT / "deploy/kubernetes"
HELM = "helm.sh/helm/v3/cmd/helm@v3.19.0"
CRDS = {"ScaledObject": ("github.com/kedacore/keda/v2@v2.18.0",
                         "config/crd/bases/keda.sh_scaledobjects.yaml"),
        "ServiceMonitor": ("github.com/prometheus-operator/prometheus-operator@v0.85.0",
                           "example/prometheus-operator-crd/"
                           "monitoring.coreos.com_servicemonitors.yaml")}
RELEASES = ("1.25.0", "1.37.0")  # the oldest that Chart.yaml takes, and a new one

FOLDER = {"settings": {"STORAGE_URL": "file:///var/lib/pixverse/videos"}}
SETS = {
    "nothing": {},
    "keda, operator and policy": {
        "keda": {"enabled": True, "tasksPerWorker": 20000000},
        "serviceMonitor": {"enabled": True, "labels": {"release": "monitoring"}},
        "networkPolicy": {"enabled": True}},
    "hpa, a folder, an ingress": {
        **FOLDER, "videos": {"existingClaim": "videos"}, "autoscaling": {"enabled": True},
        "console": {"hosts": ["films.example.com"], "allowOrders": True,
                    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "films"}}},
    "all that can be said": {
        "image": {"digest": "sha256:" + "ab" * 32}, "imagePullSecrets": [{"name": "pull"}],
        "settings": {"KAFKA_CONF_SECURITY_PROTOCOL": "SASL_SSL", "AWS_REGION": "eu-central-1",
                     "VIDEO_MAX_BYTES": "4294967296"},
        "secrets": {"settings": {"KAFKA_CONF_SASL_PASSWORD": "kafka-password"}},
        "extraEnv": [{"name": "X", "value": "z"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ours"}],
        "podAnnotations": {"a": "b"}, "podLabels": {"c": "d"}, "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "priorityClassName": "high",
        "serviceAccount": {"name": "films", "annotations": {"role": "films"}},
        "migrate": {"topics": False, "serviceAccountName": "films", "activeDeadlineSeconds": 600},
        "pdb": {"maxUnavailable": "25%"}, "serviceMonitor": {"enabled": True},
        "networkPolicy": {"enabled": True, "consoleFrom": [{"podSelector": {}}],
                          "adminFrom": [], "egress": [{"to": [{"podSelector": {}}]}]}},
    "as little as can be": {
        "replicas": 1, "pdb": {"enabled": False}, "console": {"enabled": False},
        "migrate": {"enabled": False}, "serviceAccount": {"create": False},
        "networkPolicy": {"enabled": True}},
}

WRONG = {  # what is wrong -> values, what the complaint names
    "a value that is none": ({"replica": 3}, "replica"),
    "a value that is none, deep inside": ({"console": {"ingress": {"host": "x"}}}, "host"),
    "a setting that is none": ({"settings": {"TASK_MAX": "3"}}, "TASK_MAX"),
    "a setting that is no text": ({"settings": {"TASKS_MAX": 10000000}}, "TASKS_MAX"),
    "a digest of another form": ({"image": {"digest": "latest"}}, "digest"),
    "a secret in the place of its name": ({"secrets": {"existingSecret": "sk-A b"}},
                                          "existingSecret"),
    "no worker may ever be moved": ({"pdb": {"maxUnavailable": 0}}, "maxUnavailable"),
    "two that scale": ({"keda": {"enabled": True}, "autoscaling": {"enabled": True}},
                       "autoscaling.enabled"),
    "less time than a drain takes": ({"terminationGracePeriodSeconds": 55}, "DRAIN_MS"),
    "a folder of one pod": (FOLDER, "videos.existingClaim"),
    "another port than is probed": ({"settings": {"ADMIN_LISTEN": "0.0.0.0:80"}}, "9464"),
    "an ingress without a name": ({"console": {"ingress": {"enabled": True}}}, "console.hosts"),
}


def helm(*words):
    return subprocess.run([HELM_COMMAND, *map(str, words)], capture_output=True, text=True,
                          check=False, timeout=60)


def values_file(values):
    file = TMP / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def template(values, release=RELEASES[-1]):
    return helm("template", "films", CHART, "--namespace", "video", "--kube-version", release,
                "-f", values_file(values))


def rendered(values):
    done = template(values)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [d for d in yaml.safe_load_all(done.stdout) if d]


def of_kind(documents, kind, end=""):
    return next((d for d in documents
                 if d["kind"] == kind and d["metadata"]["name"].endswith(end)), None)


def strict(schema):
    """A CRD's schema that takes no property it does not name."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            strict(part)
    elif isinstance(schema, list):
        for part in schema:
            strict(part)


def crd_schemas():
    found = {}
    for kind, (module, path) in CRDS.items():
        crd = yaml.safe_load((languages.go_module(module) / path).read_text())
        for version in crd["spec"]["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"] = {"type": "object"}
            strict({k: v for k, v in schema["properties"].items() if k != "metadata"})
            found[kind, f"{crd['spec']['group']}/{version['name']}"] = schema
    return found


def faults_of(documents, schemas, validator, release):
    """What the schemas say against documents."""
    faults, folder = [], TMP / "documents"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for i, document in enumerate(documents):
        schema = schemas.get((document["kind"], document["apiVersion"]))
        if schema:
            faults += [f"{document['kind']}: {e.json_path}: {e.message[:200]}" for e in
                       jsonschema.Draft202012Validator(schema).iter_errors(document)]
        else:
            (folder / f"{i}.yaml").write_text(yaml.safe_dump(document))
    done = subprocess.run([validator, "--strict", "--quiet", "-k", release.rpartition(".")[0],
                           *sorted(folder.iterdir())], capture_output=True, text=True, check=False)
    if done.returncode:
        faults.append((done.stdout + done.stderr)[:1500])
    return faults


def pods(documents):
    return [(d["metadata"]["name"], d["spec"]["template"]["spec"])
            for d in documents if d["kind"] in ("Deployment", "Job")]


def check_pods(name, documents):
    known = known_settings() | {"X"}
    for pod_name, pod in pods(documents):
        container, security = pod["containers"][0], pod["securityContext"]
        names = [e["name"] for e in container["env"]]
        odd = [n for n in names if n.removesuffix("_FILE") not in known
               and not n.startswith(("KAFKA_CONF_", "AWS_"))]
        tap.equal((odd, len(set(names))), ([], len(names)),
                  f"{name}: {pod_name}: settings are known and said once", names)
        mounted = {m["mountPath"] for m in container["volumeMounts"]}
        files = [Path(e["value"]) for e in container["env"] if e["name"].endswith("_FILE")]
        tap.check(files and all(str(f.parent) in mounted for f in files),
                  f"{name}: {pod_name}: secrets' files are mounted", files)
        tap.equal((security["runAsUser"], security["runAsNonRoot"],
                   container["securityContext"]["readOnlyRootFilesystem"],
                   container["securityContext"]["capabilities"]),
                  (10001, True, True, {"drop": ["ALL"]}),
                  f"{name}: {pod_name}: it has no right that it doesn't need")
    labels = [d["spec"]["template"]["metadata"]["labels"] for d in documents
              if d["kind"] in ("Deployment", "Job")]
    for d in documents:
        spec = d.get("spec", {})
        selector = {"Service": lambda s: s["selector"],
                    "NetworkPolicy": lambda s: s["podSelector"]["matchLabels"],
                    "PodDisruptionBudget": lambda s: s["selector"]["matchLabels"],
                    "Deployment": lambda s: s["selector"]["matchLabels"]}.get(d["kind"])
        if selector and not (d["kind"] == "NetworkPolicy"
                             and d["metadata"]["name"].endswith("-migrate")):
            hits = sum(selector(spec).items() <= one.items() for one in labels)
            tap.equal(hits, 1, f"{name}: {d['kind']} {d['metadata']['name']}: it selects one kind "
                               "of pod")


def check_kustomization(schemas, validator):
    """Both say the same of what both have."""
    raw = [d for file in sorted(KUBERNETES.glob("*.yaml")) if file.name != "kustomization.yaml"
           for d in yaml.safe_load_all(file.read_text())]
    for release in RELEASES:
        tap.equal(faults_of(raw, schemas, validator, release), [],
                  f"the kustomization's files fit the schemas of {release}")
    ours = rendered({"keda": {"enabled": True}, "replicas": 2})
    settings = dict(line.split("=", 1) for line in
                    (KUBERNETES / "settings.env").read_text().splitlines()
                    if line and not line.startswith("#"))
    tap.equal(yaml.safe_load((CHART / "values.yaml").read_text())["settings"], settings,
              "the chart's settings are those of settings.env")
    for kind, end in (("Deployment", "-worker"), ("Deployment", "-console"), ("Job", "-migrate")):
        theirs, mine = (copy.deepcopy(of_kind(all_of, kind, end)["spec"]["template"]["spec"])
                        for all_of in (raw, ours))
        for pod in (theirs, mine):
            container = pod["containers"][0]
            pod["env"] = sorted((e["name"], e["value"]) for e in container.pop("env")
                                if e["name"] not in settings)
            for key in ("image", "imagePullPolicy", "envFrom"):
                container.pop(key, None)
            for key in ("serviceAccountName", "topologySpreadConstraints"):
                pod.pop(key, None)
        if kind == "Job":
            mine["containers"][0].pop("resources")
        tap.equal(mine, theirs, f"{kind} {end[1:]}: its pod is that of the kustomization")
    for kind, part in (("ScaledObject", lambda s: [s["minReplicaCount"], s["maxReplicaCount"],
                                                   s["cooldownPeriod"]] +
                        [(t["metadata"]["valueLocation"], t["metadata"]["targetValue"],
                          t["metadata"]["url"].rpartition(":")[2]) for t in s["triggers"]]),
                       ("PodDisruptionBudget", lambda s: s["maxUnavailable"])):
        tap.equal(part(of_kind(ours, kind)["spec"]), part(of_kind(raw, kind)["spec"]),
                  f"{kind}: it is that of the kustomization")


def leaves(values, before=""):
    for key, value in values.items():
        if isinstance(value, dict) and value and before + key not in ("settings", "resources") \
                and key != "resources":
            yield from leaves(value, f"{before}{key}.")
        else:
            yield before + key


def check_told():
    told = re.findall(r"^\| `([\w.]+)` \|", (CHART / "README.md").read_text(), re.M)
    tap.equal(told, list(leaves(yaml.safe_load((CHART / "values.yaml").read_text()))),
              "README has a row for each value, in their order")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r"project\(.* VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    tap.equal((chart["version"], chart["appVersion"]), (version, version),
              "the chart has the worker's version")


def check_behaviour():
    documents = rendered(SETS["all that can be said"])
    worker = of_kind(documents, "Deployment", "-worker")["spec"]["template"]["spec"]
    env = {e["name"]: e["value"] for e in worker["containers"][0]["env"]}
    tap.equal((env["KAFKA_CONF_SASL_PASSWORD_FILE"], env["VIDEO_MAX_BYTES"]),
              ("/run/secrets/pixverse/kafka-password", "4294967296"),
              "a secret is named by its file, and a number is what was written")
    tap.check(worker["containers"][0]["image"].endswith("@sha256:" + "ab" * 32),
              "a digest goes before a tag")
    job = of_kind(documents, "Job")
    tap.equal((job["metadata"]["annotations"]["helm.sh/hook"],
               job["spec"]["template"]["spec"]["containers"][0]["args"]),
              ("pre-install,pre-upgrade", ["migrate", "--no-topics"]),
              "the tables come before the workers of a version")
    scaled = rendered(SETS["keda, operator and policy"])
    tap.check("replicas" not in of_kind(scaled, "Deployment", "-worker")["spec"],
              "where something scales, an upgrade does not set the number back")
    tap.equal(of_kind(scaled, "ScaledObject")["spec"]["triggers"][0]["metadata"],
              {"url": "http://films-pixverse-worker.video.svc:9464/scale",
               "valueLocation": "queued", "targetValue": "20000000"},
              "KEDA asks the release's own Service")
    kinds = {d["kind"] for d in rendered(SETS["as little as can be"])}
    tap.equal(kinds, {"Deployment", "Service", "NetworkPolicy"},
              "what is switched off is not there")


def main():
    validator = languages.from_pypi("kubernetes-validate", "kubernetes-validate==1.37.0") \
        / "kubernetes-validate"
    schemas = crd_schemas()
    for name, values in SETS.items():
        done = helm("lint", "--strict", CHART, "-f", values_file(values), "--kube-version",
                    RELEASES[-1])
        tap.equal(done.returncode, 0, f"{name}: helm lint finds nothing",
                  done.stdout + done.stderr)
        documents = rendered(values)
        for release in RELEASES:
            tap.equal(faults_of(documents, schemas, validator, release), [],
                      f"{name}: it fits the schemas of {release}")
        check_pods(name, documents)
    broken = rendered(SETS["keda, operator and policy"])
    of_kind(broken, "ScaledObject")["spec"]["minReplicas"] = 1
    of_kind(broken, "Service")["spec"]["port"] = 1
    tap.equal(len(faults_of(broken, schemas, validator, RELEASES[-1])), 2,
              "the schemas would have said something")
    for name, (values, named) in WRONG.items():
        done = template(values)
        tap.check(done.returncode != 0 and named in done.stderr, f"refused: {name}", done.stderr)
    check_behaviour()
    check_kustomization(schemas, validator)
    check_told()


if __name__ == "__main__":
    HELM_COMMAND = languages.go_command("helm", HELM)
    tap.run(main)
