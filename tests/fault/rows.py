#!/usr/bin/env python3
# tests/run: postgres kafka long crashpoints timeout=1000
"""Rows that hurt stop nobody else: rows that this program can't read, at every place
where rows come in, are told of and left as they are for a later one; a row on which the
worker dies is tried again and again, then rarely, and ends when the program is mended.
TAKEOVERS=20 has all workers die in earnest, where else the row is told that most did."""

import contextlib
import datetime
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

import tap
from world import Database, Late, World, fetch, seat, wait_for

BREAK_MS = 8000  # of a job, in which its row is broken
LOOKS_MS = 3000  # of what is looked at while a suspect waits
# Who looks for rows that can't be read rests for 200 times as long as that took: for
# minutes, where a busy machine made it wait for a second.
LOOKED_S = 150
TAKEOVERS = int(os.environ.get("TAKEOVERS", "4"))
SUSPECT_FROM = 21
SETTINGS = {"LEASE_MS": "1000", "SUBMIT_DOUBT": "replay", "SUBMIT_TIMEOUT_MS": "20000",
            "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}

# What may be wrong with a row of `task`, as the text of an UPDATE; of `waiting`,
# which has fewer columns.
BROKEN = {
    "state": "state = 77",
    "kind": "kind = 99",
    "kind-below": "kind = -3",
    "null-number": "version = NULL",
    "null-truth": "doubt = NULL",
    "null-text": "account = NULL",
    "long-id": "provider_task_id = repeat('x', 200)",
    "long-account": "account = repeat('x', 80)",
}
BROKEN_WAITING = {
    "null-number": "version = NULL",
    "null-other": "tries = NULL",
    "null-text": "account = NULL",
    "long-account": "account = repeat('x', 80)",
}
# Of a row wherever it is: what a move between the two keeps.
KEPT = "id, fence, version, submission, tries, account, received_ms, deadline_ms, not_before_ms"


def execute(world, sql, *values):
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        connection.execute(sql, values)


def loosen(world):
    """A later schema, in which columns may be missing."""
    columns = world.query("SELECT table_name, column_name FROM information_schema.columns"
                          " WHERE table_name IN ('task', 'waiting') AND is_nullable = 'NO'"
                          " AND column_name <> 'id'")
    for table, name in columns:
        execute(world, f"ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL")
    execute(world, "CREATE TABLE kept AS SELECT * FROM request WHERE false")


def task_of(world, identity):
    """The number of a task, whether its request is still there or not."""
    rows = world.query("SELECT min(id) FROM (SELECT id FROM request WHERE request_id = %s"
                       " UNION SELECT id FROM kept WHERE request_id = %s) AS ids", identity, identity)
    return rows[0][0]


def take_away_requests(world, ids):
    """Their ids stay used up, or Kafka's next delivery would be a new request."""
    columns = ", ".join(name for (name,) in world.query(
        "SELECT column_name FROM information_schema.columns WHERE column_name <> 'id'"
        " AND table_name = 'request' AND table_schema = 'public'"))
    execute(world, "INSERT INTO kept SELECT * FROM request WHERE request_id = ANY(%s)", ids)
    execute(world, "DELETE FROM request WHERE request_id = ANY(%s)", ids)
    execute(world, f"INSERT INTO request ({columns}) SELECT {columns} FROM kept"
            " WHERE request_id = ANY(%s)", ids)


def bring_back_requests(world):
    execute(world, "DELETE FROM request r USING kept k WHERE r.request_id = k.request_id")
    execute(world, "WITH back AS (DELETE FROM kept RETURNING *) INSERT INTO request"
            " OVERRIDING SYSTEM VALUE SELECT * FROM back")


class Broken:
    """Rows of one place, broken in each way, and what they were then."""

    def __init__(self, world, place, requests=True, table="task"):
        self.world = world
        self.table = table
        self.ways = BROKEN if table == "task" else BROKEN_WAITING
        self.place = place
        self.gone = [] if requests else [f"{place}-no-request"]
        self.ids = [f"{place}-{way}" for way in self.ways] + self.gone
        self.good = [f"{place}-good-{n}" for n in range(4)]

    def send(self):
        for identity in self.ids + self.good:
            self.world.send({"request_id": identity, "request": {"prompt": identity}})
        self.world.flush()

    def rows(self):
        """All but what any statement may write without understanding it."""
        what = "task"
        if self.table == "waiting":
            what = (f"(SELECT {KEPT}, state, owner FROM task UNION ALL"
                    f" SELECT {KEPT}, 0, 0 FROM waiting) t")
        return dict(self.world.query(
            f"SELECT id, to_jsonb({what.split()[-1]})::text FROM {what} WHERE id = ANY(%s)",
            self.tasks))

    def break_all(self, more=""):
        found = dict(self.world.query(
            "SELECT request_id, id FROM request WHERE request_id = ANY(%s)", self.ids))
        self.tasks = [found[i] for i in self.ids]
        self.before = dict(self.world.query(
            f"SELECT id, to_jsonb({self.table}) FROM {self.table} WHERE id = ANY(%s)",
            self.tasks))
        # Over one connection: their jobs go on, and may not end before this does.
        with psycopg.connect(self.world.database_url, autocommit=True) as connection:
            for (way, what), task in zip(self.ways.items(), self.tasks):
                extra = "" if "version" in what else more
                connection.execute(f"UPDATE {self.table} SET {what}{extra} WHERE id = %s",
                                   (task,))
        take_away_requests(self.world, self.gone)
        self.broken = self.rows()
        self.world.injected("row that can't be read", len(self.ids))

    def mend(self):
        """What a later program would make of them: they are again what they were."""
        bring_back_requests(self.world)
        for task, row in self.before.items():
            execute(self.world, "UPDATE task SET state = %s, kind = %s, tries = %s,"
                    " doubt = %s, account = %s, provider_task_id = %s WHERE id = %s",
                    row.get("state", 0), row.get("kind", 0), row["tries"],
                    row.get("doubt", False), row["account"],
                    row.get("provider_task_id", ""), task)
            execute(self.world, "UPDATE task SET version = %s WHERE id = %s"
                    " AND version IS NULL", row["version"], task)

    def check_left(self, why):
        now = self.rows()
        changed = [f"{was}\n{now.get(t)}" for t, was in self.broken.items()
                   if now.get(t) != was]
        tap.check(not changed, f"{self.place}: {why} they are as they were", *changed)

    def check_told(self, worker):
        count = len(self.ids)
        wait_for(lambda: self.world.metric(worker, "pixverse_tasks_unreadable") == count,
                 LOOKED_S, f"{self.place}: the metric counts {count}")
        status, body = fetch(worker.admin + "/readyz")
        tap.check(status == 200 and f"unreadable: {count} rows".encode() in body,
                  f"{self.place}: /readyz tells of them, and is ready", body)
        text = worker.text()
        untold = [t for t in self.tasks
                  if f"task={t} " not in "\n".join(line + " " for line in text.splitlines()
                                                  if "unreadable" in line)]
        tap.equal(untold, [], f"{self.place}: the log names each")
        said = [self.world.ctl(*words).stdout + self.world.ctl(*words).stderr
                for words in (("explain", self.ids[0]), ("show", self.ids[0]),
                              ("cancel", self.ids[0]), ("retry", self.ids[0]))]
        tap.equal([text for text in said if "can't be read by this program" not in text], [],
                  f"{self.place}: so do commands, which leave it as it is")


def send(world, ids):
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()


def bought(world, ids):
    return sorted(t["request"]["prompt"] for t in world.ledger()["tasks"]
                  if t["request"]["prompt"] in ids)


def running(world, ids):
    n = world.query("SELECT count(*) FROM task JOIN request USING (id) WHERE state = 2"
                    " AND request_id = ANY(%s)", ids)[0][0]
    return n == len(ids)


def settled(world, worker):
    """The worker's count of commits once it stands still: rows are seen before the answer
    that counts them has come."""
    seen = [None, 0.0]

    def still():
        commits = world.metric(worker, "pixverse_store_commits_total")
        if commits != seen[0]:
            seen[:] = [commits, time.monotonic()]
        return time.monotonic() - seen[1] > 1
    wait_for(still, 30, "what was written has been answered")
    return seen[0]


# The transactions of a database; what autovacuum has done there, and does now.
COMMITTED = """
SELECT (SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()),
    (SELECT sum(autovacuum_count + autoanalyze_count) FROM pg_stat_all_tables),
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'autovacuum worker')"""


def a_while(world, worker):
    """Lines of the log and transactions meanwhile, and how long it was. One in which an
    autovacuum came is no measure: that commits for each table, and more than we may."""
    for _ in range(5):
        lines = worker.text().count("\n")
        before, *vacuums = world.query(COMMITTED)[0]
        began = time.monotonic()
        wait_for(lambda began=began: time.monotonic() - began > 2.5, 60, "a while")
        lines = worker.text().count("\n") - lines
        after, *there = world.query(COMMITTED)[0]
        took_s = time.monotonic() - began
        if vacuums == there and not there[1]:
            break
    return lines, after - before, took_s


def calm(world, worker, place):
    """Nobody writes, nor asks in a hurry: rows and log stand still. What is told of the
    others is first written to its end."""
    wait_for(lambda: world.query(
        "SELECT count(*) FROM task JOIN request USING (id) WHERE request_id LIKE %s",
        f"{place}-good-%")[0][0] == 0, 20, f"{place}: the others are closed")
    commits = settled(world, worker)
    lines, spent, took_s = a_while(world, worker)
    tap.equal(world.metric(worker, "pixverse_store_commits_total"), commits,
              f"{place}: nothing is written meanwhile")
    tap.check(lines <= 3, f"{place}: the log is calm", worker.text()[-1500:])
    # A beat every 200 ms, and some turns.
    tap.check(spent < 24 * took_s, f"{place}: the store is asked without hurry"
              f" ({spent} in {took_s:.1f} s)")


def at_claim(world):
    """Rows that wait, broken while an operator holds all."""
    worker = world.start_worker()
    execute(world, "INSERT INTO hold VALUES ('operator', '*', 0, 0, 'a test')")
    rows = Broken(world, "claim", requests=False, table="waiting")
    rows.send()
    wait_for(lambda: world.query("SELECT count(*) FROM waiting")[0][0]
             == len(rows.ids) + len(rows.good), 30, "all wait")
    rows.break_all()
    rows.check_told(worker)
    rows.check_left("while they wait under a hold")
    execute(world, "DELETE FROM hold")
    world.wait_events(rows.good, 30)
    tap.equal(bought(world, rows.ids + rows.good), rows.good,
              "claim: the others are made, and none that can't be read is bought")
    wait_for(lambda: world.query("SELECT count(*) FROM waiting")[0][0] == 0, 20,
             "claim: none waits any more")
    rows.check_told(worker)
    calm(world, worker, "claim")
    rows.check_left("after claims")
    tap.equal((world.query("SELECT count(*) FROM waiting")[0][0],
               world.query("SELECT count(*) FROM task WHERE state = 0 AND owner = 0")[0][0]),
              (0, len(rows.ids)), "claim: they stand aside, nobody's")
    rows.mend()
    # As when a program starts that can read them: what is nobody's is looked for.
    execute(world, "INSERT INTO lease (name, dead, tasks_max, accounts)"
            " VALUES ('a test', true, 0, '{}')")
    world.wait_events(rows.ids, 40)
    tap.equal(bought(world, rows.ids), sorted(rows.ids),
              "claim: once they can be read each is bought, once")
    return worker


def at_adopt(world, worker):
    """Rows whose worker was killed, and then another, and another."""
    world.faults([{"match": "adopt-", "on": "submit", "kind": "slow_job",
                   "delay_ms": BREAK_MS, "count": -1}])
    rows = Broken(world, "adopt", requests=False)
    rows.send()
    wait_for(lambda: running(world, rows.ids + rows.good), 30, "all run")
    worker.kill()
    rows.break_all()
    second = world.start_worker()
    wait_for(lambda: "took over tasks" in second.text(), 30, "a takeover")
    second.kill()
    third = world.start_worker()
    world.wait_events(rows.good, 40)
    rows.check_told(third)
    calm(world, third, "adopt")
    rows.check_left("after two takeovers")
    rows.mend()
    fourth = world.start_worker()
    world.wait_events(rows.ids, 40)
    tap.equal(bought(world, rows.ids + rows.good), sorted(rows.ids + rows.good),
              "adopt: once they can be read each comes to its end, bought once")
    fourth.stop()
    return third


def lose_an_answer(world, worker, identity):
    """Cut the worker's connection while its turn waits for a row."""
    with psycopg.connect(world.database_url) as lock:
        lock.execute("SELECT 1 FROM task WHERE id = %s FOR UPDATE",
                     (task_of(world, identity),))
        wait_for(lambda: world.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"),
            30, "a turn that waits")
        world.injected("backend killed")
        wait_for(lambda: "answer was lost" in worker.text(), 20, "an answer is lost")


def at_mine(world, worker):
    """Rows of a living worker, which it reads again when its connection was cut."""
    world.faults([{"match": "mine-", "on": "submit", "kind": "slow_job",
                   "delay_ms": BREAK_MS, "count": -1}])
    rows = Broken(world, "mine")
    rows.send()
    wait_for(lambda: running(world, rows.ids + rows.good), 30, "all run")
    rows.break_all(", version = version + 1")
    lose_an_answer(world, worker, rows.good[0])
    world.wait_events(rows.good, 40)
    rows.check_left("after the worker read its own")
    tap.check(worker.alive(), "mine: the worker lives on")
    rows.mend()
    worker.kill()
    worker = world.start_worker()
    world.wait_events(rows.ids, 40)
    tap.equal(bought(world, rows.ids + rows.good), sorted(rows.ids + rows.good),
              "mine: once they can be read each comes to its end, bought once")
    return worker


def at_reread(world, worker):
    """Rows of a living worker that somebody else wrote: its save finds another version,
    so it looks what is there. And a task whose request is gone when it has to be told,
    and which had too much in it to be kept in memory."""
    world.faults([{"match": "reread-", "on": "submit", "kind": "slow_job",
                   "delay_ms": BREAK_MS, "count": -1}])
    rows = Broken(world, "reread")
    rows.send()
    world.send({"request_id": "reread-parked", "metadata": {"much": "m" * 10000},
                "request": {"prompt": "reread-parked"}})
    world.flush()
    wait_for(lambda: running(world, rows.ids + rows.good + ["reread-parked"]), 30, "all run")
    rows.break_all(", version = version + 1")
    take_away_requests(world, ["reread-parked"])
    world.wait_events(rows.good, 40)
    wait_for(lambda: b"parked: 1" in fetch(worker.admin + "/readyz")[1], 30,
             "reread: a task without its request is told of")
    tap.equal(world.metric(worker, "pixverse_tasks_parked"), 1,
              "reread: the metric counts it")
    tap.check("without its request" in worker.text(), "reread: the log names it")

    def unnamed():
        said = [line.split() for line in worker.text().splitlines() if "unreadable: " in line]
        return [t for t in rows.tasks if not any(f"task={t}" in words for words in said)]
    with contextlib.suppress(Late):  # one worker looks now and then
        wait_for(lambda: not unnamed(), LOOKED_S, "each is named")
    tap.equal(unnamed(), [], "reread: the log names each that can't be read")
    # Who looks at all rows names them, and the one without its request: before the log
    # is to be calm.
    wait_for(lambda: world.metric(worker, "pixverse_tasks_unreadable")
             == len(rows.ids) + 1, LOOKED_S, "reread: the metric counts them")
    calm(world, worker, "reread")
    rows.check_left("after saves that were not theirs")
    rows.mend()
    worker.kill()
    worker = world.start_worker()
    world.wait_events(rows.ids + ["reread-parked"], 40)
    tap.equal(bought(world, rows.ids + rows.good), sorted(rows.ids + rows.good),
              "reread: once they can be read each comes to its end, bought once")
    return worker


def results(world, worker):
    """Finished upstream, and what was stored of that is no list of URLs."""
    broken = {"cut": '[{"url":"https:', "other": '{"v": 2}', "numbers": "[1, 2]",
              "no-url": '[{"url": 5}]', "empty": "", "none": None}
    ids = [f"result-{name}" for name in broken]
    told = "result-event"
    names = "result-metadata"
    world.faults([{"match": "result-", "on": "download", "kind": "stall", "count": -1}])
    for identity in ids + [told, names]:
        world.send({"request_id": identity, "request": {"prompt": identity},
                    "metadata": {"a": 1}})
    world.flush()
    wait_for(lambda: world.query(
        "SELECT count(*) FROM task JOIN request USING (id) WHERE state = 3 AND"
        " request_id LIKE 'result-%%'")[0][0] == len(broken) + 2, 30, "all are ready")
    worker.kill()
    fetch(world.sim_url + "/sim/faults", "DELETE")
    for name, text in broken.items():
        execute(world, "UPDATE task SET result = %s WHERE id = %s", text,
                task_of(world, f"result-{name}"))
    execute(world, "UPDATE task SET state = 4, event = 'v9 something else' WHERE id = %s",
            task_of(world, told))
    execute(world, "UPDATE request SET metadata = '{\"a', warnings = 'oh' WHERE id = %s",
            task_of(world, names))
    world.injected("stored text that can't be read", len(broken) + 2)
    worker = world.start_worker()
    world.wait_events(ids, 40)
    tap.equal(sorted({world.events[i][0]["status"] for i in ids}), ["completed"],
              "results that can't be read are asked for anew, and come home")
    world.wait_events([names], 20)
    tap.equal(world.events[names][0]["status"], "completed",
              "metadata that can't be read is left out of the event",
              world.events[names][0].raw)
    wait_for(lambda: "stored event" in worker.text(), 20, "an event that can't be read")
    tap.equal(world.query("SELECT event FROM task WHERE id = %s", task_of(world, told)),
              [("v9 something else",)], "an event that can't be read is left as it is")
    tap.check(worker.text().count("stored event") <= 12,
              "and it is not tried in a hurry", worker.text().count("stored event"))
    execute(world, "UPDATE task SET state = 3, event = NULL WHERE id = %s",
            task_of(world, told))
    worker.kill()
    worker = world.start_worker()
    world.wait_events([told], 30)
    tap.equal(bought(world, ids + [told]), sorted(ids + [told]),
              "each of these is bought once")
    return worker


def unreadable():
    with World(workers=0, latency="0.2..0.5", sim=["--schema", "yes"],
               settings={**SETTINGS, "KAFKA_CONF_GROUP_INSTANCE_ID": seat("one")}) as world:
        loosen(world)
        worker = at_claim(world)
        worker = at_adopt(world, worker)
        worker = at_mine(world, worker)
        worker = at_reread(world, worker)
        worker = results(world, worker)
        tap.equal(worker.stop(), 0, "the last worker drains with status 0",
                  worker.text()[-1500:])


class Deaths:
    """Workers that die of one task, and are started again each time."""

    def __init__(self, world, point):
        self.world = world
        self.point = point
        self.deaths = 0
        self.worker = self.next()

    def next(self):
        return self.world.start_worker(wait=False, PIXVERSE_CRASHPOINT=self.point)

    def until(self, condition, limit_s, what):
        def come():
            if not self.worker.alive():
                self.deaths += 1
                self.world.injected("kill -9 at a crash point of one task")
                self.worker = self.next()
            self.world.pump(0.02)
            return condition()
        wait_for(come, limit_s, what)


def takeovers(world, identity):
    rows = world.query("SELECT takeovers FROM task JOIN request USING (id)"
                       " WHERE request_id = %s", identity)
    return rows[0][0] if rows else -1


def due_ms(worker):
    """When a suspect is tried again, as the log says: milliseconds since 1970."""
    at, wait_ms = re.findall(r"^(\S+Z) .*suspect: .* wait_ms=(\d+)", worker.text(),
                             re.MULTILINE)[-1]
    said = datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
    return said.timestamp() * 1000 + int(wait_ms)


def made_beside(world, run):
    """Others are made while it waits; their ids. A busy machine may need longer for them
    than it waits: then it is tried, and waits twice as long."""
    later = []
    for _ in range(3):
        run.until(lambda: "suspect:" in run.worker.text(), 30, "it is a suspect")
        dead, due = run.deaths, due_ms(run.worker)
        more = [f"later-{len(later) + n}" for n in range(6)]
        later += more
        send(world, more)
        run.until(lambda more=more: set(more) <= set(world.events), 60, "others beside it")
        left_ms = due - time.time() * 1000
        if left_ms > (LOOKS_MS if run.deaths == dead else 0):
            break
        run.until(lambda dead=dead: run.deaths > dead, 60, "it is tried")
    tap.check(run.worker.alive() and run.deaths == dead,
              "nobody dies while it waits, and others are made")
    return later


def dies_of_it(world):
    """Whoever learns that this task failed dies before that is written."""
    world.faults([{"match": "hurts", "on": "submit", "kind": "fail", "count": -1},
                  {"match": "beside", "on": "submit", "kind": "slow_job",
                   "delay_ms": 4000, "count": -1}])
    beside = [f"beside-{n}" for n in range(6)]
    run = Deaths(world, "failed_save_before")
    send(world, ["hurts"] + beside)
    run.until(lambda: takeovers(world, "hurts") >= 1, 40, "a first takeover")
    # As if so many had died before.
    execute(world, "UPDATE task SET takeovers = takeovers + %s FROM request r"
            " WHERE r.id = task.id AND r.request_id = 'hurts'",
            SUSPECT_FROM - 1 - TAKEOVERS)
    run.until(lambda: takeovers(world, "hurts") >= SUSPECT_FROM, 30 + 5 * TAKEOVERS,
              f"{SUSPECT_FROM} takeovers")
    run.until(lambda: set(beside) <= set(world.events), 60, "those beside it")
    tap.check(True, f"those beside it come to their end ({run.deaths} workers died)")
    later = made_beside(world, run)
    body = fetch(run.worker.admin + "/readyz")[1]
    tap.check(b"suspect: 1" in body, "/readyz tells of it", body)
    tap.equal(world.metric(run.worker, "pixverse_tasks_suspect"), 1, "so does a metric")
    tap.check("died with it" in world.ctl("explain", "hurts").stdout, "so does explain")
    tap.equal(world.events.get("hurts"), None, "it is not told")
    tap.equal(bought(world, ["hurts"] + beside + later),
              sorted(["hurts"] + beside + later), "each was bought once")
    # The program is mended, and the hour over.
    run.worker.kill()
    execute(world, "UPDATE task SET takeovers_since_ms = takeovers_since_ms - 7200000"
            " FROM request r WHERE r.id = task.id AND r.request_id = 'hurts'")
    world.start_worker()
    tap.equal(world.event("hurts", 30).value["error"]["kind"], "provider_failed",
              "a mended program ends it")


def dies_of_a_doubt(world):
    """Whoever learns that its send brought no answer dies; sends are counted."""
    world.workers[-1].kill()
    world.faults([{"match": "doubtful", "on": "submit", "kind": "rst_after_body",
                   "count": -1}])
    run = Deaths(world, "post_unanswered")
    others = [f"fine-{n}" for n in range(4)]
    send(world, ["doubtful"] + others)
    run.until(lambda: "doubtful" in world.events, 60, "its end")
    tap.equal(world.events["doubtful"][0].value["error"]["kind"], "submit_unknown",
              f"a send that kills is settled, once its replays are spent"
              f" ({run.deaths} workers died)")
    run.until(lambda: set(others) <= set(world.events), 30, "the others")
    sends = world.query("SELECT sends FROM closed JOIN request USING (id)"
                        " WHERE request_id = 'doubtful'")
    tap.check(not sends or sends[0][0] <= 4, "it was sent at most four times", sends)
    # Twice they leave with it. After that each has a time of its own, which may be as
    # good as the same for one of them, not for all.
    ends = {i: world.events[i][0].value for i in others}
    made = [i for i in others if ends[i]["status"] == "completed"]
    tap.check(len(made) >= len(others) - 1, "it takes none along that is sent beside it",
              ends)
    unknown = [i for i in others if i not in made]
    tap.check(all(ends[i]["error"]["kind"] == "submit_unknown" for i in unknown),
              "what it takes along is in doubt", ends)
    tap.equal([i for i in bought(world, ["doubtful"] + others) if i not in unknown],
              sorted(["doubtful"] + made), "and bought once")
    tap.check(len(set(bought(world, unknown))) == len(bought(world, unknown)),
              "what is in doubt is bought once, if at all")
    tap.equal(run.worker.stop(), 0, "the last worker drains with status 0",
              run.worker.text()[-1500:])


def deadly():
    with World(workers=0, latency="0.2..0.5", sim=["--schema", "yes"], name="deadly",
               postgres=Database("deadly"),
               settings={**SETTINGS, "KAFKA_CONF_GROUP_INSTANCE_ID": seat("one")}) as world:
        dies_of_it(world)
        dies_of_a_doubt(world)


def main():
    with ThreadPoolExecutor(2) as pool:  # in worlds of their own; both mostly wait
        for scene in [pool.submit(unreadable), pool.submit(deadly)]:
            scene.result()


tap.run(main)
