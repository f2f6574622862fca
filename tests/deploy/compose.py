#!/usr/bin/env python3
"""deploy/compose.yaml: it parses, and what it sets and calls exists."""

import os
import re
import subprocess
from pathlib import Path

import yaml

import tap

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
