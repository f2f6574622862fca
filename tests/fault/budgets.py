#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=420
"""Twenty tenants with budgets, and one for all of them, over kill -9 of workers: at no
moment is more spent, reserved and doubtful than a budget says, the provider bills no more,
and in the end nothing is reserved or doubtful. REQUESTS=n each, KILLS=n workers."""

import json
import os
import random
from decimal import Decimal

import tap
from load import seed_of_run
from world import World, fetch, wait_for

TENANTS = [f"t{n:02}" for n in range(20)]
REQUESTS = int(os.environ.get("REQUESTS") or 8)
KILLS = int(os.environ.get("KILLS") or 2)
SETTINGS = {"POLL_INTERVAL_MS": "100", "LEASE_MS": "1000", "SUBMITS_MAX": "16",
            "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}
USED = """
WITH now AS (SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::integer AS day)
SELECT b.tenant, b.amount, coalesce((SELECT sum(s.amount) FROM spent s
        WHERE s.tenant = b.tenant AND s.period = 0 AND s.since = now.day), 0)
    + coalesce((SELECT sum(m.amount) FROM money m
        WHERE (m.tenant = b.tenant OR b.tenant = '*') AND m.day = now.day), 0)
FROM budget b, now WHERE b.period = 0"""


def cost_of_one(world):
    """What the provider takes for a plain request."""
    world.send({"request_id": "first", "tenant": "first", "request": {"prompt": "a cat"}})
    world.flush()
    world.wait_events(["first"], 60)
    return Decimal(str(world.ledger()["tasks"][0]["cost"]))


def check_refusal(world):
    done = world.ctl("budget", "set", "t00", "--day", "1")
    tap.check(done.returncode == 1 and "nobody knows what a request costs" in done.stderr,
              "without prices and history no budget is set", done.stderr)


def budgets(world):
    return {(b["tenant"], b["period"]): b for b in map(
        json.loads, world.ctl("budget", "list", "--json", check=True).stdout.splitlines())}


def within(world, over):
    over += [row for row in world.query(USED) if row[2] > row[1]]
    return over


def billed_by_tenant(world):
    """By what the provider says, of tasks by the request that bought them."""
    whose = dict(world.query(
        "SELECT provider_task_id, tenant FROM request JOIN closed USING (id)"
        " WHERE provider_task_id <> ''"))
    sums = {}
    for task in world.ledger()["tasks"]:
        tenant = whose.get(task["task_id"], "?")
        sums[tenant] = sums.get(tenant, 0) + Decimal(str(task["cost"] or 0))
    return sums


def check_waits(world, worker, cost, over):
    """All that fits was bought, and the others wait under their reason."""
    fits = {t: 2 + n % 3 for n, t in enumerate(TENANTS)}
    wait_for(lambda: not within(world, over) and world.query("SELECT count(*) FROM closed")
             == [(1 + sum(fits.values()),)], 120, "what fits is done")
    billed = billed_by_tenant(world)
    tap.equal({t: billed.get(t) for t in TENANTS}, {t: fits[t] * cost for t in TENANTS},
              "each tenant was billed what its budget has room for")
    waits = ("SELECT r.request_id, w.budget FROM waiting w JOIN request r USING (id)"
             " WHERE r.tenant = 't00' ORDER BY w.id DESC")
    wait_for(lambda: {budget for _, budget in world.query(waits)} == {"t00"}, 30,
             "all that wait were put aside")
    last = world.query(waits)[0][0]
    words = world.ctl("explain", last).stdout
    tap.check("budget" in words and " a day" in words and "next period begins" in words,
              "explain names the budget, its limit and when it resets", words)
    wait_for(lambda: b"budget" in fetch(worker.admin + "/readyz")[1], 20, "/readyz names it")
    wait_for(lambda: any(world.metric(w, 'pixverse_budget_waiting_requests{tenant="t00",'
                                         'period="day"}') == REQUESTS - fits["t00"]
                         for w in world.workers if w.alive()), 30, "the metrics count who waits")
    listed = budgets(world)
    tap.equal({(listed[t, "day"]["reserved"], listed[t, "day"]["doubtful"]) for t in TENANTS},
              {(0, 0)}, "nothing is reserved or doubtful any more")
    tap.equal([t for t in TENANTS if not listed[t, "day"]["near"]], [], "all of them are near")


def main():
    seed = seed_of_run()
    rng = random.Random(seed)
    tap.note(f"REQUESTS={REQUESTS} KILLS={KILLS} SEED={seed}")
    with World(workers=0, latency="0.2..0.5", settings=SETTINGS) as world:
        check_refusal(world)
        first = world.start_worker()
        cost = cost_of_one(world)
        done = world.ctl("budget", "set", "nobody.9", "--day", "1", "--warn", "90%")
        tap.equal(done.returncode, 0, "with a history it is")
        world.ctl("budget", "unset", "nobody.9", check=True)
        first.stop()
        world.settings["PRICES"] = json.dumps([{"price": float(cost)}])
        for n, tenant in enumerate(TENANTS):
            world.ctl("budget", "set", tenant, "--day", str(cost * (2 + n % 3) + cost / 2),
                      check=True)
        world.ctl("budget", "set", "*", "--day", str(cost * 1000), "--month",
                  str(cost * 100000), check=True)
        tap.equal(Decimal(str(budgets(world)["*", "month"]["spent"])), cost,
                  "what was spent before counts")
        fleet = [world.start_worker() for _ in range(2)]
        names = [f"{t}-{n}" for n in range(REQUESTS) for t in TENANTS]
        for name in names:
            world.send({"request_id": name, "tenant": name.split("-")[0],
                        "request": {"prompt": name}})
        world.flush()
        over = []
        for kill in range(KILLS):
            wait_for(lambda: not within(world, over) and world.query(
                "SELECT count(*) FROM closed")[0][0] > 5 + kill * 15, 120, "some are done")
            seat = rng.randrange(len(fleet))
            fleet[seat].kill()
            fleet[seat] = world.start_worker(wait=False)
        check_waits(world, fleet[0], cost, over)
        world.ctl("budget", "set", "*", "--day", str(cost * 70), check=True)
        for tenant in TENANTS:
            world.ctl("budget", "unset", tenant, check=True)
        wait_for(lambda: not within(world, over) and world.query("SELECT count(*) FROM closed")
                 == [(70,)], 120, "the budget of all bounds what is bought from now on")
        world.ctl("budget", "unset", "*", check=True)
        world.wait_events(names, 120)
        tap.equal(over, [], "no budget was exceeded at any moment")
        tap.equal(world.query("SELECT count(*) FROM money"), [(0,)], "no money is kept any more")
        tap.equal(len({t["key"] for t in world.ledger()["tasks"]}), 1 + len(names),
                  "each was bought once")


tap.run(main)
