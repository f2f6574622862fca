"""Load that never ends while workers come and go, and what must hold under it:

    load = Load(world, in_flight=300, rng=random.Random(1))
    load.turn(2.5)               keeps so many requests in flight for so long
    load.look(dead)              Kafka's offsets against the tables, now
    load.finish()                everything ends
    load.judge()                 the checks

Some requests are delivered twice, some messages name no request.
"""

import collections
import contextlib
import datetime
import json
import math
import os
import re
import signal
import time

import confluent_kafka
import psycopg

import tap
from record import RECORD
from world import Late, fetch, file_of, sha256_of, wait_for

TWICE = 0.1
NO_REQUEST = 0.03
# A poll that the dead one had sent may come in a moment after its death.
UNDER_WAY_MS = 500
LOOK_EVERY_S = 1  # below the poll interval: no poll of a task is overlooked
BROKER_S = 30  # for one answer of Kafka's
REPLAYS_MAX = 3  # lib/core/doubt.h
SPENT_MAX = 2  # requests of a run


def lease_of(worker):
    """The lease under which a worker lives now, as its log says; None: not yet."""
    found = re.findall(r"joined the fleet.* lease=(\d+)", worker.text())
    return int(found[-1]) if found else None


def said_ms(worker, words):
    """When it said so, each time: milliseconds since 1970."""
    said = re.findall(rf"^(\S+Z) .*{words}", worker.text(), re.MULTILINE)
    return [datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000
            for at in said]


def joined_ms(worker):
    """Since when it lives under that lease. One that was ready, and killed before it had
    joined, never did."""
    return max(said_ms(worker, "joined the fleet"), default=math.inf)


class Offsets:
    """What the group has committed, against what is stored or rejected."""

    def __init__(self, world):
        self.world = world
        self.group = confluent_kafka.Consumer(
            {"bootstrap.servers": world.brokers, "group.id": world.prefix + "workers"})
        self.rejections = world.reader("rejected")
        self.read = collections.Counter()  # partition of the rejections -> next offset
        self.rejected = set()  # (partition, offset) of messages
        self.sent = collections.defaultdict(dict)  # partition -> offset -> id, or None
        self.passed = collections.Counter()  # partition -> offset that was looked at
        self.stored = set()
        self.ahead = []
        self.frozen_ms = []  # since when and until when the workers stood still

    def close(self):
        self.group.close()
        self.rejections.close()

    def on_delivery(self, identity):
        def delivered(error, message):
            if error:
                raise RuntimeError(error)
            self.sent[message.partition()][message.offset()] = identity
        return delivered

    def committed(self):
        parts = [confluent_kafka.TopicPartition(self.world.topic("requests"), p)
                 for p in range(self.world.partitions)]
        return {p.partition: p.offset for p in self.group.committed(parts, BROKER_S)}

    def rejections_end(self):
        # Not by the consumer that reads: its long fetch would keep the answer waiting.
        return {p: self.group.get_watermark_offsets(
            confluent_kafka.TopicPartition(self.world.topic("rejected"), p), BROKER_S)[1]
            for p in range(self.world.partitions)}

    def read_rejections(self, end):
        limit = time.monotonic() + 2 * BROKER_S
        while any(self.read[p] < end[p] for p in end):
            if time.monotonic() > limit:
                raise RuntimeError("the rejected topic can't be read to its end")
            for message in self.rejections.consume(500, 0.1):
                if message.error():
                    continue  # it is read again
                headers = dict(message.headers())
                self.rejected.add((int(headers["source_partition"]),
                                   int(headers["source_offset"])))
                self.read[message.partition()] = message.offset() + 1

    def look(self, living):
        """With every living worker standing still: none can mend it meanwhile."""
        # What a worker may have read already is known by its offset once Kafka has said so.
        self.world.flush()
        began_ms = time.time() * 1000
        for worker in living:
            worker.frozen = True  # its loop's turns are no measure from here on
            worker.process.send_signal(signal.SIGSTOP)
        try:
            committed = self.committed()
            end = self.rejections_end()
            unsure = [i for messages in self.sent.values() for i in messages.values()
                      if i and i not in self.stored]
            self.stored.update(i for (i,) in self.world.query(
                "SELECT request_id FROM request WHERE request_id = ANY(%s)", unsure))
        finally:
            for worker in living:
                worker.process.send_signal(signal.SIGCONT)
        self.frozen_ms.append((began_ms, time.time() * 1000))
        self.read_rejections(end)
        for partition, offset in committed.items():
            for at in range(self.passed[partition], offset):
                identity = self.sent[partition][at]
                safe = (identity in self.stored if identity
                        else (partition, at) in self.rejected)
                if not safe:
                    self.ahead.append((partition, at, identity))
            self.passed[partition] = max(offset, self.passed[partition])


