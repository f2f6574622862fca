"""The rows of the comparison: what one subject does in one turn, and what of it is
measured. A row's run(subject, quick) returns {"metrics": …, "limit": …, "void": …}."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from fronted import Fronted
from measure import (Ends, Histogram, Sealed, Window, cpu_s, memory_mb, quantile,
                     send_boats, written)
from storage import Eater, status_mb, store
from subjects import Arena, wait_stored
from world import Late, fetch, wait_for

SMALL = ("--video-bytes", "65536")
TEMPLATE = "{request_id}/{index}.mp4"
ARRIVAL_LATE_MAX_S = 0.25  # beyond it the load was not what it says


@dataclasses.dataclass
class Row:
    """run       (subject, quick): a measurement
    rounds      in a full comparison
    minutes     of one subject's turn in it, about
    ours_only   the peers don't have what it measures
    """
    run: Callable
    rounds: int = 5
    minutes: float = 2
    ours_only: bool = False


class Arrivals:
    """An open loop: each request leaves at its time, however the others fare.

    late_s      after run(): how late the latest was
    """

    def __init__(self, w, prefix, rate):
        self.w, self.prefix, self.rate, self.sent, self.late_s = w, prefix, rate, 0, 0

    def run(self, seconds):
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            while self.sent / self.rate <= now:
                self.late_s = max(self.late_s, now - self.sent / self.rate)
                name = f"{self.prefix}-{self.sent}"
                self.w.send({"request_id": name, "request": {"prompt": name}})
                self.sent += 1
            self.w.producer.poll(0)
            time.sleep(0.004)
        return [f"{self.prefix}-{i}" for i in range(self.sent)]

    def why_void(self):
        if self.late_s > ARRIVAL_LATE_MAX_S:
            return f"requests left {self.late_s:.2f} s late: the load was not steady"
        return None


def result(metrics, *whys, limit=None):
    why = "; ".join(w for w in whys if w)
    return {"metrics": {k: v for k, v in metrics.items() if v is not None},
            "void": why or None, **({"limit": limit} if limit else {})}


def send_all(w, prefix, n):
    for i in range(n):
        w.send({"request_id": f"{prefix}-{i}", "request": {"prompt": f"{prefix}-{i}"}})
    w.flush(120)


def waits(w, ends, ids):
    """From the first `completed` answered to the visible event: ms, sorted."""
    wait_for(lambda: all(i in ends.at_ms for i in ids), 60, "all events")
    body = fetch(w.sim_url + "/sim/ledger?sha256=0", timeout=60)[1]
    told = {t["request"]["prompt"]: t["first_completed_at_ms"]
            for t in json.loads(body)["tasks"]}
    return sorted(ends.at_ms[i] - told[i] for i in ids)


# --- a steady load ------------------------------------------------------------


def steady(w, worker, rate, seconds, warm_s=12):
    """One window of a steady load, and what each of its tasks cost."""
    ends = Ends(w)
    try:
        warm = Arrivals(w, "warm", rate).run(warm_s)
        lateness = Histogram(worker, "pixverse_poll_lateness_seconds")
        window, arrivals = Window(w, worker), Arrivals(w, "r", rate)
        ids = arrivals.run(seconds)
        t = window.end()
        lateness.end()
        w.flush()
        done = ends.between(window.began_ms, window.ended_ms)
        if not done:
            raise Late("no task was finished")
        took = waits(w, ends, ids)
    finally:
        ends.stop()
    slow = None
    if done < 0.9 * len(ids):
        slow = f"it did not keep up: {done:,} tasks ended of {len(ids):,} that came"
    return {"cpu_s_per_1000": t["cpu"] / done * 1e3,
            "postgres_cpu_s_per_1000": t["postgres"] / done * 1e3,
            "kafka_cpu_s_per_1000": t["kafka"] / done * 1e3,
            "commits": t["commits"] / done, "rows": t["rows"] / done,
            "wal_bytes": t["wal"] / done, "polls": t["polls"] / done,
            "event_p50_ms": quantile(took, 0.5), "event_p99_ms": quantile(took, 0.99),
            "late_p99_ms": lateness.within_ms(0.99),
            "rss_mb": memory_mb(worker.pid, "Rss"),
            "tasks": len(warm) + len(ids)}, slow, window.why_void(), arrivals.why_void()


def control(subject, quick):
    """200 tasks a second with 15 polls each, videos of 64 KiB."""
    with Arena(subject, "control", latency="7..8", sim=SMALL,
               settings={"POLL_INTERVAL_MS": "500"}) as w:
        worker, before = w.start(), written(w)
        metrics, *whys = steady(w, worker, 200, 15 if quick else 60)
        time.sleep(12)  # all have ended, and all counts are told
        tasks = metrics.pop("tasks")
        metrics["rows"], metrics["wal_bytes"] = (
            (now - then) / tasks for now, then in zip(written(w), before))
        limit = poll_limit(w, 3000, 5)
        return result(metrics, *whys, limit=limit)


def progress(subject, quick):
    """The same, and each change of progress goes to Kafka: nearly every poll's here."""
    with Arena(subject, "progress", latency="7..8", sim=SMALL,
               settings={"POLL_INTERVAL_MS": "500"}) as w:
        worker = w.start(KAFKA_PROGRESS_TOPIC=w.topic("progress"))
        metrics, *whys = steady(w, worker, 200, 15 if quick else 60)
        return result(metrics, *whys)


