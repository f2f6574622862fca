#!/usr/bin/env python3
# tests/run: postgres kafka timeout=500
"""PgBouncer before PostgreSQL. In session mode all works, also where connections
break and backends come second-hand; in transaction and statement mode every
command says what is wrong, and nothing runs. A bystander that shares the pool loses
no transaction to us."""

import os

import tap
from pgbouncer import Bystander, PgBouncer, Relay
from world import World, fetch, wait_for

DIRECT = os.environ["TEST_DATABASE_URL"]
REQUESTS = 60
CUTS = 6

MODES = {
    "transaction": {"pool_mode": "transaction", "default_pool_size": 5},
    "transaction, one backend": {"pool_mode": "transaction", "default_pool_size": 1},
    "transaction, in turns": {"pool_mode": "transaction", "default_pool_size": 2,
                              "server_round_robin": 1},
    "statement": {"pool_mode": "statement", "default_pool_size": 5},
}


def refused(done, text):
    said = done.stdout + done.stderr
    tap.equal(done.returncode, 1, f"{text}: status 1", said)
    tap.check("session mode" in said and "DATABASE_URL" in said,
              f"{text}: it says what to do", said)


def check_other_modes(world):
    for number, (name, settings) in enumerate(MODES.items()):
        pooler = PgBouncer(DIRECT, f"other{number}", **settings)
        through = world.environment(DATABASE_URL=pooler.url)
        refused(world.command("pixverse-worker", "check", env=through), f"{name}: check")
        if name == "transaction":
            refused(world.command("pixverse-worker", "migrate", env=through),
                    f"{name}: migrate")
            check_run(world, pooler)
        pooler.stop()


def check_slow(world):
    """Where PostgreSQL answers late, what both clients have had is proof enough."""
    line = Relay(DIRECT, late_s=0.4)
    pooler = PgBouncer(line.url, "slow", pool_mode="transaction", default_pool_size=1)
    refused(world.command("pixverse-worker", "check", env=world.environment(
        DATABASE_URL=pooler.url)), "transaction, slow answers: check")
    pooler.stop()
    line.end()


def check_run(world, pooler):
    """It waits, says why, and neither takes part nor harms who else is there."""
    bystander = Bystander(pooler.url)
    bystander.wait(50)
    leases = world.query("SELECT count(*) FROM lease")
    worker = world.start_worker(wait=False, DATABASE_URL=pooler.url)

    def told():
        try:
            status, body = fetch(worker.admin + "/readyz")
        except OSError:
            return None
        # Where an answer came late, it says first that it can't find out.
        return body.decode() if status == 503 and b"session mode" in body else None
    text = wait_for(told, 30, "a reason in /readyz")
    tap.check("DATABASE_URL" in text, "run: not ready, and /readyz says what to do", text)
    bystander.wait(300)
    tap.equal(world.query("SELECT count(*) FROM lease"), leases, "run: it takes no lease")
    tap.equal(world.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                          " AND database = (SELECT oid FROM pg_database"
                          "  WHERE datname = current_database())"),
              [(0,)], "run: it leaves no lock in a backend of the pool")
    tap.equal(worker.stop(), 0, "run: it drains")
    tap.equal(bystander.end(), [], "the bystander lost nothing")


def check_session(reset):
    """Workers whose connections break, so that the bystander gets their backends while
    they come back; where nothing is reset, they get its worn ones."""
    name = "session" if reset else "session, nothing reset"
    pooler = PgBouncer(DIRECT, "kept" if reset else "worn", server_reset_query=reset)
    relay = Relay(pooler.url)
    worn = () if reset else ("SELECT pg_advisory_unlock_all()", "DEALLOCATE ALL",
                             "PREPARE bump AS SELECT 1", "SET enable_seqscan = on",
                             "SET statement_timeout = 0")
    bystander = Bystander(pooler.url, first=worn)
    bystander.wait(100)
    with World(workers=2 if reset else 1, postgres=relay) as world:
        ids = [f"r{len(reset)}.{i}" for i in range(REQUESTS)]
        for cut in range(CUTS if reset else 1):
            for i in ids[cut::CUTS] if reset else ids:
                world.send({"request_id": i, "request": {"prompt": f"through {i}"}})
            world.flush()
            if reset:
                back = told(world, "PostgreSQL is there")
                relay.cut()
                World.injected("connections to a pooler cut")
                wait_for(lambda: told(world, "PostgreSQL is there") >= back + 2, 30,
                         "both workers are back")
            bystander.wait(60)
        world.wait_events(ids, 90)
        # What was told when its connection was cut may be told again: the same event.
        ends = {i: {(e["status"], e.headers["ce_id"]) for e in world.events[i]} for i in ids}
        tap.equal([i for i in ids if [status for status, _ in ends[i]] != ["completed"]],
                  [], f"{name}: every request is completed once")
        tap.check(not any("session mode" in w.text() for w in world.workers),
                  f"{name}: nothing is said of another mode")
        done = world.command("pixverse-worker", "check")
        tap.equal(done.returncode, 0, f"{name}: check finds no fault", done.stdout)
    tap.equal(bystander.end(), [], f"{name}: the bystander lost nothing")
    pooler.stop()


def told(world, words):
    return sum(w.text().count(words) for w in world.workers)


def main():
    check_session("DISCARD ALL")
    check_session("")
    with World(workers=0) as world:
        check_other_modes(world)
        check_slow(world)


tap.run(main)
