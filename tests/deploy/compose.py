#!/usr/bin/env python3
"""deploy/compose.yaml: it parses, and what it sets and calls exists."""

import os
import re
import subprocess
from pathlib import Path

import yaml

import tap
from world import free_port, wait_for

ROOT = Path(os.environ["TEST_ROOT"])
BIN = Path(os.environ["TEST_BIN"])


def known_settings():
    """The names that pixverse-worker --help prints."""
    text = subprocess.run([BIN / "pixverse-worker", "--help"], check=True,
                          capture_output=True, text=True).stdout
    return set(re.findall(r"^\s+([A-Z][A-Z0-9_]+)\b", text, re.M))


def main():
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    services = compose["services"]
    tap.equal(sorted(services), ["console", "ctl", "kafka", "migrate", "postgres", "sim", "worker"],
              "the services are those of the trial")

    known = known_settings()
    tap.check("KAFKA_BROKERS" in known and "DATABASE_URL" in known,
              "--help names the settings", known)
    for name in ("worker", "migrate", "ctl", "console"):
        odd = [key for key in services[name]["environment"]
               if key not in known and not key.startswith("KAFKA_CONF_")]
        tap.equal(odd, [], f"{name}: every setting is one that the worker knows")

    worker = services["worker"]
    tap.equal(worker["stop_grace_period"], "60s", "a worker gets 60 s to drain")
    tap.check("container_name" not in worker and "ports" not in worker,
              "nothing keeps a second worker from being started")
    volumes = set(compose["volumes"])
    for name, service in services.items():
        used = {v.split(":")[0] for v in service.get("volumes", [])}
        tap.equal(used - volumes, set(), f"{name}: its volumes are declared")
        for other in service.get("depends_on", {}):
            tap.check(other in services, f"{name}: {other} is a service")
    folder = worker["environment"]["STORAGE_URL"].removeprefix("file://")
    tap.check(f"videos:{folder}" in worker["volumes"], "videos go to the shared volume")
    dockerfile = (ROOT / "Dockerfile").read_text()
    tap.check(folder in dockerfile, "the image makes that folder for its user")
    console = services["console"]
    tap.check(all(p.startswith("127.0.0.1:") for p in console["ports"]),
              "the console is this machine's alone", console["ports"])
    mounted = {c["source"]: c["target"] for c in console["configs"]}
    tap.check(mounted["console-token"] in console["command"]
              and len(compose["configs"]["console-token"]["content"]) >= 16,
              "it has a token that it takes", console["command"])
    for name in ("sim", "ctl", "console"):
        command = services[name]["entrypoint"][0]
        tap.check((BIN / Path(command).name).exists(), f"{name}: {command} is one of ours")
    check_environment(worker["environment"])
    check_health(services, dockerfile)


def check_health(services, dockerfile):
    """`up --wait` waits for what has a health check, and for the end of what another
    service wants completed; of all else it only knows that it was started."""
    wanted = {(name, condition["condition"]) for service in services.values()
              for name, condition in service.get("depends_on", {}).items()}
    for name, service in services.items():
        if "profiles" in service:
            continue
        ends = (name, "service_completed_successfully") in wanted
        tap.check(ends != ("test" in service.get("healthcheck", {})),
                  f"{name}: --wait knows when it is up" if not ends
                  else f"{name}: --wait waits for its end")
        tap.check((name, "service_started") not in wanted,
                  f"{name}: nobody begins when it is merely started")
    tap.equal(services["worker"]["healthcheck"]["test"],
              ["CMD", "/usr/local/bin/pixverse-worker", "health", "--ready"],
              "a worker is up when it is ready")
    tap.check("HEALTHCHECK" in dockerfile and '"health"]' in dockerfile,
              "the image brings a probe of its own")
    for name, flag, words in (("sim", "--listen", services["sim"]["entrypoint"]),
                              ("console", "--listen", services["console"]["command"])):
        port = words[words.index(flag) + 1].rpartition(":")[2]
        asked = services[name]["healthcheck"]["test"][-1]
        tap.check(asked.endswith(f"/127.0.0.1/{port}"), f"{name}: its probe asks its port", asked)
    check_tcp_probe(services["sim"])


def check_tcp_probe(sim):
    """The probe of what has no command of its own for it, as it stands."""
    new, words = str(free_port()), list(sim["entrypoint"][1:])
    probe = [word.replace("/8080", "/" + new) for word in sim["healthcheck"]["test"][1:]]
    tap.check(subprocess.run(probe, capture_output=True, check=False).returncode != 0,
              "where nobody listens the probe fails")
    words[words.index("--listen") + 1] = f"127.0.0.1:{new}"
    with subprocess.Popen([BIN / "pixverse-sim", *words], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as program:
        try:
            wait_for(lambda: subprocess.run(probe, capture_output=True, check=False)
                     .returncode == 0, 20, "the simulator's probe")
            tap.check(True, "where the simulator listens it succeeds")
        finally:
            program.terminate()


def check_environment(environment):
    """The worker reads these settings without complaint of any setting."""
    done = subprocess.run([BIN / "pixverse-worker", "version"], env={**environment},
                          capture_output=True, text=True)
    tap.equal(done.returncode, 0, "pixverse-worker version runs under these settings")
    done = subprocess.run(
        [BIN / "pixverse-worker", "check"],
        env={**environment, "DATABASE_URL": "postgresql://127.0.0.1:1/x?connect_timeout=1",
             "KAFKA_BROKERS": "127.0.0.1:1", "APIMART_BASE_URL": "http://127.0.0.1:1"},
        capture_output=True, text=True, timeout=120)
    tap.equal(done.returncode, 1,
              "check finds no wrong setting (2), but what is away (1)")


if __name__ == "__main__":
    tap.run(main)
