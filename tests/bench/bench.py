"""What tests/bench/run measures: each bench makes a world of its own, measures in
windows after warm-up, and adds rows to the table. README.md says what they mean."""

import json
import os
import sys
import time

from confluent_kafka import Consumer, TopicPartition

from measure import (Ends, Histogram, Pinned, Sealed, Table, Window, memory_mb,
                     quantile, send_boats)
from storage import bench_storage
from world import ROOT, Late, fetch, wait_for

QUICK = "--quick" in sys.argv
NAMES = [a for a in sys.argv[1:] if not a.startswith("-")]
LATENESS_MAX_MS = 250
TABLE = Table()
SMALL = ("--video-bytes", "65536")


# --- ingest ------------------------------------------------------------------


def bench_ingest():
    """From a full topic to committed rows; a hold keeps the provider out of it."""
    n, warm = 100000, 5000
    with Pinned("ingest", settings={"BACKLOG_MAX": "1000000"}) as w:
        w.db.execute("INSERT INTO hold (reason, scope, since_ms, next_try_ms, message)"
                     " VALUES ('operator', '*', 0, 0, 'bench')")
        worker = w.start_pinned()

        def stored():
            return w.ask("SELECT coalesce(max(id), 0) FROM request")[0]
        send_boats(w, "warm", warm)
        w.flush()
        wait_for(lambda: stored() >= warm, 60, "the first rows")
        with Sealed(w) as backlog:
            send_boats(w, "i", n)
        window = Window(w, worker)
        backlog.open()
        wait_for(lambda: stored() >= warm + n, 240, "all rows")
        t = window.end()
        wait_for(lambda: offsets(w) >= warm + n, 30, "all offsets")
        behind = time.time() - window.ended_ms / 1000
        if w.ask("SELECT count(*) FROM request")[0] != warm + n:
            raise Late("not every request is stored")
        if w.summary()["posts"]:
            raise RuntimeError("the provider was asked in spite of the hold")
        rate = n / t["s"]
        worker.stop(30)
        began = len(TABLE.rows)
        whole, single = plain_inserts(w, warm + n)
        add = TABLE.add
        add("ingest", "requests from topic to committed row", rate, f"{rate:,.0f} /s")
        add("ingest", "plain unnest inserts of the same rows, same tables", whole,
            f"{whole:,.0f} /s")
        add("ingest", "share of that", rate / whole, f"{rate / whole:.2f}")
        add("ingest", "plain unnest inserts into the one table request", single,
            f"{single:,.0f} /s")
        add("ingest", "share of that", rate / single, f"{rate / single:.2f}")
        each = {k: t[k] / n * 1e6 for k in ("cpu", "postgres", "kafka")}
        add("ingest", "worker's CPU a request", each["cpu"], f"{each['cpu']:.0f} us")
        add("ingest", "PostgreSQL's, Kafka's beside it", each["postgres"],
            f"{each['postgres']:.0f}, {each['kafka']:.0f} us")
        add("ingest", "commits for 1,000 requests", t["commits"] / n * 1e3,
            f"{t['commits'] / n * 1e3:.1f}")
        add("ingest", "offsets committed, after the last row", behind, f"{behind:.1f} s")
        judge(window, began, alone=False)


def offsets(w):
    """How far the workers' group has committed the request topic."""
    reader = Consumer({"bootstrap.servers": w.brokers,
                       "group.id": w.prefix + "workers"})
    try:
        done = reader.committed([TopicPartition(w.topic("requests"), p)
                                 for p in range(w.partitions)], 10)
        return sum(max(0, p.offset) for p in done)
    finally:
        reader.close()


PLAIN = """
    INSERT INTO plain.request (request_id, content, tenant, mode, priority, body,
        warnings, received_ms)
    SELECT * FROM unnest(%s::text[], %s::bytea[], %s::text[], %s::smallint[],
        %s::smallint[], %s::text[], %s::text[], %s::bigint[])"""
PLAIN_ALL = f"""
    WITH r AS ({PLAIN} RETURNING id, priority, received_ms)
    INSERT INTO plain.waiting (id, priority, fence, version, submission, tries,
        received_ms, deadline_ms, not_before_ms, first_sent_ms, last_sent_ms, account)
    SELECT id, priority, 0, 0, 0, 0, received_ms, 0, 0, 0, 0, '' FROM r"""


def plain_inserts(w, n):
    """Rows a second that PostgreSQL takes from a client that does nothing else: the
    worker's rows once more, 500 a commit, sent from the worker's core."""
    batches = w.db.execute("""
        SELECT array_agg(request_id)::text, array_agg(content)::text,
            array_agg(tenant)::text, array_agg(mode)::text, array_agg(priority)::text,
            array_agg(body)::text, array_agg(warnings)::text,
            array_agg(received_ms)::text
        FROM request GROUP BY id / 500 ORDER BY id / 500""").fetchall()
    rates = []
    for statement in (PLAIN_ALL, PLAIN):
        w.db.execute("DROP SCHEMA IF EXISTS plain CASCADE")
        w.db.execute("CREATE SCHEMA plain")
        for table in ("request", "waiting"):
            w.db.execute(f"CREATE TABLE plain.{table} (LIKE {table} INCLUDING ALL)")
        w.db.execute("CHECKPOINT")
        os.sched_setaffinity(0, {0})
        began = time.monotonic()
        for batch in batches:
            w.db.execute(statement, batch, prepare=True)
        rates.append(n / (time.monotonic() - began))
        os.sched_setaffinity(0, {1})
    return rates