def latency(subject, quick):
    """20 a second: what a worker with time on its hands adds."""
    with Arena(subject, "latency", latency="0.5..3", sim=SMALL) as w:
        metrics, *whys = steady(w, w.start(), 20, 15 if quick else 60, warm_s=4)
        keep = ("event_p50_ms", "event_p99_ms", "cpu_s_per_1000", "commits")
        return result({k: metrics[k] for k in keep}, *whys)


def poll_limit(w, rate, seconds):
    """What h2load's client spends on one request of that kind, at that rate."""
    if not shutil.which("h2load"):
        return None
    body = fetch(w.sim_url + "/sim/ledger?sha256=0", timeout=60)[1]
    task = json.loads(body)["tasks"][-1]["task_id"]
    clients, began = 32, os.times()
    done = subprocess.run(
        ["taskset", "-c", "0", "h2load", "--h1", "-c", str(clients), "--rps",
         str(rate // clients), "-D", str(seconds), "-H", "Authorization: Bearer sk-test",
         f"{w.sim_url}/v1/tasks/{task}"], capture_output=True, text=True, timeout=60)
    now = os.times()
    used = now.children_user + now.children_system - began.children_user - began.children_system
    found = re.search(r"(\d+) succeeded", done.stdout)
    if not found or not int(found[1]):
        return None
    return {"h2load_us_per_request": used / int(found[1]) * 1e6}


# --- in flight ----------------------------------------------------------------


def fill(w, n):
    """A worker is ready; n requests are in its topic at once; until all are submitted."""
    worker = w.start()
    with Sealed(w) as backlog:
        send_all(w, "f", n)
    window = Window(w, worker)
    backlog.open()

    def running():
        time.sleep(0.05)
        return w.running(worker) >= n
    wait_for(running, 240, f"{n} submitted")
    return worker, window, window.end()


def submitted(arena=Arena):
    """From a full topic to the last id stored."""
    def run(subject, quick):
        n = 20000 if quick else 50000
        with arena(subject, "submitted", latency="3000..4000",
                   settings={"POLL_INTERVAL_MS": "60000", "TASKS_MAX": str(n + 1000),
                             "SUBMITS_MAX": "256", "BACKLOG_MAX": "1000000"}) as w:
            worker, window, t = fill(w, n)
            worker.kill()
            # Here the servers are as busy as they like; whose wall it was is told.
            return result({"seconds": t["s"], "cpu_s_per_1000": t["cpu"] / n * 1e3,
                           "core": t["cpu"] / t["s"], "harness_core": window.harness(),
                           "postgres_cpu_s_per_1000": t["postgres"] / n * 1e3,
                           "wal_bytes": t["wal"] / n}, window.why_void(alone=False))
    return run


def flight(n, interval_s, arena=Arena):
    def run(subject, quick):
        many, seconds = n, 15 if quick else 60
        if quick and n > 50000:
            many = n // 10
        with arena(subject, f"flight{many}", latency="3000..4000",
                   sim=("--poll-interval-ms", str(interval_s * 1000)),
                   settings={"POLL_INTERVAL_MS": str(interval_s * 1000),
                             "TASKS_MAX": str(many + 1000), "SUBMITS_MAX": "256",
                             "BACKLOG_MAX": "1000000"}) as w:
            worker, _, _ = fill(w, many)
            w.settle()
            # Two intervals on, and counts of a backend that went idle come 10 s late.
            time.sleep(max(12, 1.2 * interval_s))
            seen, window = w.summary(), Window(w, worker)
            lateness = Histogram(worker, "pixverse_poll_lateness_seconds")
            time.sleep(max(seconds, interval_s if quick else 0))
            lateness.end()
            t, now = window.end(), w.summary()
            polls = now["polls"] - seen["polls"]
            rss = memory_mb(worker.pid, "Rss")
            worker.kill()  # a drain of so many is no part of this
            return result({
                "us_per_poll": t["cpu"] / max(1, polls) * 1e6, "core": t["cpu"] / t["s"],
                "late_p50_ms": lateness.within_ms(0.5),
                "late_p99_ms": lateness.within_ms(0.99),
                "polls_of_due": polls / (many / interval_s * t["s"]),
                "polls_late_at_provider": now["polls_late"] - seen["polls_late"],
                "rss_mb": rss, "rows_per_poll": t["rows"] / max(1, polls)},
                window.why_void())
    return run


# --- intake -------------------------------------------------------------------


YARDSTICK = """CREATE TABLE yardstick (name text PRIMARY KEY, body text)"""


def unnest_limit(w, n):
    """Rows a second into a table of two texts with one index, from a client on core 0
    that does nothing else, 500 rows a commit."""
    rows = [(f"i-{i}", "x" * 200) for i in range(n)]
    batches = [["{" + ",".join(f'"{r[k]}"' for r in rows[at:at + 500]) + "}" for k in (0, 1)]
               for at in range(0, n, 500)]
    w.db.execute("DROP TABLE IF EXISTS yardstick")
    w.db.execute(YARDSTICK)
    w.db.execute("CHECKPOINT")
    os.sched_setaffinity(0, {0})
    try:
        began = time.monotonic()
        for batch in batches:
            w.db.execute("INSERT INTO yardstick SELECT * FROM unnest(%s::text[], %s::text[])",
                         batch, prepare=True)
        return n / (time.monotonic() - began)
    finally:
        os.sched_setaffinity(0, {1})


def ingest(throttled):
    """From a full topic to committed rows: with nothing to submit, or while every
    submission is answered with 429."""
    def run(subject, quick):
        n, warm = (50000, 5000) if quick else (100000, 5000)
        with Arena(subject, "ingest", settings={"BACKLOG_MAX": "1000000"}) as w:
            settings = {}
            if throttled:
                w.faults([{"on": "submit", "kind": "rate_limit", "count": -1,
                           "retry_after": "1"}])
            else:
                settings = subject.hold(w)
            worker = w.start(**settings)
            send_boats(w, "warm", warm)
            w.flush()
            wait_stored(w, warm, 60)
            with Sealed(w) as backlog:
                send_boats(w, "i", n)
            window = Window(w, worker)
            backlog.open()
            wait_stored(w, warm + n, 300)
            t, totals = window.end(), w.summary()
            worker.kill()
            limit = unnest_limit(w, n)
            if throttled and not totals["refused"]:
                raise RuntimeError("no submission was refused")
            if not throttled and totals["posts"]:
                raise RuntimeError("the provider was asked")
            return result({
                "rows_per_s": n / t["s"], "share_of_limit": n / t["s"] / limit,
                "cpu_us_per_row": t["cpu"] / n * 1e6,
                "postgres_cpu_us_per_row": t["postgres"] / n * 1e6,
                "kafka_cpu_us_per_row": t["kafka"] / n * 1e6,
                "refused": totals["refused"] or None}, window.why_void(alone=False),
                limit={"unnest_rows_per_s": limit})
    return run


# --- transfers ----------------------------------------------------------------


def disk_limit(folder, megabytes):
    """MB a CPU-second of dd into a file there, O_DIRECT and one fsync."""
    path = Path(folder) / "dd"
    began = os.times()
    subprocess.run(["taskset", "-c", "0", "dd", "if=/dev/zero", f"of={path}", "bs=1M",
                    f"count={megabytes}", "oflag=direct", "conv=fsync"],
                   check=True, capture_output=True, timeout=120)
    now = os.times()
    path.unlink()
    used = now.children_user + now.children_system - began.children_user - began.children_system
    return megabytes * 1.048576 / max(used, 0.01)


def own_prefix(settings):
    """Into a part of the bucket where nothing is yet."""
    url = settings["STORAGE_URL"].replace("?", f"/{os.urandom(4).hex()}?", 1)
    return {**settings, "STORAGE_URL": url}


def files(n, megabytes, s3):
    def run(subject, quick):
        many = n // 5 if quick else n
        size = megabytes * 1000000
        settings = {**(own_prefix(store("http", checksum=0)) if s3 else {}), "KEY_TEMPLATE": TEMPLATE,
                    "TRANSFERS_MAX": "16", "SUBMITS_MAX": "64", "POLL_INTERVAL_MS": "1000"}
        with Arena(subject, "files", latency="0.5..1.5", settings=settings,
                   sim=("--video-bytes", str(size))) as w:
            worker = w.start()
            window = Window(w, worker)
            eater = Eater(w, many, size)
            send_all(w, "v", many)

            def over():
                time.sleep(0.1)
                return not eater.is_alive()
            wait_for(over, 600, f"{many} videos")
            t = window.end()
            if eater.faults:
                raise Late("; ".join(eater.faults)[:300])
            moved = many * megabytes
            limit = None if s3 else {"dd_mb_per_cpu_s": disk_limit(w.videos, 200)}
            # The simulator makes the bytes on core 1: the clock is its, the CPU ours.
            return result({"mb_per_cpu_s": moved / t["cpu"], "mb_per_s": moved / t["s"],
                           "peak_rss_mb": status_mb(worker.pid, "VmHWM")},
                          window.why_void(alone=False), limit=limit)
    return run


# --- death --------------------------------------------------------------------


def first_polls(w, killed_ms, n):
    """Seconds from a death to the first poll after it, of each task; sorted."""
    after, end = {}, time.monotonic() + 90
    while len(after) < n and time.monotonic() < end:
        looked = time.monotonic()
        body = fetch(f"{w.sim_url}/sim/ledger?sha256=0&polled_since={killed_ms + 1:.0f}",
                     timeout=60)[1]
        for task in json.loads(body)["tasks"]:
            after.setdefault(task["task_id"], (task["last_poll_ms"] - killed_ms) / 1000)
        time.sleep(max(0, looked + 2 - time.monotonic()))
    if len(after) < n:
        raise Late(f"{len(after)} of {n} tasks are polled again")
    return sorted(after.values())


def death(standby, waiting):
    """kill -9 with 10,000 in flight: another worker stands by, or one starts anew."""
    def run(subject, quick):
        n, more = (2000, waiting // 20) if quick else (10000, waiting)
        settings = {"POLL_INTERVAL_MS": "5000", "TASKS_MAX": str(n), "SUBMITS_MAX": "128",
                    "BACKLOG_MAX": "100000000"}
        with Arena(subject, "death", latency="3000..4000", settings=settings) as w:
            send_all(w, "d", n)
            worker = w.start()
            wait_for(lambda: w.running(worker) >= n, 120, f"{n} in flight")
            time.sleep(2)  # and their ids are stored
            send_all(w, "waits", more)  # and wait, for all that may be in flight is
            wait_stored(w, n + more, 600)
            if standby:
                w.start(wait=subject.name == "ours")
                time.sleep(15)  # no newcomer: it may declare others dead
            accepted = w.summary()["accepted"]
            worker.kill()
            killed_ms = time.time() * 1000
            if not standby:
                w.start(wait=False)
            after = first_polls(w, killed_ms, n)
            again = w.summary()["accepted"] - accepted
            for other in w.workers:
                other.kill()
            return result({"first_s": after[0], "p50_s": quantile(after, 0.5),
                           "last_s": after[-1], "bought_again": again})
    return run


# --- the rest -----------------------------------------------------------------


def idle(subject, quick):
    with Arena(subject, "idle") as w:
        worker = w.start()
        time.sleep(5)
        window = Window(w, worker)
        time.sleep(10 if quick else 60)
        t = window.end()
        return result({"core": t["cpu"] / t["s"], "postgres_core": t["postgres"] / t["s"],
                       "commits_per_s": t["commits"] / t["s"],
                       "rss_mb": memory_mb(worker.pid, "Rss")}, window.why_void())


def history(n):
    """A steady load beside n tasks of the past."""
    def run(subject, quick):
        with Arena(subject, "history", latency="2..3", sim=SMALL,
                   settings={"POLL_INTERVAL_MS": "500"}) as w:
            worker = w.start()
            subject.past(w, n // 20 if quick else n)
            w.db.execute("VACUUM ANALYZE")
            w.db.execute("CHECKPOINT")
            metrics, *whys = steady(w, worker, 100, 15 if quick else 30, warm_s=5)
            return result(metrics, *whys)
    return run


def pruning(subject, quick):
    """The same load while a million of the past are pruned."""
    with Arena(subject, "pruning", latency="2..3", sim=SMALL,
               settings={"POLL_INTERVAL_MS": "500", "HISTORY_DAYS": "1"}) as w:
        n = 100000 if quick else 1000000
        subject.past(w, n)
        w.db.execute("UPDATE closed SET closed_ms = 1000000 + id % 100000")
        w.db.execute("VACUUM ANALYZE")
        w.db.execute("CHECKPOINT")
        worker = w.start()
        metrics, *whys = steady(w, worker, 100, 10 if quick else 30, warm_s=5)
        pruned = w.metric(worker, "pixverse_history_pruned_total")
        over = "nothing was left to prune" if pruned >= n and not quick else None
        none = None if pruned else "nothing was pruned"
        counted = w.query("SELECT coalesce(sum(count), 0) FROM stat")[0][0]
        wrong = None if counted >= pruned else "what was pruned is not counted"
        return result({**metrics, "pruned": pruned}, *whys, over, none, wrong)


def workers(n):
    """The load of the row `control`, on n workers that share core 0."""
    def run(subject, quick):
        with Arena(subject, "workers", latency="7..8", sim=SMALL,
                   settings={"POLL_INTERVAL_MS": "500"}) as w:
            all_of_them = [w.start() for _ in range(n)]
            before = sum(cpu_s(one.pid) for one in all_of_them)
            window = Window(w, all_of_them[0])
            ends, arrivals = Ends(w), Arrivals(w, "r", 200)
            ids = arrivals.run(20 if quick else 60)
            w.flush()
            took = waits(w, ends, ids)
            ends.stop()
            t = window.end()
            cpu = sum(cpu_s(one.pid) for one in all_of_them) - before
            return result({"cpu_s_per_1000": cpu / len(ids) * 1e3,
                           "postgres_cpu_s_per_1000": t["postgres"] / len(ids) * 1e3,
                           "commits": t["commits"] / len(ids),
                           "event_p50_ms": quantile(took, 0.5),
                           "event_p99_ms": quantile(took, 0.99)}, arrivals.why_void())
    return run


ROWS = {
    "control": Row(control, minutes=2.2),
    "flight": Row(flight(50000, 5), minutes=3),
    "flight_tls": Row(flight(50000, 5, Fronted), minutes=3),
    "submitted": Row(submitted(), minutes=1),
    "submitted_tls": Row(submitted(Fronted), minutes=1.2),
    "ingest": Row(ingest(False), minutes=0.7),
    "ingest429": Row(ingest(True), minutes=1),
    "latency": Row(latency, minutes=1.8),
    "files20": Row(files(200, 20, False), minutes=0.7),
    "files100": Row(files(100, 100, False), minutes=1.2),
    "s3_20": Row(files(200, 20, True), minutes=0.8),
    "s3_100": Row(files(100, 100, True), minutes=1.5),
    "flight300": Row(flight(300000, 30), rounds=3, minutes=6),
    "takeover": Row(death(True, 1000000), rounds=3, minutes=4),
    "recovery": Row(death(False, 0), rounds=3, minutes=1),
    "idle": Row(idle, rounds=3, minutes=1.3),
    "history_1k": Row(history(1000), rounds=3, minutes=1),
    "history_1m": Row(history(1000000), rounds=3, minutes=1.5),
    "progress": Row(progress, rounds=3, minutes=1.5, ours_only=True),
    "pruning": Row(pruning, rounds=3, minutes=1.5, ours_only=True),
    "workers_1": Row(workers(1), rounds=3, minutes=1.5, ours_only=True),
    "workers_2": Row(workers(2), rounds=3, minutes=1.5, ours_only=True),
    "workers_4": Row(workers(4), rounds=3, minutes=1.5, ours_only=True),
}
