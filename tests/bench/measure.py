"""Looking at a run: what the worker, the servers and the cores did meanwhile, and
the table that it all goes into."""

import json
import os
import threading
import time
from pathlib import Path

import confluent_kafka
import psycopg

import world
from world import TMP, Program, World, fetch

TICK_S = 1 / os.sysconf("SC_CLK_TCK")

# Above these a run says more about something else than about the worker.
HARNESS_MAX = 0.85  # of core 1, by simulator, servers and load
STRANGERS_MAX = (0.05, 0.30)  # of core 0 and core 1, by what is no part of the run

# The tables that change because a worker lives, not because of a task.
# `vitals` is what a worker says of itself for people, every 10 s.
BEATS = "('lease', 'fleet', 'meta', 'vitals')"


# --- the table ---------------------------------------------------------------


class Table:
    """Rows: what was measured, what it is held against, whether that holds."""

    def __init__(self):
        self.rows = []

    def add(self, bench, what, number, text, required=None, good=True):
        """`required` is words; `good` says whether the number keeps to it."""
        self.rows.append({"bench": bench, "what": what, "number": number,
                          "value": text, "required": required, "good": good,
                          "void": None})
        print(f"{bench:8} {what:58} {text:>20}  {required or '':10}"
              f"{'' if good else 'MISSED'}", flush=True)

    def void(self, since, why):
        """The rows from that one on say little, and say so."""
        for row in self.rows[since:]:
            row["void"] = why
        print(f"         void: {why}", flush=True)

    def missed(self):
        return [row for row in self.rows if not row["good"]]

    def markdown(self):
        lines = ["| | what | value | required |", "|---|---|---:|---|"]
        for row in self.rows:
            required = row["required"] or ""
            if required:
                required += ": " + ("kept" if row["good"] else "**missed**")
            void = " (void)" if row["void"] else ""
            lines.append(f"| {row['bench']} | {row['what']} | {row['value']}{void} "
                         f"| {required} |")
        whys = dict.fromkeys((r["bench"], r["void"]) for r in self.rows if r["void"])
        lines += [f"\n{bench}: void, {why}." for bench, why in whys]
        return "\n".join(lines)


# --- processes and cores -----------------------------------------------------


def cpu_s(pid):
    """User and system time of a process, all its threads; 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def children_cpu_s(pid):
    """The same of a process, its children, and those that it has buried."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    total = sum(int(n) for n in fields[11:15]) * TICK_S
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return total + sum(cpu_s(child) for child in children)


def memory_mb(pid, field):
    """Pss or Rss of a process, from smaps_rollup."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return 0


def core_busy_s(core):
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            ticks = [int(n) for n in line.split()[1:9]]
            return (sum(ticks) - ticks[3] - ticks[4]) * TICK_S
    return 0


def postgres_pid():
    return int((TMP / "postgres/data/postmaster.pid").read_text().split()[0])


def kafka_pid():
    return int((TMP / "kafka/kafka.pid").read_text().split()[0])


# --- a world whose worker has a core of its own ------------------------------


class Pinned(World):
    """Workers run on core 0, in a database of their own; the caller of
    tests/bench/bench.py has put everything else on core 1."""

    def __init__(self, database, **options):
        base = os.environ["TEST_DATABASE_URL"]
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS bench_{database} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE bench_{database}")
        super().__init__(workers=0, **options)
        self.database_url = base.rsplit("/", 1)[0] + f"/bench_{database}"
        self.db = None

    def __enter__(self):
        super().__enter__()
        self.db = psycopg.connect(self.database_url, autocommit=True)
        return self

    def __exit__(self, *args):
        if self.db:
            self.db.execute("ALTER SYSTEM RESET autovacuum")
            self.db.execute("SELECT pg_reload_conf()")
            self.db.close()
        super().__exit__(*args)

    def environment(self, **more):
        """Settings as they are where nobody asks for more: no messages of progress,
        which the peers don't send either."""
        return super().environment(**{"KAFKA_PROGRESS_TOPIC": "", **more})

    def start_pinned(self, **settings):
        port = world.free_port()
        worker = Program(
            f"worker{len(self.workers)}",
            ["taskset", "-c", "0", world.BIN / "pixverse-worker", "run"],
            self.environment(ADMIN_LISTEN=f"127.0.0.1:{port}", LOG_LEVEL="warn",
                             **settings))
        worker.admin = f"http://127.0.0.1:{port}"
        self.programs.append(worker)
        self.workers.append(worker)
        self.wait_ready(worker, 60)
        return worker

    def ask(self, sql, *values):
        """One row of a query, over a connection that is kept."""
        return self.db.execute(sql, values).fetchone()

    def provider(self):
        """The processes that are it."""
        return [self.sim]

    def summary(self):
        """The totals of the simulator's ledger."""
        status, body = fetch(self.sim_url + "/sim/ledger?summary=1", timeout=60)
        if status != 200:
            raise RuntimeError(f"/sim/ledger: {status}")
        return json.loads(body)["totals"]

    def settle(self):
        """What PostgreSQL would do of its own accord in the middle of a window,
        for what was written before it, is done now and never again."""
        self.db.execute("ALTER SYSTEM SET autovacuum = off")
        self.db.execute("SELECT pg_reload_conf()")
        self.db.execute("VACUUM ANALYZE")
        self.db.execute("CHECKPOINT")


