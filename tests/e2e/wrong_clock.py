#!/usr/bin/env python3
# tests/run: postgres kafka timeout=120
"""Workers whose machines have the wrong time, by hours: the time that counts is
PostgreSQL's, in rows, in events and in Kafka, which refuses messages of tomorrow."""

import time
from datetime import datetime

import tap
from clock import Clock
from world import World, wait_for

HOUR = 3600
REQUESTS = 20
SLACK_S = 5


def ms_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000


def main():
    began_ms = (time.time() - SLACK_S) * 1000
    clocks = [Clock(), Clock()]
    try:
        with World(workers=0, latency="1..3", settings={"LEASE_MS": "2000"}) as world:
            ids = [f"order-{n}" for n in range(REQUESTS)]

            def send(some):
                for i in some:
                    world.send({"request_id": i, "request": {"prompt": i},
                                "deadline_seconds": 300})
                world.flush()

            def start(clock, hours):
                clock.jump(hours * HOUR)
                return world.start_worker(**clock.environment())

            first = start(clocks[0], -5)
            send(ids[:REQUESTS // 2])
            wait_for(lambda: world.query("SELECT 1 FROM task WHERE state = 2"), 30,
                     "the first has some under way")
            start(clocks[1], 5)
            send(ids[REQUESTS // 2:])
            world.send({"request_id": "", "request": {"prompt": "none"}})
            world.flush()
            first.kill()
            world.wait_events(ids, 60)
            reader = world.reader("rejected")
            rejected = wait_for(lambda: reader.poll(0.2), 30, "the rejection")
            reader.close()
            ended_ms = (time.time() + SLACK_S) * 1000
            tap.equal({world.events[i][0]["status"] for i in ids}, {"completed"},
                      "all are completed, those of the dead one too")
            wrong = {i: event.value["times"] for i in ids for event in world.events[i]
                     if not all(began_ms <= ms_of(t) <= ended_ms
                                for t in event["times"].values())}
            tap.equal(wrong, {}, "the events' times are PostgreSQL's")
            wrong = {i: event.at_ms for i in ids for event in world.events[i]
                     if not began_ms <= event.at_ms <= ended_ms}
            tap.equal(wrong, {}, "so are those of the messages")
            tap.check(began_ms <= rejected.timestamp()[1] <= ended_ms,
                      "and of rejections", rejected.timestamp())
            posts = [t["request"]["prompt"] for t in world.ledger()["tasks"]]
            tap.equal(sorted(posts), sorted(ids), "each was bought once")
    finally:
        for clock in clocks:
            clock.remove()


tap.run(main)
