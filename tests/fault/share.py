#!/usr/bin/env python3
# tests/run: kafka long timeout=1800
"""Twenty tenants with weights, caps, budgets and chains, three accounts with slots and
balances of their own, over kill -9 and freezes of workers and crashes of the database, all
at once: at no look is more spent, reserved and doubtful than a budget says, or more at work
than a cap; the provider never has more than an account's slots; each chain is bought in its
order and on one account; in the end nothing is reserved or doubtful, and each was bought
once. REQUESTS=n each, KILLS=n FREEZES=n OUTAGES=SECONDS,... strike."""

import hashlib
import json
import os
import random
import threading
import time
from decimal import Decimal

import psycopg
import tap
from load import lease_of, seed_of_run
from world import CONTINUE, STOP, Postgres, World, fetch, wait_for

TENANTS = [f"t{n:02}" for n in range(20)]
KILLS = int(os.environ.get("KILLS") or 3)
FREEZES = int(os.environ.get("FREEZES") or 2)
OUTAGES = [float(s) for s in (os.environ.get("OUTAGES") or "0.5,2.5").split(",")]
STRIKES = KILLS + FREEZES + len(OUTAGES)
REQUESTS = int(os.environ.get("REQUESTS") or 6 + STRIKES * 6 // len(TENANTS))
CHAIN = REQUESTS // 2  # of them, each extends the one before
FITS = {t: 2 + n % 3 for n, t in enumerate(TENANTS)}  # a tenant's budget of a day
MORE = 10  # then, of all
BAD = TENANTS[4::5]  # of these one fails, and costs nothing
CAPS = dict.fromkeys(TENANTS[::5], 1) | dict.fromkeys(TENANTS[1::5], 2)
ACCOUNTS = [{"name": name, "key": f"sk-{name}", "slots": slots, "weight": weight}
            for name, slots, weight in (("a", 8, 1), ("b", 6, 2), ("c", 4, 1))]
NAMES = {hashlib.sha256(a["key"].encode()).hexdigest()[:16]: a["name"] for a in ACCOUNTS}
SETTINGS = {"POLL_INTERVAL_MS": "100", "LEASE_MS": "1000", "SUBMITS_MAX": "16",
            "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000", "SUBMIT_DOUBT": "replay",
            "APIMART_API_KEY": "", "APIMART_ACCOUNTS": json.dumps(ACCOUNTS)}
LOST = 8  # answers to submissions
FAULTS = [{"on": "submit", "kind": "rate_limit", "retry_after": "1", "after": 20, "rate": 0.2,
           "count": 8},
          {"on": "poll", "kind": "fail", "match": "a bad one", "count": -1}]
USED = """
WITH now AS (SELECT floor(extract(epoch FROM clock_timestamp()) / 86400)::integer AS day)
SELECT b.tenant, b.amount, coalesce((SELECT sum(s.amount) FROM spent s
        WHERE s.tenant = b.tenant AND s.period = 0 AND s.since = now.day), 0)
    + coalesce((SELECT sum(m.amount) FROM money m
        WHERE (m.tenant = b.tenant OR b.tenant = '*') AND m.day = now.day), 0)
FROM budget b, now WHERE b.period = 0"""
AT_WORK = """
SELECT t.name, t.slots, (SELECT count(*) FROM task k JOIN request r ON r.id = k.id
        WHERE r.tenant = t.name AND k.state IN (1, 2))
FROM tenant t WHERE t.slots IS NOT NULL"""


class Looks(threading.Thread):
    """Looks again and again, whatever else happens; a database that is away is waited for."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.looks = 0
        self.over, self.crowded = [], []
        self.done = threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.02):
            try:
                with psycopg.connect(self.url, autocommit=True,
                                     connect_timeout=5) as connection:
                    while not self.done.wait(0.02):
                        self.over += [r for r in connection.execute(USED) if r[2] > r[1]]
                        self.crowded += [r for r in connection.execute(AT_WORK) if r[2] > r[1]]
                        self.looks += 1
            except psycopg.OperationalError:
                pass

    def end(self):
        """Whether it looked to the end."""
        looks = self.looks
        wait_for(lambda: self.looks > looks or not self.is_alive(), 30, "another look")
        goes_on = self.is_alive()
        self.done.set()
        self.join(30)
        return goes_on and not self.is_alive()


class Strikes:
    """What happens to a fleet, one after the other, in an order of its own."""

    def __init__(self, world, postgres, rng):
        self.world, self.postgres, self.rng = world, postgres, rng
        self.fleet = [world.start_worker() for _ in range(3)]
        self.plan = [("kill", 0)] * KILLS + [("freeze", 0)] * FREEZES + [
            ("outage", seconds) for seconds in OUTAGES]
        rng.shuffle(self.plan)
        self.parts = [self.plan[:3], self.plan[3:5], self.plan[5:]]

    def kill(self, _):
        seat = self.rng.randrange(len(self.fleet))
        self.fleet[seat].kill()
        self.fleet[seat] = self.world.start_worker(wait=False)

    def freeze(self, _):
        wait_for(lambda: all(map(lease_of, self.fleet)), 60, "all are in the fleet")
        worker = self.rng.choice(self.fleet)
        lease = lease_of(worker)
        worker.signal(STOP)
        try:
            wait_for(lambda: self.world.query("SELECT 1 FROM lease WHERE id = %s AND NOT dead",
                                              lease) == [], 60, "it is taken for dead")
        finally:
            worker.signal(CONTINUE)

    def outage(self, seconds):
        self.postgres.halt()
        time.sleep(seconds)
        self.postgres.again()

    def part(self, number, ends):
        """Some of them, each after some more ends, while there are any: so many come."""
        for kind, seconds in self.parts[number]:
            more = min(closed(self.world) + 3, ends)
            wait_for(lambda: closed(self.world) >= more, 120, "some have ended")
            getattr(self, kind)(seconds)
        for worker in self.fleet:
            self.world.wait_ready(worker)


def closed(world):
    return world.query("SELECT count(*) FROM closed")[0][0]


def cost_of_one(world):
    """What the provider takes for a plain request."""
    world.send({"request_id": "first", "tenant": "first", "request": {"prompt": "first"}})
    world.flush()
    world.wait_events(["first"], 60)
    return Decimal(str(world.ledger()["tasks"][0]["cost"]))


def requests():
    """Of each tenant a chain, its last one first, and what stands alone."""
    for n in range(REQUESTS):
        for tenant in TENANTS:
            message = {"request_id": f"{tenant}-{n}", "tenant": tenant,
                       "request": {"prompt": f"{tenant}-{n}"}}
            if n == CHAIN and tenant in BAD:
                message |= {"priority": 9, "request": {"prompt": f"{tenant}-{n} a bad one"}}
            if n < CHAIN - 1:
                message["request_id"] = f"{tenant}-{CHAIN - 1 - n}"
                message["request"] = {"prompt": message["request_id"],
                                      "extend_from_request_id": f"{tenant}-{CHAIN - 2 - n}"}
            elif n == CHAIN - 1:
                message |= {"request_id": f"{tenant}-0", "request": {"prompt": f"{tenant}-0"}}
            yield message


def send_all(world):
    """Those that fail are bought before the others come: these fill a budget, where a
    rebalance or a refusal keeps such a one back, and then it never has room."""
    messages = list(requests())
    bad = [m for m in messages if "priority" in m]
    for message in bad:
        world.send(message)
    world.flush()
    wait_for(lambda: len(world.ledger()["tasks"]) == 1 + len(BAD), 60,
             "those that fail are bought")
    for message in messages:
        if message not in bad:
            world.send(message)
    world.flush()


def lose_answers(world, names, rng):
    """Of so many requests the first each: by chance, all replays of one may be struck, too,
    and then it is right to end as submit_unknown."""
    good = [n for n in names if n not in {f"{t}-{CHAIN}" for t in BAD}]
    world.faults([{"on": "submit", "kind": "rst_after_body", "match": f'"{name}"', "count": 1}
                  for name in rng.sample(good, LOST)])


def budgets(world):
    return {(b["tenant"], b["period"]): b for b in map(
        json.loads, world.ctl("budget", "list", "--json", check=True).stdout.splitlines())}


def billed_by_tenant(world):
    """What the provider took, by whose prompt it was."""
    sums = {}
    for task in world.ledger()["tasks"]:
        tenant = task["request"]["prompt"].split("-")[0]
        cost = 0 if task["refunded"] else Decimal(str(task["cost"] or 0))
        sums[tenant] = sums.get(tenant, 0) + cost
    return sums


def set_up(world):
    """What one costs; budgets, weights and caps."""
    done = world.ctl("budget", "set", "t00", "--day", "1")
    tap.check(done.returncode == 1 and "nobody knows what a request costs" in done.stderr,
              "without prices and history no budget is set", done.stderr)
    first = world.start_worker()
    cost = cost_of_one(world)
    done = world.ctl("budget", "set", "nobody.9", "--day", "1", "--warn", "90%")
    tap.equal(done.returncode, 0, "with a history it is")
    world.ctl("budget", "unset", "nobody.9", check=True)
    first.stop()
    world.settings["PRICES"] = json.dumps([{"price": float(cost)}])
    for n, tenant in enumerate(TENANTS):
        world.ctl("budget", "set", tenant, "--day", str(cost * FITS[tenant] + cost / 2),
                  check=True)
        capped = ["--slots", str(CAPS[tenant])] if tenant in CAPS else []
        world.ctl("tenant", "set", tenant, "--weight", str(1 + n % 4), *capped, check=True)
    world.ctl("budget", "set", "*", "--day", str(cost * 1000), "--month",
              str(cost * 100000), check=True)
    tap.equal(Decimal(str(budgets(world)["*", "month"]["spent"])), cost,
              "what was spent before counts")
    return cost


def check_waits(world, fleet, cost):
    """All that fits was bought, and the others wait under their reason."""
    wait_for(lambda: closed(world) == 1 + sum(FITS.values()) + len(BAD), 120,
             "what fits is done")
    billed = billed_by_tenant(world)
    tap.equal({t: billed.get(t) for t in TENANTS}, {t: FITS[t] * cost for t in TENANTS},
              "each tenant was billed what its budget has room for")
    waits = ("SELECT r.request_id, w.budget FROM waiting w JOIN request r USING (id)"
             " WHERE r.tenant = 't00' AND w.source IS NULL ORDER BY w.id DESC")
    wait_for(lambda: {budget for _, budget in world.query(waits)} == {"t00"}, 30,
             "all that wait were put aside")
    last = world.query(waits)[0][0]
    words = world.ctl("explain", last).stdout
    tap.check("budget" in words and " a day" in words and "next period begins" in words,
              "explain names the budget, its limit and when it resets", words)
    wait_for(lambda: any(b"budget" in fetch(w.admin + "/readyz")[1] for w in fleet), 20,
             "/readyz names it")
    wait_for(lambda: any(world.metric(w, 'pixverse_budget_waiting_requests{tenant="t00",'
                                         'period="day"}') == len(world.query(waits))
                         for w in fleet), 30, "the metrics count who waits")
    listed = budgets(world)
    tap.equal({(listed[t, "day"]["reserved"], listed[t, "day"]["doubtful"]) for t in TENANTS},
              {(0, 0)}, "nothing is reserved or doubtful any more")
    tap.equal([t for t in TENANTS if not listed[t, "day"]["near"]], [], "all of them are near")


def check_money(world):
    """To the last of them, under one budget for all; then under none."""
    def settled():
        listed = budgets(world)["*", "day"]
        return listed if listed["reserved"] == listed["doubtful"] == 0 else None
    listed = wait_for(settled, 30, "nothing is reserved or doubtful")
    tap.equal(Decimal(str(listed["spent"])), sum(billed_by_tenant(world).values()),
              "what was spent is what was billed")
    world.ctl("budget", "unset", "*", check=True)
    wait_for(lambda: world.query("SELECT count(*) FROM money") == [(0,)], 30,
             "no money is kept any more")


def most_at_once(tasks):
    """Of spans of time, the most that overlap."""
    ends = sorted([(t["at_ms"], 1) for t in tasks]
                  + [(t["at_ms"] + t["latency_ms"], -1) for t in tasks])
    now = most = 0
    for _, step in ends:
        now += step
        most = max(most, now)
    return most


def check_ledger(world, names):
    ledger = world.ledger()
    tap.equal((len(ledger["tasks"]), len({t["key"] for t in ledger["tasks"]})),
              (1 + len(names), 1 + len(names)), "each was bought once")
    bought = {t["request"]["prompt"].split(" ")[0]: t for t in ledger["tasks"]}
    bad = {f"{t}-{CHAIN}" for t in BAD}
    ends = {name: events[0] for name, events in world.events.items()}
    tap.equal({n for n in names if ends[n]["status"] != "completed"}, bad,
              "all are completed but what the provider failed")
    tap.equal([n for n in names if ends[n]["account"] != NAMES[bought[n]["api_key"]]], [],
              "each event names the account that bought it")
    slots = {a["name"]: a["slots"] for a in ACCOUNTS}
    peaks = {NAMES[k["api_key"]]: k["running_peak"] for k in ledger["totals"]["keys"]}
    tap.check(len(peaks) == 3 and all(n <= slots[name] for name, n in peaks.items()),
              "no account ever had more at once than its slots", peaks)
    crowded = {t: most_at_once([bought[n] for n in names if n.startswith(t) and n not in bad])
               for t in CAPS}
    tap.check(all(n <= CAPS[t] for t, n in crowded.items()), "nor a tenant than its cap",
              crowded)
    pairs = [(bought[f"{t}-{n - 1}"], bought[f"{t}-{n}"])
             for t in TENANTS for n in range(1, CHAIN)]
    tap.equal([b["request"]["prompt"] for a, b in pairs
               if b["request"]["extend_from_task_id"] != a["task_id"]
               or b["at_ms"] < a["at_ms"] + a["latency_ms"]], [],
              "each chain was bought in its order, from the very task before")
    tap.equal([b["request"]["prompt"] for a, b in pairs if a["api_key"] != b["api_key"]], [],
              "and on one account")


def away_from_midnight():
    """Budgets of a day begin anew then; no machine is so busy that this takes longer."""
    left_s = 86400 - time.time() % 86400
    if left_s < 600:
        time.sleep(left_s + 1)


def run(world, postgres, rng):
    world.faults(FAULTS)
    cost = set_up(world)
    strikes = Strikes(world, postgres, rng)
    tap.note(f"strikes: {strikes.plan}")
    looks = Looks(postgres.url)
    names = [f"{t}-{n}" for n in range(REQUESTS) for t in TENANTS]
    lose_answers(world, names, rng)
    send_all(world)
    most = 1 + sum(FITS.values())
    strikes.part(0, most + len(BAD))
    check_waits(world, strikes.fleet, cost)
    most += MORE
    world.ctl("budget", "set", "*", "--day", str(cost * most), check=True)
    for tenant in TENANTS:
        world.ctl("budget", "unset", tenant, check=True)
    strikes.part(1, most + len(BAD))
    wait_for(lambda: closed(world) == most + len(BAD), 120,
             "the budget of all bounds what is bought from now on")
    world.ctl("budget", "set", "*", "--day", str(cost * 1000), check=True)
    strikes.part(2, 1 + len(names))
    world.wait_events(names, 120)
    tap.check(looks.end(), "budgets and caps were looked at to the end")
    tap.equal(looks.over, [], "no budget was exceeded at any look")
    tap.equal(looks.crowded, [], "and no cap")
    tap.check(looks.looks > 50, "there were many", looks.looks)
    check_money(world)
    check_ledger(world, names)


def main():
    seed = seed_of_run()
    tap.note(f"REQUESTS={REQUESTS} KILLS={KILLS} FREEZES={FREEZES} OUTAGES={OUTAGES} "
             f"SEED={seed}")
    away_from_midnight()
    postgres = Postgres()
    sim = ["--schema", "yes"]
    for account in ACCOUNTS:
        sim += ["--key", f"{account['key']};balance=10000;slots={account['slots']}"]
    try:
        with World(workers=0, latency="0.2..0.5", sim=sim, postgres=postgres,
                   settings=SETTINGS) as world:
            run(world, postgres, random.Random(seed))
    finally:
        postgres.stop()


tap.run(main)
