#!/usr/bin/env python3
"""What an operator orders with pixverse-ctl, against the whole service."""
# tests/run: postgres kafka sanitized timeout=240

import json

import tap
from world import World, wait_for


def shown(world, request_id):
    done = world.ctl("show", request_id, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def state(world, request_id):
    row = shown(world, request_id)
    return row and row["state"]


def until(world, request_id, wanted, limit_s=20):
    wait_for(lambda: state(world, request_id) == wanted, limit_s,
             f"{request_id} is {wanted}")


def refused(world, args, words, status=1):
    done = world.ctl(*args)
    text = " ".join(map(str, args))
    tap.equal(done.returncode, status, f"{text}: refused", done.stdout, done.stderr)
    tap.check(words in done.stderr, f"{text}: because {words}", done.stderr)


def ask(world, *ids, **more):
    for request_id in ids:
        world.send({"request_id": request_id, "request": {"prompt": request_id}, **more})
    world.flush()


def bought(world, request_id):
    """The provider ids under that prompt, in the order of their purchase."""
    return [t["task_id"] for t in world.ledger()["tasks"]
            if t["request"]["prompt"] == request_id]


def check_attach(world):
    """A lost reply: attached while in doubt, and after submit_unknown was told."""
    world.faults([{"on": "submit", "kind": "rst_after_body", "count": 2, "match": "doubt"}])
    ask(world, "doubt.now", "doubt.late", "plain")
    wait_for(lambda: all(bought(world, i) for i in ("doubt.now", "doubt.late")), 20,
             "both are bought")
    now = bought(world, "doubt.now")[0]
    done = world.ctl("attach", "doubt.now", now, "--json")
    tap.equal((done.returncode, json.loads(done.stdout or "{}").get("attached")), (0, True),
              "attach to a doubt", done.stderr)
    event = world.event("doubt.now")
    tap.equal((event["status"], event["provider_task_id"], event.value.get("late")),
              ("completed", now, None), "it runs, and is completed in time")

    tap.equal(world.event("doubt.late")["error"]["kind"], "submit_unknown",
              "left alone it is told as unknown")
    until(world, "doubt.late", "closed")
    refused(world, ("attach", "doubt.late", now), "belongs to doubt.now")
    late = bought(world, "doubt.late")[0]
    done = world.ctl("attach", "doubt.late", late)
    tap.equal(done.returncode, 0, "attach to one that was told as unknown", done.stderr)

    def second():
        world.pump()
        return world.events["doubt.late"][1:]
    event = wait_for(second, 20, "the late end")[0]
    tap.equal((event["status"], event.value.get("late"), event["provider_task_id"]),
              ("completed", True, late), "its video is told as late")

    done = world.ctl("attach", "doubt.late", late)
    tap.equal(done.returncode, 0, "the same again is no fault", done.stderr)
    world.event("plain")
    until(world, "plain", "closed")
    refused(world, ("attach", "plain", "task_x"), "another id")
    refused(world, ("attach", "nobody", "task_x"), "no request")
    refused(world, ("attach", "plain", "task x"), "no provider id", 2)
    refused(world, ("attach", "plain", "t" * 129), "no provider id", 2)
    refused(world, ("attach", "plain"), "provider id", 2)
    tap.equal(len(bought(world, "doubt.now") + bought(world, "doubt.late")), 2,
              "nothing was bought again")


def main():
    with World(settings={"SUBMIT_DOUBT": "settle", "SUBMIT_TIMEOUT_MS": "3000"}) as world:
        check_attach(world)


tap.run(main)
