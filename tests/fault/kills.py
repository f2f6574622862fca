#!/usr/bin/env python3
# tests/run: alone postgres kafka long on_s3 timeout=1500
"""kill -9 of a random worker of three at random times, under load, and another one
in its place; then everything is awaited. KILLS=n kills so many, SEED=n those of an
earlier run."""

import contextlib
import math
import os
import random
import time

import tap
from lateness import LEASE_MS, Beats
from load import Death, Load, joined_ms, lease_of, seed_of_run
import world as worlds
from world import World, fetch, is_on_s3, wait_for

KILLS = int(os.environ.get("KILLS") or (5 if is_on_s3() else 20))
SEATS = 3
IN_FLIGHT = 300
TAKEOVER_MAX_S = 10
OFFSETS_EVERY_S = 1  # the workers' auto.commit.interval.ms


def ready(worker):
    try:
        return fetch(worker.admin + "/readyz", timeout=1)[0] == 200
    except OSError:
        return False


class Fleet:
    """Three seats; each keeps its place in the Kafka group, whoever sits there."""

    def __init__(self, world):
        self.world = world
        self.seats = [self.start(n) for n in range(SEATS)]
        self.fate = {}  # worker -> when it was killed

    def start(self, seat):
        return self.world.start_worker(
            wait=False, KAFKA_CONF_GROUP_INSTANCE_ID=worlds.seat(seat))

    def kill(self, load, number, seat):
        """The Death, or None, if it had no lease yet."""
        victim = self.seats[seat]
        others = [w for w in self.seats if w is not victim]
        survivors = [w for w in others if ready(w)]
        victim.kill()
        killed_ms = time.time() * 1000
        self.fate[victim] = killed_ms
        load.offsets.look(others)
        lease = lease_of(victim)
        thawed_ms = load.offsets.frozen_ms[-1][1]
        death = Death(number, killed_ms, thawed_ms, lease, survivors) if lease else None
        if death:
            load.takeovers.died(death)
        self.seats[seat] = self.start(seat)
        return death


def overlap_ms(spans, since_ms, until_ms):
    """How much of that time lies within any of the spans."""
    total = 0
    for began, ended in sorted(spans):
        began, ended = max(began, since_ms), min(ended, until_ms)
        total += max(0, ended - began)
        since_ms = max(since_ms, ended)
    return total


def check_takeovers(load, fleet, beats):
    took = load.takeovers.took
    tap.equal(list(load.takeovers.waiting), [], "every orphan is polled again")
    # As many as one commit may hold, where PostgreSQL stands still for a second.
    tap.check(load.takeovers.needless <= len(took) / 20, "or hardly ever needs that",
              load.takeovers.needless)
    last = {}
    for death, seconds in took:
        last[death.kill] = max(last.get(death.kill, 0), seconds)
    tap.note("kill: last orphan polled after: "
             + ", ".join(f"{kill}: {last[kill]:.1f} s" for kill in sorted(last)))
    tap.check(len(took) >= KILLS * 10, "the dead had tasks in flight", len(took))

    survivors = {w for death, _ in took for w in death.survivors}
    lives = {w: (lease_of(w), joined_ms(w)) for w in survivors}

    held = load.locked_ms + load.offsets.frozen_ms

    def waited_s(death, seconds):
        """How long some survivor that was there throughout could have had it: who has
        just joined declares nobody dead for two leases, whom we look at stands still, who
        was late itself counts anew, and who takes over waits behind the intake that our
        lock keeps waiting. None: there was none."""
        polled_ms = death.killed_ms + seconds * 1000
        began = [beats.counts_from(lease, max(death.thawed_ms, joined + LEASE_MS), polled_ms)
                 for lease, joined in (lives[w] for w in death.survivors
                                       if fleet.fate.get(w, math.inf) > polled_ms)]
        if not began:
            return None
        held_ms = overlap_ms(held, min(began) + LEASE_MS, polled_ms)
        return (polled_ms - min(began) - held_ms) / 1000
    waits = [waited_s(death, seconds) for death, seconds in took]
    fair = [(wait, *one) for wait, one in zip(waits, took, strict=True) if wait is not None]
    wait, death, seconds = max(fair, default=(math.inf, None, None), key=lambda one: one[0])
    tap.note(f"{len(took)} orphans, {len(fair)} of them with a survivor throughout, who had "
             f"{wait:.1f} s at most; {load.takeovers.needless} more needed no poll")
    tap.check(wait <= TAKEOVER_MAX_S,
              f"each is polled again within {TAKEOVER_MAX_S} s of the death of its "
              "worker, where another one lives on that is no newcomer",
              f"{wait} s, {seconds} s by the clock; {death}",
              f"spans without a store or a worker: {held}",
              *(f"{w.name} joined {lives[w][1]}, beats {beats.seen[lives[w][0]]}"
                for w in (death.survivors if death else [])))


def main():
    seed = seed_of_run()
    rng = random.Random(seed)
    tap.note(f"KILLS={KILLS} SEED={seed}")
    # Answers take their time, so that some are under way when a worker dies.
    with World(workers=0, latency="3..8", sim=["--schema", "yes", "--submit-ms", "50..500"],
               settings={"POLL_INTERVAL_MS": "2000",
                         "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}) as world, \
            Load(world, IN_FLIGHT, rng) as load, \
            contextlib.closing(Beats(world.database_url)) as beats:
        fleet = Fleet(world)
        for worker in fleet.seats:
            world.wait_ready(worker)
        load.fill()
        load.until(lambda: all(load.takeovers.can_settle(lease_of(w)) for w in fleet.seats),
                   30, "the sessions of each are known")
        for number in range(KILLS):
            load.turn(rng.uniform(0.3, 3.4))
            with load.intake_waits() if rng.random() < 0.5 else contextlib.nullcontext():
                load.turn(rng.uniform(0, 2 * OFFSETS_EVERY_S))
                death = fleet.kill(load, number, rng.randrange(SEATS))
            if death:
                load.takeovers.settle(death)
        load.finish()
        load.judge()
        check_takeovers(load, fleet, beats)
        for worker in fleet.seats:
            world.wait_ready(worker)
        # A new one may have died without a task, so that nothing has waited for its burial.
        living = "SELECT count(*) FROM lease WHERE NOT dead"
        wait_for(lambda: world.query(living)[0][0] == SEATS, 30, "the dead are buried")
        for worker in fleet.seats:
            tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0",
                      worker.text()[-2000:])
        tap.equal(world.query("SELECT id FROM lease WHERE NOT dead"), [],
                  "no lease lives on when all workers are gone")


tap.run(main)
