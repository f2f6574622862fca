#!/usr/bin/env python3
# tests/run: postgres kafka sanitized
"""A provider over HTTP/2 and TLS, as production has it: one request of each mode,
then a proxy swallows the connection that all polls share."""

import time

import five_modes
import tap
from front import FrontedWorld
from world import wait_for

BACK_S = 45  # so soon the polls go on


def check_protocols(world):
    # nginx writes a line when it has sent all: soon after whoever asked has it.
    wait_for(lambda: sum(path.startswith("/f/") for _, _, path, _ in world.asked()) >= 5, 20,
             "five videos in nginx's log")
    asked = world.asked()
    polls = {(p, s) for p, m, path, s in asked if path.startswith("/v1/tasks/")}
    tap.equal(polls, {("HTTP/2.0", "200")}, "polls go over HTTP/2")
    sent = {p for p, m, path, s in asked if m == "POST"}
    tap.equal(sent, {"HTTP/1.1"}, "a submission has a connection of its own")
    videos = [s for p, m, path, s in asked if path.startswith("/f/")]
    tap.equal(videos, ["200"] * 5, "videos come over TLS too")


def swallow(world):
    """A paid task runs while the connection of its polls is dead."""
    world.faults([{"on": "submit", "kind": "slow_job", "match": "long", "count": 4,
                   "delay_ms": 20000}])
    ids = [f"long-{n}" for n in range(4)]
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()
    wait_for(lambda: len([t for t in world.ledger()["tasks"]
                          if t["request"]["prompt"] in ids]) == 4, 30, "four purchases")
    wait_for(lambda: world.query("SELECT count(*) FROM task WHERE state = 2")[0][0] == 4,
             30, "four running tasks")
    before = world.line.number
    world.line.swallow()
    world.injected("an HTTP/2 connection swallowed")
    began = time.monotonic()
    world.wait_events(ids, BACK_S + 15)
    took = time.monotonic() - began
    tap.check(took < BACK_S, f"the polls go on within {BACK_S} s", f"{took:.1f} s")
    tap.check(world.line.number > before, "over another connection")
    tap.equal([world.events[i][0]["status"] for i in ids], ["completed"] * 4,
              "and the tasks are completed")


def main():
    with FrontedWorld() as world:
        for mode in list(five_modes.MODES)[:4]:
            world.send(five_modes.request(mode))
        world.flush()
        first = world.event("order.text_to_video")
        world.send(five_modes.request(
            "extend", extend_from_task_id=first["provider_task_id"]))
        world.flush()
        for mode in five_modes.MODES:
            event = world.event(f"order.{mode}")
            tap.equal(event.type, "video.generation.completed", f"{mode}: completed",
                      event.value)
        check_protocols(world)
        swallow(world)
        worker = world.workers[0]
        tap.equal(worker.stop(), 0, "a drained worker ends with status 0")
        tap.check("ERROR" not in worker.text() and "Sanitizer" not in worker.text(),
                  "its log has no error", worker.text()[-3000:])


if __name__ == "__main__":
    tap.run(main)