Death = collections.namedtuple("Death", [
    "kill",  # its number
    "killed_ms",
    "thawed_ms",  # when the look behind it was over
    "lease",
    "survivors",  # workers that were ready then
])
# The locks by which a lease's sessions are known: sql/query/session_lock.sql, of the
# numbers in lib/edge/store/lease.c.
SESSIONS = """
SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND objsubid = 2 AND d.datname = current_database()
    AND classid = 726493 AND objid > 0 AND (objid::bigint - 1) / 2 = %s"""
LANES = 2  # sessions of a worker that has joined


class Takeovers:
    """From each death to the first poll of what it left, as the ledger shows."""

    def __init__(self, world):
        self.world = world
        self.waiting = {}  # provider's task id -> the Death of its worker
        self.took = []  # (Death, seconds)
        self.needless = 0  # orphans whose last poll the dead one still had saved
        self.looked = 0.0

    def died(self, death):
        """A task that dies with its heir begins again."""
        running = "SELECT provider_task_id FROM task WHERE state = 2 AND owner = %s"
        for (task,) in self.world.query(running, death.lease):
            self.waiting[task] = death

    def can_settle(self, lease):
        """Whether the sessions of a worker that is alive are found, both of them."""
        return bool(lease) and self.world.query(SESSIONS, lease)[0][0] == LANES

    def settle(self, death):
        """What the dead one had sent to PostgreSQL is carried out to its end, where it
        waited behind a lock, too: that may have taken over what others had left."""
        wait_for(lambda: not self.world.query(SESSIONS, death.lease)[0][0], 60,
                 "the sessions of the dead are over")
        self.died(death)

    def over(self, ended):
        """PostgreSQL may carry out what the dead one had sent: a task that is finished
        by that needs no other poll. ended: ids of tasks that came to their end."""
        self.looked = 0.0
        self.look()
        for task in self.waiting.keys() & ended:
            del self.waiting[task]
            self.needless += 1

    def look(self):
        if not self.waiting or time.monotonic() < self.looked + LOOK_EVERY_S:
            return
        self.looked = time.monotonic()
        since = min(death.killed_ms for death in self.waiting.values())
        for task in json.loads(fetch(
                f"{self.world.sim_url}/sim/ledger?sha256=0&polled_since={int(since)}",
                timeout=30)[1])["tasks"]:
            death = self.waiting.get(task["task_id"])
            # The first one, however late this look is.
            polled_ms = next((ms for ms in task["polled_ms"]
                              if death and ms > death.killed_ms + UNDER_WAY_MS), None)
            if polled_ms:
                seconds = (polled_ms - death.killed_ms) / 1000
                self.took.append((self.waiting.pop(task["task_id"]), seconds))
                self.world.took_over(seconds)


