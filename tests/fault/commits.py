#!/usr/bin/env python3
# tests/run: kafka long sanitized timeout=300
"""PostgreSQL is lost in the middle of a COMMIT, COMMITS times (20): the connection is
cut before the COMMIT arrives, or after it and before its answer; the backend is ended,
or killed with -9, while it commits. Each is done to transactions that take requests in,
claim them with the intent to send, save what came of it and the end, and clear away what
is told. What such a transaction left behind is known only from the rows: nothing may be
bought twice, lost, or told in two ways."""

import os
import random
import signal
import socket
import struct
import threading
import time

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import tap
from world import Postgres, World, wait_for

COMMITS = int(os.environ.get("COMMITS", "20"))
KINDS = {
    "before": "connection cut before a COMMIT",
    "after": "connection cut before a COMMIT's answer",
    "ended": "backend ended during COMMIT",
    "killed": "backend killed -9 during COMMIT",
}
STATEMENTS = ("intake", "claim", "save", "end", "told")
BATCH = 6


class Link:
    """One connection. A transaction goes out whole and ends with a Sync, at which the
    server commits; its ReadyForQuery is the answer."""

    def __init__(self, proxy, near, far):
        self.proxy, self.near, self.far = proxy, near, far
        self.pid = 0  # of the backend
        self.names = set()  # statements since the last Sync
        self.lock = threading.Lock()
        self.unanswered = 1  # what ends in a ReadyForQuery, as connecting does
        self.withhold = None  # so many answers go through before those of the cut one
        self.failed = False  # the withheld transaction
        self.order = None  # to be done here; one connection serves for one
        self.over = False
        threading.Thread(target=self.run, args=(self.to_server, near), daemon=True).start()
        threading.Thread(target=self.run, args=(self.to_client, far), daemon=True).start()

    def run(self, pump, source):
        try:
            with source.makefile("rb") as stream:
                pump(stream)
        except (OSError, struct.error):
            pass
        self.cut()

    def cut(self):
        with self.lock:
            over, self.over = self.over, True
        if not over and self.order:
            self.proxy.ask(*self.order)  # it was lost before, by what is under way
        for end in (self.near, self.far):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def message(stream):
        head = stream.read(5)
        if len(head) < 5:
            raise OSError("the end")
        return head[:1], head + stream.read(struct.unpack(">i", head[1:])[0] - 4)

    def to_server(self, stream):
        head = stream.read(4)  # the first message has no type
        self.far.sendall(head + stream.read(struct.unpack(">i", head)[0] - 4))
        while True:
            kind, whole = self.message(stream)
            if kind == b"B":
                self.names.add(whole[5:].split(b"\0", 2)[1].decode())
            if kind != b"S":
                with self.lock:
                    self.unanswered += kind == b"Q"
                self.far.sendall(whole)
                continue
            names, self.names = self.names, set()
            with self.lock:
                order = None if self.over or self.order else self.proxy.wanted(names)
                self.order = self.order or order  # it stays, whatever comes behind it
                how = order and order[0]
                if how == "after":
                    self.withhold = self.unanswered
                elif how:
                    self.over = True
                self.unanswered += 1
            if how == "before":
                self.did("rolled back")
                return
            if how not in ("ended", "killed"):
                self.far.sendall(whole)
            elif self.arrives(whole) and self.proxy.strike(how, self.pid):
                self.did("who knows")
            else:
                self.proxy.ask(*self.order)  # the last one's crash was first

    def arrives(self, whole):
        """False: the server is gone, and nobody has told the client yet."""
        try:
            self.far.sendall(whole)
            return True
        except OSError:
            return False

    def did(self, what):
        self.over = True
        self.proxy.did(what)

    def to_client(self, stream):
        while True:
            kind, whole = self.message(stream)
            if kind == b"K":
                self.pid = struct.unpack_from(">i", whole, 5)[0]
            with self.lock:
                withheld = self.withhold == 0
                if kind == b"Z" and self.withhold:
                    self.withhold -= 1
                self.unanswered -= kind == b"Z"
            if not withheld:
                self.near.sendall(whole)
                continue
            self.failed = self.failed or kind == b"E"
            if kind == b"Z" and self.failed:
                self.over = True  # refused, by a lease that was lost: no commit was cut
                self.proxy.ask(*self.order)
                return
            if kind == b"Z":
                self.did("committed")
                return


