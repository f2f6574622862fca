#!/usr/bin/env python3
# tests/run: postgres kafka
"""deploy/kubernetes: what it sets, mounts, asks and names exists: settings, probes, the
image's user."""

import json
import os
from pathlib import Path

import tap
import yaml
from compose import known_settings
from world import World, fetch

ROOT = Path(os.environ["TEST_ROOT"])
KUBERNETES = ROOT / "deploy/kubernetes"


def documents():
    """kind -> its documents, of all manifests."""
    found = {}
    for file in sorted(KUBERNETES.glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            found.setdefault(document["kind"], []).append(document)
    return found


def settings_of(container):
    lines = (KUBERNETES / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#")) | {
        e["name"]: e["value"] for e in container["env"]}


def check_pod(name, pod, secret_keys):
    container = pod["containers"][0]
    environment = settings_of(container)
    known = known_settings()
    odd = [key for key in environment if key.removesuffix("_FILE") not in known]
    tap.equal(odd, [], f"{name}: every setting is one that the worker knows")
    mounted = {m["mountPath"] for m in container["volumeMounts"]}
    files = [Path(value) for key, value in environment.items() if key.endswith("_FILE")]
    tap.equal([f for f in files if str(f.parent) not in mounted or f.name not in secret_keys],
              [], f"{name}: every secret's file is one of the Secret's")
    dockerfile = (ROOT / "Dockerfile").read_text()
    user = f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    tap.check(user in dockerfile, f"{name}: it runs as the image's user", user)
    tap.check(container["securityContext"]["readOnlyRootFilesystem"],
              f"{name}: its root file system is read-only")
    return container, environment


def check_kubernetes(worker_paths):
    found = documents()
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    tap.equal([f for f in listed if not (KUBERNETES / f).exists()], [],
              "what is listed is there")
    secret_keys = set(found["Secret"][0]["stringData"])
    job = found["Job"][0]["spec"]["template"]["spec"]
    container, _ = check_pod("migrate", job, secret_keys)
    tap.equal(container["args"], ["migrate"], "the job migrates")

    named = {d["metadata"]["name"]: d["spec"] for d in found["Deployment"]}
    console = named["pixverse-console"]["template"]["spec"]
    container, _ = check_pod("console", console, secret_keys)
    token = Path(container["args"][container["args"].index("--auth-token-file") + 1])
    tap.check(token.name in secret_keys and str(token.parent) == "/run/secrets/pixverse",
              "the console's token is one of the Secret's", token)
    tap.equal(found["Service"][0]["spec"]["selector"],
              named["pixverse-console"]["template"]["metadata"]["labels"],
              "its Service selects it")

    deployment = named["pixverse-worker"]
    pod = deployment["template"]["spec"]
    container, environment = check_pod("worker", pod, secret_keys)
    tap.check(pod["terminationGracePeriodSeconds"] * 1000 > int(environment["DRAIN_MS"]),
              "a worker has longer than DRAIN_MS to end")
    probes = {container[p]["httpGet"]["path"] for p in ("livenessProbe", "readinessProbe")}
    tap.check(probes <= worker_paths, "the probes are answered", probes)
    labels = deployment["template"]["metadata"]["labels"]
    for kind, of in (("Deployment", lambda d: d["spec"]["selector"]["matchLabels"]),
                     ("PodDisruptionBudget", lambda d: d["spec"]["selector"]["matchLabels"]),
                     ("Service", lambda d: d["spec"]["selector"])):
        tap.check(any(of(one) == labels for one in found[kind]), f"{kind}: it selects the workers")
    return found["ScaledObject"][0]["spec"]["triggers"]


def main():
    with World() as world:
        worker = world.workers[0]
        world.send({"request_id": "a", "request": {"prompt": "x"}})
        world.flush()
        world.event("a")
        paths = {p for p in ("/healthz", "/readyz", "/metrics", "/scale")
                 if fetch(worker.admin + p)[0] == 200}
        scale = json.loads(fetch(worker.admin + "/scale")[1])
    triggers = check_kubernetes(paths)
    asked = {t["metadata"]["valueLocation"] for t in triggers}
    tap.check(asked <= set(scale), "what scaling asks for is told", asked, scale)


if __name__ == "__main__":
    tap.run(main)