# --- cost and latency --------------------------------------------------------


def paced(w, prefix, rate, seconds):
    """Requests at a steady rate; their ids."""
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) - began < seconds:
        while sent < (now - began) * rate:
            w.send({"request_id": f"{prefix}-{sent}",
                    "request": {"prompt": f"{prefix}-{sent}"}})
            sent += 1
        time.sleep(0.005)
    w.flush()
    return [f"{prefix}-{i}" for i in range(sent)]


def waits_ms(w, ends, ids):
    """From the first `completed` that was answered to the visible event, sorted."""
    wait_for(lambda: all(i in ends.at_ms for i in ids), 60, "all events")
    status, body = fetch(w.sim_url + "/sim/ledger?sha256=0", timeout=60)
    told = {t["request"]["prompt"]: t["first_completed_at_ms"]
            for t in json.loads(body)["tasks"]}
    return sorted(ends.at_ms[i] - told[i] for i in ids)


def add_waits(bench, waits, when):
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        ms = quantile(waits, share)
        TABLE.add(bench, f'"completed" answered to event visible, {when}, {name}', ms,
                  f"{ms:.1f} ms")


def bench_cost():
    """200 tasks a second with 15 polls each: 7.5 s at a poll every 0.5 s."""
    rate, seconds = 200, (15 if QUICK else 40)
    with Pinned("cost", latency="7..8", sim=SMALL,
                settings={"POLL_INTERVAL_MS": "500"}) as w:
        began, worker, ends = len(TABLE.rows), w.start_pinned(), Ends(w)
        paced(w, "warm", rate, 12)
        window = Window(w, worker)
        ids = paced(w, "cost", rate, seconds)
        t = window.end()
        done = ends.between(window.began_ms, window.ended_ms)
        if not done:
            raise Late("no task was finished")
        add = TABLE.add
        add("cost", f"tasks finished in {t['s']:.0f} s", done, f"{done:,}")
        add("cost", "polls a task", t["polls"] / done, f"{t['polls'] / done:.1f}")
        for name, key in (("worker's CPU", "cpu"), ("PostgreSQL's CPU", "postgres"),
                          ("Kafka's CPU", "kafka")):
            add("cost", f"{name} for 1,000 tasks", t[key] / done * 1e3,
                f"{t[key] / done * 1e3:.2f} s")
        add("cost", "commits a task", t["commits"] / done, f"{t['commits'] / done:.2f}")
        add("cost", "rows written a task", t["rows"] / done, f"{t['rows'] / done:.1f}")
        add("cost", "WAL a task", t["wal"] / done, f"{t['wal'] / done:,.0f} bytes")
        add_waits("cost", waits_ms(w, ends, ids), "200 a second")
        judge(window, began)
        ends.stop()


def bench_latency():
    """20 a second: what a worker with time on its hands adds."""
    with Pinned("latency", latency="0.5..3", sim=SMALL) as w:
        began, worker, ends = len(TABLE.rows), w.start_pinned(), Ends(w)
        paced(w, "warm", 20, 3)
        window = Window(w, worker)
        ids = paced(w, "l", 20, 10 if QUICK else 30)
        window.end()
        add_waits("latency", waits_ms(w, ends, ids), "20 a second")
        judge(window, began)
        ends.stop()


# --- in flight ---------------------------------------------------------------


def bench_flight():
    for n in (20000, 50000):
        flight(n, 15 if QUICK else 60)


def idle_rates(w, worker, seconds):
    """Commits, beats and WAL a second of a worker that has nothing to do."""
    time.sleep(3)
    window = Window(w, worker)
    time.sleep(seconds)
    t = window.end()
    return {k: t[k] / t["s"] for k in ("commits", "beats", "wal")}


class PollWindow:
    """A window in which only polls happen, as worker and provider see it."""

    def __init__(self, w, worker, seconds):
        seen = w.summary()
        self.window = Window(w, worker)
        self.lateness = Histogram(worker, "pixverse_poll_lateness_seconds")
        time.sleep(seconds)
        self.lateness.end()
        self.window.end()
        now = w.summary()
        self.late, self.polls = (now[k] - seen[k] for k in ("polls_late", "polls"))


