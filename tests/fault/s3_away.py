#!/usr/bin/env python3
# tests/run: postgres kafka s3 long timeout=600
"""The S3 server is killed, restarted in the middle of the load, slow, and hangs: the
worker says that storage can't be used, buys nothing meanwhile, and brings everything
home when it is back, whole, with no upload left open."""

import time

import s3_server
import tap
from world import (HELD_UP_S, TMP, Program, World, fetch, file_of, free_port, sha256_of,
                   wait_for)

BATCH = 16
FIRST = 3  # transfers that end before something happens
HELD_WITHIN_S = 120  # a server that hangs is given a minute


class Load:
    """A batch of requests, half of whose videos have no length."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.ids = [f"{name}-{n}" for n in range(BATCH)]
        for i in self.ids:
            world.send({"request_id": i, "request": {"prompt": i}})
        world.flush()
        wait_for(lambda: len(self.ended()) >= FIRST, 60, f"{name}: the first end")

    def ended(self):
        self.world.pump(0.02)
        return [i for i in self.ids if i in self.world.events]

    def one_more(self):
        i = f"{self.name}-{len(self.ids)}"
        self.world.send({"request_id": i, "request": {"prompt": i}})
        self.world.flush()
        self.ids.append(i)
        return i

    def check_home(self):
        world, name = self.world, self.name

        def home():
            # No test waits half a minute for the next probe.
            world.query("UPDATE hold SET next_try_ms = 0 RETURNING 1")
            world.pump(0.5)
            return set(self.ids) <= set(world.events)
        wait_for(home, 120, f"{name}: every end")
        served = {t["request"]["prompt"]: t["videos"] for t in world.ledger()["tasks"]}
        faults = []
        for i in self.ids:
            event = world.events[i][0]
            if event["status"] != "completed":
                faults.append(event.value)
                continue
            stored = [sha256_of(file_of(v["uri"])) for v in event["videos"]]
            told = [v["sha256"] for v in event["videos"]]
            if not stored == told == [v["sha256"] for v in served[i]]:
                faults.append((i, stored, told))
        tap.equal(faults, [], f"{name}: all come home as they were served")
        bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]
                  if t["request"]["prompt"] in self.ids]
        tap.equal(sorted(bought), sorted(self.ids), f"{name}: each is bought once")
        wait_for(lambda: "hold" not in readyz(world)[1], 40, f"{name}: no hold is left")
        wait_for(lambda: not world.uploads(), 60, f"{name}: no upload is left open")
        tap.check(True, f"{name}: no hold and no upload is left")


def readyz(world):
    began = time.monotonic()
    status, body = fetch(world.workers[0].admin + "/readyz")
    return status, body.decode(), time.monotonic() - began


def check_held(load, limit_s=HELD_WITHIN_S):
    """The hold comes, is told, and nothing is bought under it."""
    world, name = load.world, load.name
    slowest = 0.0
    began = time.monotonic()

    def held():
        nonlocal slowest
        status, body, took = readyz(world)
        slowest = max(slowest, took)
        if len(load.ended()) == len(load.ids):
            load.one_more()  # all came home before the server was away: something has to try
        # Claims go by what is stored, which comes a moment after the worker says it.
        return (status == 200 and "hold: storage" in body
                and world.query("SELECT 1 FROM hold WHERE reason = 'storage'") and body)
    body = wait_for(held, limit_s, f"{name}: the hold storage")
    tap.check("S3 can't be reached" in body,
              f"{name}: /readyz says so after {time.monotonic() - began:.1f} s", body)
    tap.check(slowest < HELD_UP_S, f"{name}: the worker answers all the while", slowest)
    other = load.one_more()
    world.pump(2)
    tap.equal([t for t in world.ledger()["tasks"] if t["request"]["prompt"] == other], [],
              f"{name}: nothing is bought that can't be stored")


def killed(world, server):
    load = Load(world, "killed")
    world.injected("S3 server killed")
    server.kill()
    check_held(load)
    server.start()
    load.check_home()


def restarted(world, server):
    load = Load(world, "restarted")
    for _ in range(3):
        world.injected("S3 server killed")
        server.kill()
        server.start()
        world.pump(0.5)
    load.check_home()


def slow(world, server):
    load = Load(world, "slow")
    world.injected("S3 server slowed")
    with server.slow():
        wait_for(lambda: len(load.ended()) == BATCH, 120, "slow: every end")
        tap.check("hold" not in readyz(world)[1], "slow: that is no reason for a hold")
    load.check_home()


def hung(world, server):
    load = Load(world, "hung")
    world.injected("SIGSTOP of an S3 server")
    server.freeze()
    told = set(load.ended())
    check_held(load)
    longest = world.metric(world.workers[0], "pixverse_loop_longest_turn_seconds")
    tap.check(longest is not None and longest < HELD_UP_S,
              "hung: the loop is not held up", longest)
    more = [i for i in load.ended() if i not in told]
    tap.equal([v["uri"] for i in more for v in world.events[i][0].value.get("videos", [])
               if not file_of(v["uri"]).exists()], [],
              "hung: nothing is told that is not stored")
    server.thaw()
    load.check_home()


def main():
    server = s3_server.Server(Program, free_port(), TMP / "s3")
    try:
        with World(latency="0.2..1", on_s3=True, settings={"TRANSFERS_MAX": "4"},
                   sim=("--schema", "yes", "--video-bytes", "7000000..10000000")) as world:
            world.faults([
                {"on": "download", "kind": "chunked", "rate": 0.5, "count": -1},
                {"on": "download", "kind": "slow_body", "bytes": 131072, "delay_ms": 25,
                 "count": -1}])
            for scene in (killed, restarted, slow, hung):
                scene(world, server)
            tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0",
                      world.workers[0].text()[-2000:])
    finally:
        server.thaw()
        server.kill()


tap.run(main)