class Load:
    """Requests without end, and what comes of them."""

    def __init__(self, world, in_flight, rng, name="load"):
        self.world = world
        self.in_flight = in_flight
        self.rng = rng
        self.name = name
        self.ids = []
        self.ended = 0
        self.nameless = 0
        self.locked_ms = []  # since when and until when nothing could be stored
        self.offsets = Offsets(world)
        self.takeovers = Takeovers(world)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.offsets.close()

    def produce(self, value, key, identity):
        self.world.producer.produce(self.world.topic("requests"), value, key,
                                    on_delivery=self.offsets.on_delivery(identity))

    def send_one(self):
        identity = f"{self.name}-{len(self.ids)}"
        value = json.dumps({"request_id": identity, "request": {"prompt": identity}})
        self.ids.append(identity)
        self.world.sent_ids.add(identity)
        for _ in range(2 if self.rng.random() < TWICE else 1):
            self.produce(value, identity, identity)
        if self.rng.random() < NO_REQUEST:
            self.nameless += 1
            self.produce(b"no request", str(self.nameless), None)

    def step(self):
        """Take what has ended, and send as many as are missing."""
        self.world.pump(0.05)
        self.takeovers.look()
        self.ended = sum(1 for i in self.world.events if i.startswith(self.name + "-"))
        # Not all at once: they would go on in step with each other.
        for _ in range(min(40, self.in_flight - (len(self.ids) - self.ended))):
            self.send_one()
        self.world.producer.poll(0)

    def turn(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()

    def until(self, condition, limit_s, what):
        """The load goes on until condition() gives something true; returns that."""
        def met():
            self.step()
            return condition()
        return wait_for(met, limit_s, what)

    @contextlib.contextmanager
    def intake_waits(self):
        """No request is stored meanwhile: what is read from Kafka piles up, and the
        next commit of offsets finds it unstored."""
        self.world.injected("the table of requests locked")
        with psycopg.connect(self.world.database_url) as connection:
            began_ms = time.time() * 1000
            connection.execute("LOCK TABLE request IN EXCLUSIVE MODE")
            yield
            connection.rollback()
            self.locked_ms.append((began_ms, time.time() * 1000))

    def fill(self):
        self.until(lambda: len(self.ids) - self.ended >= self.in_flight and self.ended >= 5,
                   60, "the load is there")

    def finish(self, limit_s=90):
        def over():
            self.world.pump(0.2)
            self.takeovers.look()
            return self.world.events.keys() >= set(self.ids)
        self.world.producer.flush(20)
        with contextlib.suppress(Exception):  # the checks tell what is missing
            wait_for(over, limit_s, "every end")
        self.world.pump(1)
        self.takeovers.over({ends[0].value.get("provider_task_id")
                             for ends in self.world.events.values()})

    # --- the checks ----------------------------------------------------------

    def judge(self):
        ids, events = self.ids, self.world.events
        longest_ms = max((until - since for since, until in self.offsets.frozen_ms), default=0)
        tap.note(f"{len(ids)} requests; the longest look at the offsets took "
                 f"{longest_ms / 1000:.2f} s")
        tap.equal([i for i in ids if i not in events], [], "every request ends")
        tap.equal([i for i in ids if len({e.raw for e in events.get(i, [])}) > 1], [],
                  "each end has the same bytes, however often it is told")
        tap.equal([i for i in ids if len({e.headers["ce_id"] for e in events.get(i, [])}) > 1],
                  [], "and the same id")
        spent = self.spent()
        tap.check(len(spent) <= SPENT_MAX, "hardly any lost all of its replays", spent)
        tap.equal([(i, events[i][0].value) for i in ids if i not in spent
                   if i in events and events[i][0]["status"] != "completed"][:3], [],
                  "all are completed")
        self.judge_ledger(spent)
        self.judge_offsets()
        unfinished = ("SELECT request_id, state, owner FROM (SELECT id, state, owner FROM task"
                      " UNION ALL SELECT id, 0, 0 FROM waiting) t JOIN request USING (id)")
        with contextlib.suppress(Late):  # what was told last is closed in a moment
            wait_for(lambda: not self.world.query(unfinished), 20, "no row")
        tap.equal(self.world.query(unfinished), [], "no row is unfinished")

    def spent(self):
        """Those whose every send was cut off by the end of a worker, the last replay's, too:
        nobody may send them again, and submit_unknown is their right end. What is stored
        counts: PostgreSQL may carry out an intent whose worker is gone, and nothing leaves."""
        unknown = {i for i in self.ids for event in self.world.events.get(i, [])[:1]
                   if event.value.get("error", {}).get("kind") == "submit_unknown"}
        rows = ("SELECT request_id FROM (SELECT id, sends FROM task UNION ALL"
                " SELECT id, sends FROM closed) t JOIN request USING (id)"
                " WHERE sends > %s AND request_id = ANY(%s)")
        return {i for (i,) in self.world.query(rows, REPLAYS_MAX, list(unknown))}

    def judge_ledger(self, spent):
        tasks = self.world.ledger()["tasks"]
        bought = collections.Counter(task["request"]["prompt"] for task in tasks)
        tap.equal(sorted(p for p, n in bought.items() if n > 1), [], "nothing is bought twice")
        tap.equal(sorted(set(self.ids) ^ set(bought)), [], "everything is bought, nothing else")
        served = {t["task_id"]: [v["sha256"] for v in t["videos"]] for t in tasks}
        wrong = []
        for i in [i for i in self.ids if i not in spent]:
            for event in self.world.events.get(i, [])[:1]:
                videos = event.value.get("videos", [])
                stored = [sha256_of(file_of(v["uri"])) for v in videos]
                told = [v["sha256"] for v in videos]
                if not stored == told == served.get(event.value.get("provider_task_id")):
                    wrong.append(i)
        tap.equal(wrong, [], "the videos are those that were served")

    def judge_offsets(self):
        offsets = self.offsets
        tap.equal(offsets.ahead, [], "no offset was ever ahead of what is stored")
        for text in offsets.ahead:
            RECORD.violation(f"committed ahead of what is stored: {text}")
        ends = {p: max(messages, default=-1) + 1 for p, messages in offsets.sent.items()}
        wait_for(lambda: all(offsets.committed()[p] == end for p, end in ends.items()), 30,
                 "the group's offsets come to the end")
        offsets.look([w for w in self.world.workers if w.alive()])
        nameless = {(p, at) for p, messages in offsets.sent.items()
                    for at, i in messages.items() if not i}
        tap.equal(offsets.rejected, nameless, "each message without a name is rejected")
        tap.equal(offsets.ahead, [], "and so it is at the end")


def seed_of_run():
    return int(os.environ.get("SEED") or int.from_bytes(os.urandom(3)))
