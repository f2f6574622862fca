#!/usr/bin/env python3
# tests/run: postgres kafka s3 timeout=180
"""Keys, passwords and signed URLs come where they are needed and nowhere else: not
into logs, errors, metrics, probes, rows, events, the operator's command or a core."""

import os
import signal
from pathlib import Path
from urllib.parse import urlparse

import psycopg
import secured
import tap
from world import World, fetch, wait_for

API_KEY = "sk-canary-7f3a91c2"
DATABASE_PASSWORD = urlparse(os.environ["TEST_DATABASE_URL"]).password
KAFKA_PASSWORD = secured.PASSWORD
SIGNATURE = "canary-of-a-signed-url"
SIGNED = f"https://127.0.0.1:1/clip.mp4?X-Amz-Signature={SIGNATURE}"
# Where a canary may be: a URL that the provider gave stands in its task's row.
# AWS's own names stay in the environment: they are read again when they expire.
ALLOWED = {("rows", SIGNATURE), ("environ", os.environ["TEST_S3_SECRET"])}


def canaries():
    return [API_KEY, DATABASE_PASSWORD, KAFKA_PASSWORD, SIGNATURE,
            os.environ["TEST_S3_SECRET"]]


def environ_of(pid):
    """A running program's environment, as its user could read it."""
    return Path(f"/proc/{pid}/environ").read_bytes().replace(b"\0", b"\n").decode()


def rows_of(url):
    """Everything that the database holds, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public'").fetchall()
        return "\n".join(str(connection.execute(f'SELECT t::text FROM "{name}" t').fetchall())
                         for (name,) in tables)


def trouble(world):
    """Requests on which what must stay secret passes through every kind of error."""
    cases = {
        "fine": [],
        "echoed": [{"on": "submit", "kind": "status", "status": 400,
                    "text": f"the key {API_KEY} is not allowed to do this"}],
        "unauthorized": [{"on": "submit", "kind": "unauthorized",
                          "text": f"Incorrect API key provided: {API_KEY}"}],
        "unreachable": [{"on": "poll", "kind": "bad_url", "url": SIGNED, "count": -1}],
        "redirected": [{"on": "download", "kind": "redirect", "url": SIGNED, "count": 2}],
        "refused": [{"on": "download", "kind": "status", "status": 403}],
        "failed": [{"on": "submit", "kind": "fail",
                    "text": f"Bearer {API_KEY} was given to the model"}],
    }
    world.faults([{"match": f"case {name} ends", **fault}
                  for name, faults in cases.items() for fault in faults])
    for name in cases:
        world.send({"request_id": name, "request": {"prompt": f"case {name} ends"}})
    world.send(b'{"no": "name"}')
    world.flush()
    # The refused key holds all of its account until the balance answers.
    wait_for(lambda: world.pump() or world.query(
        "UPDATE hold SET next_try_ms = 0 RETURNING 1") is None
        or len(world.events) >= 4, 60, "most ends")
    wait_for(lambda: world.query("SELECT 1 FROM task WHERE result LIKE %s", f"%{SIGNATURE}%"),
             30, "the signed URL was tried, and is kept")
    return list(cases)


def main():
    bucket, endpoint = os.environ["TEST_S3_BUCKET"], os.environ["TEST_S3_ENDPOINT"]
    prefix = os.environ["TEST_PREFIX"].rstrip("-")
    settings = {
        "APIMART_API_KEY": API_KEY, "LOG_LEVEL": "debug", "LOG_FORMAT": "json",
        "STORAGE_URL": f"s3://{bucket}/{prefix}?endpoint={endpoint}",
        "AWS_ACCESS_KEY_ID": os.environ["TEST_S3_KEY"],
        "AWS_SECRET_ACCESS_KEY": os.environ["TEST_S3_SECRET"]}
    with secured.Secured() as kafka, World(
            workers=0, kafka=kafka, sim=["--schema", "yes"],
            settings=settings | kafka.login("PLAIN")) as world:
        worker = world.start_worker(before=["prlimit", "--core=unlimited"])
        ids = trouble(world)
        told = {
            "metrics": fetch(worker.admin + "/metrics")[1].decode(),
            "readyz": fetch(worker.admin + "/readyz")[1].decode(),
            "rows": rows_of(os.environ["TEST_DATABASE_URL"]),
            "events": str([(e.raw, e.headers) for ends in world.events.values()
                           for e in ends]),
        }
        for name, args in {"check": ["pixverse-worker", "check"],
                           "help": ["pixverse-worker", "--help"],
                           "list": ["pixverse-ctl", "list", "--json"]}.items():
            done = world.command(*args)
            told[name] = done.stdout + done.stderr
        for name, change in {"no database": {"DATABASE_URL": "postgresql://u:"
                                             f"{DATABASE_PASSWORD}@127.0.0.1:1/none"},
                             "bad settings": {"APIMART_API_KEY": API_KEY + " x",
                                              "POLL_INTERVAL_MS": "-1"}}.items():
            done = world.command("pixverse-worker", "check",
                                 env=world.environment(**change))
            told[name] = done.stdout + done.stderr
        told["ctl show"] = "".join(
            done.stdout + done.stderr for i in ids for verb in ("show", "explain")
            for done in [world.ctl(verb, i, "--json")])
        told["environ"] = environ_of(worker.pid)
        limits = Path(f"/proc/{worker.pid}/limits").read_text()
        core = next(l for l in limits.splitlines() if l.startswith("Max core file size"))
        tap.equal(core.split()[4:6], ["0", "0"], "its core may have no byte")
        worker.injures = ""
        worker.signal(signal.SIGABRT)
        worker.process.wait(60)
        told["log"] = worker.text()
        tap.check(len(told["log"]) > 2000, "the log says something", told["log"])
        for name, text in told.items():
            found = [c for c in canaries() if c in text and (name, c) not in ALLOWED]
            tap.equal(found, [], f"{name}: no secret",
                      *[line for line in text.splitlines() if any(c in line for c in found)][:5])
        tap.check(SIGNATURE in told["rows"], "the signed URL is where it is needed")


tap.run(main)
