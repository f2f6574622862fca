"""Whether a subject of the comparison does the job at all: each request bought once,
one event each and the same bytes in each delivery, each video as the ledger has it,
through duplicates, lost answers, refusals, failures, and kill -9 in the middle."""

import random
import time

from record import RECORD
from subjects import Arena
from world import Late, file_of, sha256_of, wait_for

FAULTS = [
    {"on": "submit", "kind": "close_after_body", "count": -1, "rate": 0.02},
    {"on": "submit", "kind": "close_before_billing", "count": -1, "rate": 0.02},
    {"on": "submit", "kind": "rate_limit", "count": 3, "after": 50, "retry_after": "1"},
    {"on": "poll", "kind": "status", "status": 503, "count": -1, "rate": 0.02},
    {"on": "poll", "kind": "rst_before_billing", "count": -1, "rate": 0.01},
    {"on": "download", "kind": "short", "count": -1, "rate": 0.02},
    {"kind": "fail", "code": 500069, "text": "overload", "count": -1,
     "match": "bad-"},
]


def check(subject, quick, arena=Arena, seed=1):
    """Faults found, in words; none is as it should be."""
    n, kills, rng = (600, 2, random.Random(seed)) if quick else (3000, 8, random.Random(seed))
    faults, before = [], len(RECORD.violations)
    with arena(subject, "check", latency="0.5..2", sim=("--video-bytes", "65536"),
               settings={"POLL_INTERVAL_MS": "300", "LEASE_MS": "1000"}) as w:
        w.faults(FAULTS)
        worker = w.start()
        names = [f"bad-{i}" if i % 50 == 7 else f"c-{i}" for i in range(n)]
        sent = 0
        for kill in range(kills + 1):
            upto = n * (kill + 1) // (kills + 1)
            while sent < upto:
                message = {"request_id": names[sent], "tenant": "a",
                           "metadata": {"n": sent, "text": "\u00e9\n\""},
                           "request": {"prompt": names[sent]}}
                w.send(message)
                if sent % 10 == 0:
                    w.send(message)
                sent += 1
            w.flush()
            if kill < kills:
                seen = len(w.events) + rng.randrange(n // (kills + 1))
                end = time.monotonic() + 10

                def some():
                    w.pump()
                    return len(w.events) >= seen or time.monotonic() > end
                wait_for(some, 30, "some events")
                worker.kill()
                worker = w.start()
        try:
            w.wait_events(names, 40)
        except Late:
            missing = [name for name in names if name not in w.events]
            return [f"{len(missing)} have no event, the first {missing[0]}", worker.text()]
        last = worker.stop(30)
        if last != 0:
            faults.append(f"exit status {last} after SIGTERM: {worker.text()[-500:]}")
        look(w, names, faults)
    faults += RECORD.violations[before:]
    return faults


def look(w, names, faults):
    ledger = w.ledger()
    told = {t["request"]["prompt"]: t for t in ledger["tasks"]}
    if len(told) != len(ledger["tasks"]):
        faults.append("something was bought twice")
    for name in names:
        event, task = w.events[name][0], told.get(name)
        if task is None:
            faults.append(f"{name}: an event without a purchase")
        elif (event["status"] == "completed") != (task["status"] == "completed"):
            faults.append(f"{name}: {event['status']}, the ledger says {task['status']}")
        elif event["status"] == "completed":
            video, mine = task["videos"][0], event["videos"][0]
            if mine["sha256"] != video["sha256"] or mine["bytes"] != video["bytes"]:
                faults.append(f"{name}: another video than the ledger's")
            elif sha256_of(file_of(mine["uri"])) != video["sha256"]:
                faults.append(f"{name}: the file is another than its event says")
        if event.headers["ce_subject"] != name or event["metadata"]["text"] != "\u00e9\n\"":
            faults.append(f"{name}: the event's envelope")
    repeats = sum(len(e) - 1 for e in w.events.values())
    print(f"# {w.subject.name}: {len(names)} requests, {len(told)} bought, {repeats}"
          f" events repeated, {len(faults)} faults", flush=True)
