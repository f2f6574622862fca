#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=600
"""2,000 requests through two workers, a third of them delivered twice, one worker
killed half-way: each is bought once, announced once, and stored as served."""

import collections
import random

import tap
from leftovers import files_below
from world import World, file_of, sha256_of, wait_for

REQUESTS = 2000


def check_purchases(ledger):
    keys = collections.Counter(task["key"] for task in ledger["tasks"])
    tap.equal(ledger["totals"]["accepted"], REQUESTS, "the ledger has each request once",
              ledger["totals"])
    tap.equal([k for k, n in keys.items() if n > 1], [], "no key bought twice")
    prompts = collections.Counter(task["request"]["prompt"] for task in ledger["tasks"])
    tap.equal(sorted(prompts), sorted(f"clip {n}" for n in range(REQUESTS)),
              "each request's own body was bought")


def check_events(world, ids):
    several = {i: [e.headers["ce_id"] for e in world.events[i]] for i in ids
               if len({e.headers["ce_id"] for e in world.events[i]}) != 1}
    tap.equal(several, {}, "every event once by id")
    odd = {i for i in ids if len({e.raw for e in world.events[i]}) != 1}
    tap.equal(odd, set(), "a repeated delivery has the same bytes")
    tap.equal(sorted(set(world.events) - set(ids)), [], "no event of anything else")
    status = collections.Counter(world.events[i][0]["status"] for i in ids)
    tap.equal(dict(status), {"completed": REQUESTS}, "all are completed")


def check_files(world, ids, ledger):
    served = {task["task_id"]: [v["sha256"] for v in task["videos"]]
              for task in ledger["tasks"]}
    wrong = []
    for identity in ids:
        event = world.events[identity][0]
        stored = [sha256_of(file_of(v["uri"])) for v in event["videos"]]
        told = [v["sha256"] for v in event["videos"]]
        if not stored == told == served[event["provider_task_id"]]:
            wrong.append((identity, stored, told, served[event["provider_task_id"]]))
    tap.equal(wrong, [], "every file's SHA-256 is that of what was served")
    files = files_below(world.videos)
    whole = [p for p in files if p.suffix == ".mp4"]
    tap.equal(len(whole), REQUESTS, "one file a request")


def main():
    ids = [f"clip-{n}" for n in range(REQUESTS)]
    with World(workers=2, latency="1..4") as world:
        messages = [{"request_id": i, "request": {"prompt": f"clip {n}"}}
                    for n, i in enumerate(ids)]
        twice = random.Random(1).sample(messages, REQUESTS // 3)
        sent = messages + twice
        random.Random(2).shuffle(sent)
        for message in sent:
            world.send(message)
        world.flush()

        wait_for(lambda: world.pump(0.2) or len(world.events) >= REQUESTS // 2, 240,
                 "half of the events")
        world.workers[0].kill()
        tap.note(f"a worker killed after {len(world.events)} events")
        world.wait_events(ids, 240)
        world.pump(2)

        ledger = world.ledger()
        check_purchases(ledger)
        check_events(world, ids)
        check_files(world, ids, ledger)
        open_rows = world.ctl("list", "--json")
        tap.equal(open_rows.returncode, 0, "pixverse-ctl list works", open_rows.stderr)
        tap.equal(world.workers[1].stop(), 0, "the survivor drains with status 0",
                  world.workers[1].text()[-2000:])


tap.run(main)
