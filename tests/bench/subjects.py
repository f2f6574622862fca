"""Whose work is compared: our worker, and whole workers of the same job in other
languages (peers/README.md). All read the same settings and tell the same metrics."""

import json
import os
import shutil
import time
from pathlib import Path

import world
from measure import Pinned
from record import RECORD, judge_purchases
from world import ROOT, Program, fetch, wait_for

BUILT = ROOT / "build/peers"
DISK_LEAST = 10 << 30


FILLING = {"text": "'past-' || n", "bytea": "decode(md5(n::text), 'hex')",
           "boolean": "false", "double precision": "0"}


def fill(w, table, n, **values):
    """n rows of a table, whatever columns it has: SQL for those that are named, a
    value of the column's type for the others that must have one."""
    columns = dict(w.query("""SELECT column_name, data_type FROM information_schema.columns
        WHERE table_name = %s AND is_nullable = 'NO' AND column_default IS NULL
        AND is_identity = 'NO'""", table))
    values = {**{name: FILLING.get(kind, "1") for name, kind in columns.items()}, **values}
    w.db.execute(f"INSERT INTO {table} ({', '.join(values)}) SELECT"
                 f" {', '.join(values.values())} FROM generate_series(1, %(n)s) n", {"n": n})


class Subject:
    """One of those that are compared; what differs between them is here.

    name        in rows and results
    label       in tables and plots
    words       the command
    """

    def __init__(self, name, label, words):
        self.name, self.label, self.words = name, label, words

    def is_built(self):
        return Path(self.words[0]).exists()

    def migrate(self, w):
        """The schema; a peer makes its own when it starts."""

    def hold(self, w):
        """Settings with which nothing is submitted."""
        return {"SUBMITS_MAX": "0"}

    # An id is given once: the greatest is as good as a count, and cheap.
    stored, counted = "SELECT coalesce(max(id), 0) FROM peer_task", "SELECT count(*) FROM peer_task"

    def keys(self, w):
        """The idempotency keys that may have been sold."""
        return {key for (key,) in w.query("SELECT key FROM peer_task")}

    def past(self, w, n):
        """Tasks that are over since long."""
        fill(w, "peer_task", n, waiting="false", state="4")


class Ours(Subject):
    def migrate(self, w):
        w.command("pixverse-worker", "migrate", "--no-topics", check=True)

    def hold(self, w):
        w.query("INSERT INTO hold (reason, scope, since_ms, next_try_ms, message)"
                " VALUES ('operator', '*', 0, 0, 'bench') RETURNING 1")
        return {}

    stored, counted = "SELECT coalesce(max(id), 0) FROM request", "SELECT count(*) FROM request"

    def keys(self, w):
        return w.keys()

    def past(self, w, n):
        fill(w, "request", n)
        fill(w, "closed", n, id="n + (SELECT max(id) FROM request) - %(n)s")


OURS = Ours("ours", "pixverse-worker (C)", [world.BIN / "pixverse-worker", "run"])
SUBJECTS = {s.name: s for s in (
    OURS,
    Subject("rust", "Rust", [BUILT / "rust/release/pixverse-peer"]),
    Subject("go", "Go", [BUILT / "go/pixverse-peer"]))}


class Arena(Pinned):
    """A world whose workers are those of one subject, on core 0."""

    def __init__(self, subject, name, **options):
        self.subject = subject
        # Videos of its own: a worker may well find that one is there already.
        label = f"{subject.name}-{name}-{os.urandom(3).hex()}"
        super().__init__(f"{subject.name}_{name}", name=label, **options)

    def migrate(self):
        self.subject.migrate(self)

    def __exit__(self, *args):
        """Thousands of files that are removed make ext4 slower for a while: they stay
        until the disk asks for it, or the run is over."""
        super().__exit__(*args)
        if shutil.disk_usage(world.TMP).free < DISK_LEAST:
            for folder in world.TMP.glob("*-videos"):
                shutil.rmtree(folder)
            os.sync()
            time.sleep(10)

    def start(self, wait=True, core=0, **settings):
        """Another worker on that core."""
        port, number = world.free_port(), len(self.workers)
        env = self.environment(ADMIN_LISTEN=f"127.0.0.1:{port}", LOG_LEVEL="warn",
                               **settings)
        worker = Program(f"{self.subject.name}{number}",
                         ["taskset", "-c", str(core), *self.subject.words],
                         {**env, "HOME": os.environ.get("HOME", "/")})
        worker.admin = f"http://127.0.0.1:{port}"
        worker.injures = f"kill -9 of {self.subject.name}"
        self.programs.append(worker)
        self.workers.append(worker)
        if wait:
            self.wait_ready(worker, 60)
        return worker

    def running(self, worker):
        return self.metric(worker, 'pixverse_tasks{state="running"}') or 0

    def tell_purchases(self, where):
        """Ledgers of hundreds of thousands of tasks are judged by their totals."""
        totals = self.summary()
        if totals["accepted"] > 60000:
            if totals["accepted"] > len(self.sent_ids):
                RECORD.violation(f"{where}: {totals['accepted']} bought for"
                                 f" {len(self.sent_ids)} requests")
            return
        status, body = fetch(self.sim_url + "/sim/ledger?sha256=0", timeout=60)
        if status != 200:
            raise RuntimeError(f"/sim/ledger: {status}")
        tasks = json.loads(body)["tasks"]
        RECORD.add(billed=sum(1 for task in tasks if task["billed"]))
        judge_purchases(tasks, self.subject.keys(self), self.outside, where)


def wait_stored(w, n, limit_s):
    """All n are rows. Those of one commit may be missing when the greatest is there:
    with two connections the other one's is on its way."""
    def enough():
        time.sleep(0.01)
        return w.ask(w.subject.stored)[0] >= n and w.ask(w.subject.counted)[0] >= n
    wait_for(enough, limit_s, f"{n} rows")
