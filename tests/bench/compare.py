"""tests/bench/run --peers: our worker beside whole workers in other languages. Each row
of the comparison is measured in turns, round after round, each time in a world of its
own with the same servers; every measurement is a raw line in results/raw.jsonl, and
report.py makes the table and the plots of them. peers/README.md says what is equal."""

import argparse
import itertools
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import report
from check import check
from fronted import Fronted
from rows import ROWS
from subjects import BUILT, SUBJECTS, Arena
from world import ROOT, Late

RAW = report.RESULTS / "raw.jsonl"


def options():
    p = argparse.ArgumentParser(prog="tests/bench/run")
    p.add_argument("--peers", action="store_true", required=True)
    p.add_argument("--check", action="store_true")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--only", default="")
    p.add_argument("--subjects", default=",".join(SUBJECTS))
    p.add_argument("--rounds", type=int, default=0)
    p.add_argument("--note", default="", help="said beside these results, as: a busy machine")
    asked = p.parse_args()
    asked.only = [n for n in asked.only.split(",") if n]
    for name in asked.only:
        if name not in ROWS:
            p.error(f"no row {name}, there are: {' '.join(ROWS)}")
    asked.subjects = [n for n in asked.subjects.split(",") if n]
    for name in asked.subjects:
        if name not in SUBJECTS:
            p.error(f"no subject {name}, there are: {' '.join(SUBJECTS)}")
    return asked


# --- what is told beside the numbers ------------------------------------------


def text_of(*words):
    try:
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=30)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return ""


def locked(path, pattern, names):
    """Versions of libraries, as a lock file has them: {name: version}."""
    text = Path(path).read_text()
    found = {name: re.search(pattern.format(re.escape(name)), text) for name in names}
    return {name: match[1] for name, match in found.items() if match}


def machine():
    """Where this was measured: hardware and versions, no names."""
    cpu = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1048576 + 1
    versions = {
        "commit": text_of("git", "rev-parse", "--short", "HEAD"),
        "kernel": platform.release().split("-")[0],
        "postgres": text_of("bash", "-c", ". deploy/lib/parts.sh; "
                            "$(parts_postgres_bin)/postgres -V | cut -d ' ' -f 3"),
        "gcc": text_of("gcc", "-dumpfullversion"),
        "librdkafka": text_of("pkg-config", "--modversion", "rdkafka"),
        "libcurl": text_of("pkg-config", "--modversion", "libcurl"),
        "nghttp2": text_of("pkg-config", "--modversion", "libnghttp2"),
        "openssl": text_of("pkg-config", "--modversion", "openssl"),
    }
    for name in ("go", "rust"):
        file = BUILT / name / "version"
        if file.exists():
            versions[name] = file.read_text().split(" (")[0].removeprefix("rustc").strip()
    peers = ROOT / "tests/bench/peers"
    versions |= locked(peers / "go/go.mod", r"{} v(\S+)",
                       ("github.com/twmb/franz-go", "github.com/jackc/pgx/v5"))
    versions |= locked(peers / "rust/Cargo.lock", 'name = "{}"\nversion = "([^"]+)"',
                       ("h2", "hyper", "rdkafka", "rdkafka-sys", "rustls", "tokio",
                        "tokio-postgres"))
    return {"cpu": cpu[0] if cpu else platform.machine(), "cores": len(cpu),
            "memory_gb": memory, "versions": versions}


# --- one measurement ----------------------------------------------------------


def measure(name, subject, asked, turn):
    """The raw line of one subject's turn; None where it can't be."""
    began = time.monotonic()
    line = {"row": name, "subject": subject.name, "round": turn, "quick": asked.quick}
    try:
        line |= ROWS[name].run(subject, asked.quick)
    except (Late, RuntimeError) as error:
        line |= {"void": f"not done: {str(error)[:300]}", "metrics": {}}
    line["took_s"] = round(time.monotonic() - began, 1)
    line["load"] = round(os.getloadavg()[0], 1)
    return line


def tell(line):
    numbers = ", ".join(f"{k} {v:,.4g}" for k, v in line["metrics"].items())
    void = f" VOID: {line['void']}" if line.get("void") else ""
    print(f"{line['row']:12} {line['round']} {line['subject']:5} {numbers}{void}", flush=True)


def compare(asked, subjects):
    where = {"run": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "note": asked.note,
             "machine": machine()}
    RAW.parent.mkdir(parents=True, exist_ok=True)
    turns = {name: asked.rounds or (1 if asked.quick else ROWS[name].rounds)
             for name in asked.only or ROWS}
    minutes = sum(ROWS[name].minutes * (1 if ROWS[name].ours_only else len(subjects)) * n
                  for name, n in turns.items()) / (3 if asked.quick else 1)
    print(f"# about {minutes:.0f} minutes on a quiet machine", flush=True)
    with RAW.open("a") as raw:
        raw.write(json.dumps(where) + "\n")
        for name, rounds in turns.items():
            row = ROWS[name]
            mine = [s for s in subjects if s.name == "ours" or not row.ours_only]
            for turn in range(rounds):
                # A B C, then B C A: nobody is always first.
                for subject in mine[turn % len(mine):] + mine[:turn % len(mine)]:
                    line = measure(name, subject, asked, turn)
                    raw.write(json.dumps(line) + "\n")
                    raw.flush()
                    tell(line)
    report.draw()


def main():
    asked = options()
    os.sched_setaffinity(0, {1})
    subjects = [SUBJECTS[n] for n in asked.subjects if SUBJECTS[n].is_built()]
    if not asked.check:
        return compare(asked, subjects)
    bad = 0
    for subject, (arena, way) in itertools.product(subjects, ((Arena, "plainly"),
                                                              (Fronted, "over TLS"))):
        faults = check(subject, asked.quick, arena)
        bad += bool(faults)
        for fault in faults[:20]:
            print(f"{subject.name}: {fault}", flush=True)
        print(f"{'not ok' if faults else 'ok'} - {subject.label}, {way}: each bought once,"
              " one event each, kill -9 included", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