class Proxy:
    """Before the server: `url` leads through it. At most one cut is ordered at a time."""

    def __init__(self, postgres):
        self.postgres = postgres
        to = conninfo_to_dict(postgres.url)
        self.to = to["host"], int(to["port"])
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = make_conninfo(postgres.url, port=self.server.getsockname()[1],
                                 sslmode="disable", gssencmode="disable")
        self.lock = threading.Lock()
        self.order = None
        self.done = None
        self.random = random.Random(4)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.server.accept()
            try:
                far = socket.create_connection(self.to, timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Link(self, near, far)

    def ask(self, how, statement):
        with self.lock:
            self.done = None
            self.order = how, statement

    def wanted(self, names):
        """Whether a transaction of these statements is the ordered one, and how."""
        with self.lock:
            if self.order and self.order[1] in names:
                order, self.order = self.order, None
                return order
            return None

    def did(self, what):
        self.done = what

    def strike(self, how, pid):
        """While it commits: that takes as long as commit_delay says. False: the
        backend, or the server, is gone already."""
        time.sleep(self.random.uniform(0, 0.04))
        try:
            if how == "killed":
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    assert comm.read().strip() == "postgres"
                os.kill(pid, signal.SIGKILL)
                return True
            with psycopg.connect(self.postgres.url, autocommit=True) as connection:
                return connection.execute("SELECT pg_terminate_backend(%s)",
                                          (pid,)).fetchone()[0]
        except (OSError, psycopg.Error):
            return False


def cases():
    """Every kind on every statement in turn, COMMITS of them."""
    every = [(how, statement) for how in KINDS for statement in STATEMENTS]
    return [every[n % len(every)] for n in range(COMMITS)]


def rows(world, sql):
    """Of a query, once the server is back: a backend that was killed takes it along, and
    all may have been told by then."""
    def asked():
        try:
            return [world.query(sql)]
        except psycopg.OperationalError:
            return None
    return wait_for(asked, 30, "PostgreSQL is back")[0]


def check(world, ids):
    world.wait_events(ids, 90)
    world.pump(0.5)
    tap.equal([i for i in ids if world.events[i][0]["status"] != "completed"], [],
              "all are completed")
    tap.equal([i for i in ids if len({e.raw for e in world.events[i]}) != 1], [],
              "each request has one end")
    bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]]
    tap.equal(sorted(bought), sorted(ids), "each is bought once")
    wait_for(lambda: not rows(world, "SELECT 1 FROM task UNION ALL SELECT 1 FROM waiting"),
             30, "all are closed")
    tap.equal(rows(world, "SELECT count(*) FROM closed")[0][0], len(ids),
              "every row is closed")


def main():
    # A COMMIT waits for others that may come, and can be hit meanwhile.
    postgres = Postgres("commit_delay = 20000", "commit_siblings = 0")
    proxy = Proxy(postgres)
    try:
        with World(workers=2, latency="0.2..0.6", sim=["--schema", "yes"],
                   postgres=proxy) as world:
            ids, came = [], []
            for n, (how, statement) in enumerate(cases()):
                proxy.ask(how, statement)
                for m in range(BATCH):
                    identity = f"commit-{n}-{m}"
                    ids.append(identity)
                    world.send({"request_id": identity, "request": {"prompt": identity}})
                world.flush()
                wait_for(lambda: world.pump() or proxy.done, 30,
                         f"case {n}: {statement} {how}")
                world.injected(KINDS[how])
                came.append((how, proxy.done))
            outcomes = {what: sum(done == what for _, done in came)
                        for what in sorted({done for _, done in came})}
            tap.note(f"{len(came)} transactions: {outcomes}")
            tap.equal(len(came), COMMITS, "so many were hit")
            tap.equal({done for how, done in came if how == "before"}, {"rolled back"},
                      "those cut before the COMMIT left nothing")
            tap.equal({done for how, done in came if how == "after"}, {"committed"},
                      "those cut before the answer were committed")
            check(world, ids)
            tap.equal([w.process.poll() for w in world.workers], [None] * 2,
                      "the workers stay", *[w.text()[-2000:] for w in world.workers])
            for worker in world.workers:
                world.wait_ready(worker)
                tap.check(True, "ready at the end")
                tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0",
                          worker.text()[-2000:])
    finally:
        postgres.stop()


tap.run(main)
