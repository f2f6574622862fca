#!/usr/bin/env python3
# tests/run: alone postgres kafka long timeout=900
"""The database is away for several leases, behind a host that refuses connections and
one that swallows packets, while twelve workers buy from a provider that ignores keys.
Nobody alive is buried, and no id that was learnt ends as submit_unknown.
OUTAGES=SECONDS,... takes other lengths, each of both kinds."""

import os
import select
import socket
import threading
import time

import psycopg
import tap
from world import World, free_port, wait_for

WORKERS = 12
LEASE_MS = 4000  # of twelve processes one may stand still for three seconds by itself
BATCH = 60
OUTAGES = os.environ.get("OUTAGES", "")


class Line:
    """Forwards one port to the database, refuses it, or swallows what comes."""

    def __init__(self, url):
        self.info = psycopg.conninfo.conninfo_to_dict(url)
        self.open = threading.Event()
        self.open.set()
        self.pairs = []
        self.server = None
        self.port = free_port()  # none that a connection out may take while it refuses
        self.listen()

    def listen(self):
        self.server = socket.create_server(("127.0.0.1", self.port), backlog=1)
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()

    def upstream(self):
        host, port = self.info["host"], self.info.get("port", "5432")
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)), timeout=10)
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{host}/.s.PGSQL.{port}")
        return far

    def accept(self, server):
        while True:
            self.open.wait()
            try:
                if not select.select([server], [], [], 0.1)[0] or not self.open.is_set():
                    continue
                near, _ = server.accept()
                far = self.upstream()
            except (OSError, ValueError):
                return
            far.settimeout(None)
            self.pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.pipe, args=(one, other), daemon=True).start()

    def pipe(self, source, sink):
        try:
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def refuse(self):
        self.server.close()
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs.clear()

    def swallow(self):
        self.open.clear()  # two connections fit into the queue; packets of others are lost

    def heal(self):
        if self.open.is_set():
            self.listen()
        self.open.set()


def leases(world):
    return world.query("SELECT array_agg(id ORDER BY id) FROM lease WHERE NOT dead")[0][0]


def bumped(world, before):
    now = dict(world.query("SELECT id, counter FROM lease"))
    return all(now.get(lease, 0) > counter + 3 for lease, counter in before.items())


def outage(world, line, kind, seconds):
    name = f"{kind}.{seconds:g}"
    before = leases(world)
    ids = [f"{name}-{n}" for n in range(BATCH)]
    sold = len(world.ledger()["tasks"])
    for i in ids:
        world.send({"request_id": i, "request": {"prompt": i}})
    world.flush()
    wait_for(lambda: len(world.ledger()["tasks"]) >= sold + 5, 60, f"{name}: some are bought")
    world.injected(f"database away, {kind}")
    getattr(line, kind)()
    time.sleep(seconds)
    counters = dict(world.query("SELECT id, counter FROM lease"))
    line.heal()
    wait_for(lambda: bumped(world, counters), 60, f"{name}: all are back")
    time.sleep(3 * LEASE_MS / 1000)  # in which who was still away would be buried
    tap.equal(leases(world), before, f"{name}: nobody alive is buried")
    world.wait_events(ids, 180)
    tap.equal(sorted({world.events[i][0].value.get("error", {}).get("kind", "completed")
                      for i in ids}), ["completed"], f"{name}: all are completed")


def main():
    # Over within each outage, so that who takes over might settle; and no answer is late
    # where the machine stands still for a while: that would be a doubt, rightly.
    settings = {"LEASE_MS": str(LEASE_MS), "SUBMIT_DOUBT": "settle",
                "SUBMIT_TIMEOUT_MS": "9000", "SUBMITS_MAX": "4", "TASKS_MAX": "200"}
    with World(workers=0, latency="2..4", sim=["--no-idempotency"],
               settings=settings) as world:
        line = Line(world.database_url)
        settings["DATABASE_URL"] = psycopg.conninfo.make_conninfo(
            world.database_url, host="127.0.0.1", port=line.port, sslmode="disable",
            gssencmode="disable")
        for _ in range(WORKERS):
            world.start_worker(wait=False)
        for worker in world.workers:
            world.wait_ready(worker, 60)
        # Ready is who has all that it needs; it joins the fleet a moment later.
        wait_for(lambda: len(leases(world) or []) == WORKERS, 60, "all are in the fleet")
        # Each answer takes a while, so that some come while the database is away.
        world.faults([{"on": "submit", "kind": "delay", "delay_ms": 1500, "count": -1}])
        rounds = ([(kind, float(s)) for s in OUTAGES.split(",") for kind in
                   ("refuse", "swallow")] if OUTAGES else [("refuse", 12), ("swallow", 12)])
        for kind, seconds in rounds:
            outage(world, line, kind, seconds)
        said = [w.name for w in world.workers if "was taken for dead" in w.text()]
        tap.equal(said, [], "no worker was taken for dead")
        tap.equal(len(world.ledger()["tasks"]), BATCH * len(rounds), "each is bought once")
        for worker in world.workers:
            worker.kill()


tap.run(main)