class Ends(threading.Thread):
    """Notes when the event of each request became visible, in Unix ms."""

    def __init__(self, w):
        super().__init__(daemon=True)
        self.reader, self.at_ms, self.over = w.event_reader, {}, False
        self.start()

    def run(self):
        while not self.over:
            message = self.reader.poll(0.1)
            if message and not message.error():
                self.at_ms.setdefault(message.key().decode(), time.time() * 1000)

    def stop(self):
        self.over = True
        self.join()

    def between(self, began_ms, ended_ms):
        return sum(began_ms <= at < ended_ms for at in self.at_ms.values())


def send_boats(w, prefix, n):
    """Requests as they are taken in by the hundred thousand."""
    for i in range(n):
        w.send({"request_id": f"{prefix}-{i}", "tenant": "bench", "request": {
            "prompt": "a paper boat on a river of light, slow dolly shot, " * 3,
            "resolution": "720p", "duration": 8, "seed": i}})


class Sealed:
    """What a World sends inside of `with` is in its topic, and no consumer sees it
    before open(): then all at once. It is one transaction of Kafka's, so a worker may
    be ready and idle for as long as the sending takes."""

    def __init__(self, w):
        self.w, self.usual = w, w.producer
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": w.brokers, "transactional.id": w.prefix + os.urandom(3).hex(),
            "transaction.timeout.ms": 600000, "linger.ms": 20, "message.max.bytes": 2097152})

    def __enter__(self):
        self.producer.init_transactions(60)
        self.producer.begin_transaction()
        self.w.producer = self.producer
        return self

    def __exit__(self, *_):
        self.w.flush(120)
        self.w.producer = self.usual

    def open(self):
        self.producer.commit_transaction(60)


# --- what happened meanwhile -------------------------------------------------


def written(w):
    """Rows of a task's tables and bytes of WAL so far. A backend tells its counts once
    a second, one that has gone idle up to 10 s late: a short window is off by a second's
    rows, and by what is begun in it and not ended."""
    return w.ask(f"""
        SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint,
            pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
        FROM pg_stat_user_tables WHERE relname NOT IN {BEATS}""")


class Window:
    """From its making to end(): what database, processes and cores did.

    took        after end(): seconds of CPU and of the clock, and counts
    """

    def __init__(self, w, worker):
        self.w, self.worker = w, worker
        # PostgreSQL's backends tell their counts once a second: both ends of a
        # window are as late.
        self.began = self.read()
        self.began_ms = time.time() * 1000

    def read(self):
        commits, rows, beats, wal = self.w.ask(f"""
            SELECT (SELECT xact_commit FROM pg_stat_database
                    WHERE datname = current_database()),
                coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del)
                    FILTER (WHERE relname NOT IN {BEATS}), 0)::bigint,
                coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del)
                    FILTER (WHERE relname IN {BEATS}), 0)::bigint,
                pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint
            FROM pg_stat_user_tables""")
        return {"s": time.monotonic(), "cpu": cpu_s(self.worker.pid),
                "postgres": children_cpu_s(postgres_pid()), "kafka": cpu_s(kafka_pid()),
                "sim": sum(cpu_s(one.pid) for one in self.w.provider()), "load": cpu_s(os.getpid()),
                "core0": core_busy_s(0), "core1": core_busy_s(1),
                "commits": commits, "rows": rows, "beats": beats, "wal": wal,
                "polls": self.w.metric(self.worker, "pixverse_polls_total") or 0}

    def end(self):
        self.ended_ms = time.time() * 1000
        now = self.read()
        self.took = {k: now[k] - self.began[k] for k in now}
        return self.took

    def why_void(self, alone=True):
        """None, or why this window says little of the worker. Not `alone`: the
        servers may be as busy as they like."""
        harness, strangers = self.harness(), self.strangers_of_cores()
        if alone and harness > HARNESS_MAX:
            return f"simulator, servers and load took {harness:.0%} of core 1"
        for core in (0, 1):
            if strangers[core] > STRANGERS_MAX[core]:
                return (f"{strangers[core]:.0%} of core {core} went to something that"
                        " is no part of this")
        return None

    def harness(self):
        """The share of core 1 that is this run's."""
        t = self.took
        return (t["postgres"] + t["kafka"] + t["sim"] + t["load"]) / t["s"]

    def strangers_of_cores(self):
        """The shares of both cores that are nobody's of this run."""
        t = self.took
        return ((t["core0"] - t["cpu"]) / t["s"], t["core1"] / t["s"] - self.harness())

    def strangers(self):
        return sum(self.strangers_of_cores())


class Histogram:
    """A histogram of the worker's, from its making to end()."""

    def __init__(self, worker, name):
        self.worker, self.name = worker, name
        self.began = self.read()

    def read(self):
        counts = {}
        for line in fetch(self.worker.admin + "/metrics")[1].decode().splitlines():
            if line.startswith(self.name + "_bucket{le="):
                counts[float(line.split('"')[1])] = float(line.rsplit(" ", 1)[1])
        return counts

    def end(self):
        now = self.read()
        self.grown = {le: now[le] - self.began.get(le, 0) for le in now}
        self.total = self.grown[float("inf")]

    def within_ms(self, share):
        """The upper end of the bucket in which that share is reached."""
        for le, count in self.grown.items():
            if self.total and count >= share * self.total:
                return le * 1000
        return float("nan")


def quantile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]
