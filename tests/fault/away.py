#!/usr/bin/env python3
# tests/run: kafka long timeout=600
"""PostgreSQL crashes, then Kafka, each in the middle of the work: the worker
stays, says so, and goes on where it was."""

import tap
from world import Kafka, Postgres, World, fetch, wait_for

REQUESTS = 200


def ready(worker):
    return fetch(worker.admin + "/readyz")


def outage(world, name, halt, again, what):
    """halt() in the middle of the work; the worker names what is away, and when
    again() has been called all requests end as if nothing had been."""
    worker = world.workers[0]
    ids = [f"{name}-{n}" for n in range(REQUESTS)]
    before = len(world.events)
    for n, i in enumerate(ids):
        world.send({"request_id": i, "request": {"prompt": f"{name} {n}"}})
    world.flush()
    wait_for(lambda: world.pump() or len(world.events) >= before + 5, 60,
             f"{name}: the first ends")
    halt()
    if what:
        status, body = wait_for(lambda: ready(worker)[0] == 503 and ready(worker), 40,
                                f"{name}: /readyz is 503")
        tap.check(what in body.decode().lower(), f"{name}: /readyz names it",
                  body.decode())
    tap.check(worker.alive(), f"{name}: the worker stays")
    again()
    wait_for(lambda: ready(worker)[0] == 200, 60, f"{name}: ready again")
    world.wait_events(ids, 120)
    several = [i for i in ids if len({e.raw for e in world.events[i]}) != 1]
    tap.equal(several, [], f"{name}: each request has one end")
    tap.equal([i for i in ids if world.events[i][0]["status"] != "completed"], [],
              f"{name}: all are completed")
    bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]
              if t["request"]["prompt"].startswith(f"{name} ")]
    tap.equal((len(bought), len(set(bought))), (REQUESTS, REQUESTS),
              f"{name}: each is bought once")


def main():
    postgres = Postgres()
    kafka = Kafka()
    try:
        with World(workers=1, latency="2..5", sim=["--schema", "yes"],
                   postgres=postgres, kafka=kafka) as world:
            outage(world, "postgres", postgres.halt, postgres.again, "postgres")
            outage(world, "kafka", kafka.halt, kafka.again, "kafka")
            tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0",
                      world.workers[0].text()[-3000:])
    finally:
        kafka.stop()
        postgres.stop()


tap.run(main)