def flight(n, seconds):
    settings = {"POLL_INTERVAL_MS": "5000", "TASKS_MAX": str(n + 1000),
                "SUBMITS_MAX": "256", "BACKLOG_MAX": "1000000"}
    with Pinned(f"flight_{n}", latency="1500..2000", settings=settings) as w:
        began, worker = len(TABLE.rows), w.start_pinned()
        idle = idle_rates(w, worker, 5 if QUICK else 15)
        for i in range(n):
            w.send({"request_id": f"f-{i}", "request": {"prompt": f"f-{i}"}})
        w.flush(60)

        def running():
            time.sleep(0.5)
            return (w.metric(worker, 'pixverse_tasks{state="running"}') or 0) >= n
        wait_for(running, 120, f"{n} in flight")
        w.settle()
        # Two intervals after the last was accepted; and a backend that has gone
        # idle tells its counts up to 10 s late.
        time.sleep(12)
        tries = []
        while not tries or (tries[-1].window.why_void() and len(tries) < 3):
            tries.append(PollWindow(w, worker, seconds))
        best = min(tries, key=lambda one: one.window.strangers())
        name = f"{n:,} in flight: "
        add_flight(name, n, best.window.took, idle, best.lateness, worker)
        TABLE.add("flight", name + "polls that the provider saw 2.5 s late", best.late,
                  f"{best.late:,} of {best.polls:,}")
        judge(best.window, began)
        worker.kill()  # a drain of so many is no part of this


def add_flight(name, n, t, idle, lateness, worker):
    def add(what, *rest):
        TABLE.add("flight", name + what, *rest)
    due = n / 5 * t["s"]
    add("polls done of those due", t["polls"] / due, f"{t['polls'] / due:.1%}")
    for share, word in ((0.5, "p50"), (0.99, "p99"), (1, "longest")):
        ms = lateness.within_ms(share)
        held = share == 0.99
        add(f"poll lateness {word}, at most", ms, f"{ms:g} ms",
            f"<= {LATENESS_MAX_MS} ms" if held else None,
            not held or ms <= LATENESS_MAX_MS)
    add("share of a core", t["cpu"] / t["s"], f"{t['cpu'] / t['s']:.1%}")
    each = t["cpu"] / t["polls"] * 1e6
    add("worker's CPU a poll", each, f"{each:.1f} us")
    for field in ("Pss", "Rss"):
        mb = memory_mb(worker.pid, field)
        add(f"memory, {field}", mb, f"{mb:.0f} MB")
    add("rows written a poll", t["rows"] / t["polls"], f"{t['rows'] / t['polls']:.6f}",
        "0", t["rows"] == 0)
    for word, key in (("commits", "commits"), ("bytes of WAL", "wal")):
        more = max(0, t[key] - idle[key] * t["s"]) / t["polls"]
        # What a worker does for its lease varies a little from window to window.
        add(f"{word} a poll, beyond an idle worker's", more, f"{more:.4f}",
            "0", more < (0.001 if key == "commits" else 1))


# --- idle --------------------------------------------------------------------


def bench_idle():
    with Pinned("idle") as w:
        began, worker = len(TABLE.rows), w.start_pinned()
        time.sleep(5)
        window = Window(w, worker)
        time.sleep(10 if QUICK else 30)
        t = window.end()
        for word, key in (("worker", "cpu"), ("PostgreSQL", "postgres"),
                          ("Kafka", "kafka")):
            TABLE.add("idle", f"share of a core, {word}", t[key] / t["s"],
                      f"{t[key] / t['s']:.2%}")
        TABLE.add("idle", "commits a second", t["commits"] / t["s"],
                  f"{t['commits'] / t['s']:.1f}")
        for field in ("Pss", "Rss"):
            mb = memory_mb(worker.pid, field)
            TABLE.add("idle", f"memory, {field}", mb, f"{mb:.0f} MB")
        judge(window, began)


# --- all ---------------------------------------------------------------------


def judge(window, since, alone=True):
    """Marks the rows of a bench whose window was disturbed. Where the servers are
    what is measured (`alone` false), that they are busy is no disturbance."""
    why = window.why_void(alone)
    if why:
        TABLE.void(since, why)


BENCHES = {"ingest": bench_ingest, "cost": bench_cost, "latency": bench_latency,
           "flight": bench_flight, "idle": bench_idle,
           "storage": lambda: bench_storage(TABLE, QUICK)}


def main():
    os.sched_setaffinity(0, {1})
    unknown = [n for n in NAMES if n not in BENCHES]
    if unknown:
        sys.exit(f"tests/bench/run: no bench {unknown[0]}, there are:"
                 f" {' '.join(BENCHES)}")
    failed = []
    for name in NAMES or BENCHES:
        try:
            BENCHES[name]()
        except Late as late:
            failed.append(name)
            print(f"{name:8} FAILED: {late}", flush=True)
    out = ROOT / "build/bench/result.json"
    out.write_text(json.dumps({"quick": QUICK, "failed": failed, "rows": TABLE.rows},
                              indent=1) + "\n")
    print("\n" + TABLE.markdown())
    missed = TABLE.missed()
    print(f"\n{len(missed)} requirements missed, {len(failed)} benches failed;"
          f" {out.relative_to(ROOT)}")
    sys.exit(1 if missed or failed else 0)


main()
