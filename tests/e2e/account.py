#!/usr/bin/env python3
# tests/run: postgres kafka timeout=180
"""Tasks that were sent under a key which no worker has any more wait for one that has
it, and say so in the probe, the metrics and to the operator: a doubt is not replayed,
and an id that is denied under another key is not lost."""

import json

import tap
from world import World, fetch, wait_for

OTHER = {"APIMART_API_KEY": "sk-other"}


def told(world, worker, name="doubt"):
    done = world.ctl("explain", name, "--json")
    return (json.loads(done.stdout or "{}"), fetch(worker.admin + "/readyz")[1].decode(),
            world.metric(worker, "pixverse_tasks_of_other_accounts"))


def main():
    # So long that what is accepted still runs when its worker is killed.
    with World(workers=1, latency="10..11", sim=["--schema", "yes"],
               settings={"LEASE_MS": "1000", "SUBMIT_DOUBT": "replay"}) as world:
        world.faults([{"on": "submit", "kind": "rst_after_body", "match": "clip doubt",
                       "count": 1},
                      {"on": "submit", "kind": "rate_limit", "match": "clip doubt",
                       "retry_after": "600", "count": 1}])
        # The plain one first: the doubt's replay comes half a second behind its send, and
        # its 429 shuts the way to the provider for all others.
        for name, state in (("plain", "state = 2"), ("doubt", "doubt AND sends >= 1")):
            world.send({"request_id": name, "request": {"prompt": f"clip {name}"}})
            world.flush()
            wait_for(lambda n=name, s=state: world.query(
                "SELECT 1 FROM task JOIN request USING (id) WHERE request_id = %s"
                f" AND {s}", n), 30, f"{name}: {state}")
        world.workers[0].kill()
        other = world.start_worker(**OTHER)
        explained, ready, tasks = wait_for(
            lambda: (lambda t: t if t[2] == 2 and t[0].get("holds") and "2 tasks" in t[1]
                     else None)(told(world, other)), 30, "the hold of both is told")
        tap.equal([h["reason"] for h in explained["holds"]], ["account"],
                  "explain names the hold", explained)
        tap.check("another key or base URL" in explained["why"], "and says why", explained)
        tap.check("hold: account: 2 tasks" in ready, "/readyz lists it", ready)
        explained = told(world, other, "plain")[0]
        tap.check("deny" in explained["why"], "so does what was accepted", explained)
        world.pump()
        tap.equal(world.events, {}, "both wait")
        mine = world.start_worker()
        other.stop()
        tap.equal(world.event("plain", 30)["status"], "completed",
                  "what was accepted goes on under its key")
        wait_for(lambda: not told(world, mine)[0].get("holds"), 30, "the hold is over")
        keys = [t["key"] for t in world.ledger()["tasks"]]
        tap.equal((len(keys), len(set(keys))), (2, 2), "each is bought once")


tap.run(main)
