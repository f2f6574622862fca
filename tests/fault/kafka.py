#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=500
"""What Apache Kafka does to those who write to it: leaders that move, too few
replicas, topics deleted and forbidden, answers that are wrong or never come, producers
that it ends, messages larger than a topic takes. Nothing is lost or bought twice; ends
and rejections wait until they are taken, whole."""

import os
import threading
import time

from confluent_kafka import (Consumer, KafkaError, KafkaException, Producer,
                             TopicPartition)
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation,
                                   AclPermissionType, NewTopic, ResourcePatternType,
                                   ResourceType)

import tap
import world as worlds
from brokers import CUT, Cluster
from world import Late, World, fetch, wait_for

OUT = ("events", "rejected", "progress")
# What an answer to an event may say; at some librdkafka gives its producer up.
GIVES_UP = (45,)
ANSWERS = (
    (45, "out of order"), (45, "out of order again"), (59, "unknown producer"),
    (47, "an old epoch"),
    (6, "not the leader"), (7, "timed out"), (19, "too few replicas"),
    (20, "too few replicas after the fact"), (56, "a broken disk"),
    (10, "too large"), (18, "list too large"), (29, "forbidden"), (87, "no record"),
    (-1, "unknown error"), (2, "corrupt"), (3, "no such topic"), (CUT, "no answer"),
)


class Pair(World):
    """A World whose topics are on both nodes, or on three."""

    def __init__(self, cluster, replicas=2, **more):
        super().__init__(kafka=cluster, **more)
        self.cluster = cluster
        self.replicas = replicas

    def make_topics(self, names=worlds.TOPICS):
        missing = {self.topic(name) for name in names}

        def made():
            """A node that has stood still for two seconds is none, for a moment."""
            admin = self.cluster.admin()
            for topic, future in admin.create_topics(
                    [NewTopic(topic, self.partitions, self.replicas,
                              config=self.topic_config) for topic in missing]).items():
                try:
                    future.result(60)
                    missing.discard(topic)
                except KafkaException as refused:
                    if refused.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR:
                        raise
            return not missing
        wait_for(made, 30, "there are nodes enough for the topics")
        self.cluster.await_leaders(self.prefix, lambda p: len(p.isrs) == self.replicas,
                                   "the topics are there")

    def batch(self, name, count, **more):
        ids = [f"{name}-{n}" for n in range(count)]
        for identity in ids:
            self.send({"request_id": identity, "request": {"prompt": identity}, **more})
        self.flush()
        return ids

    def rejection_of(self, header, value):
        """The rejection that has this header."""
        reader = self.reader("rejected")
        found = []

        def come():
            message = reader.poll(0.2)
            # One without a value is false.
            if message is not None and not message.error() and \
                    dict(message.headers() or []).get(header) == value:
                found.append(message)
            return found
        try:
            return wait_for(come, 60, f"a rejection with {header}")[0]
        finally:
            reader.close()

    def rejections(self, keys, limit_s=60):
        """key -> (value, headers) of rejections, each of which came."""
        reader = self.reader("rejected")
        came = {}

        def all_came():
            for message in reader.consume(100, 0.2):
                if not message.error():
                    came[message.key()] = message.value(), dict(message.headers() or [])
            return set(keys) <= set(came)
        try:
            wait_for(all_came, limit_s, f"rejections of {keys}")
        finally:
            reader.close()
        return came

    def ended(self, ids):
        """How many of these have an end that waits to be told."""
        return self.query("SELECT count(*) FROM task JOIN request USING (id) WHERE "
                          "state IN (4, 5) AND request_id = ANY(%s)", ids)[0][0]

    def waiting(self):
        """What the workers' metrics say of such tasks."""
        return sum(float(line.rsplit(" ", 1)[1]) for worker in self.workers
                   if worker.alive()
                   for line in fetch(worker.admin + "/metrics")[1].decode().splitlines()
                   if line.startswith(('pixverse_tasks{state="succeeded"}',
                                       'pixverse_tasks{state="failed"}')))

    def answers(self, topic, size=0):
        """What each partition of a topic says to a message of ours: None, or an error's
        code. Each by itself: a batch is refused as one. By a producer that has heard
        nothing before: while rules come, a node may deny all of a topic for a moment,
        and a producer remembers that."""
        producer = Producer({"bootstrap.servers": self.brokers})
        errors = []
        for p in range(self.partitions):
            try:
                producer.produce(self.topic(topic), os.urandom(size), b"trial", partition=p,
                                 on_delivery=lambda error, _: errors.append(error))
                producer.flush(30)
            except KafkaException as refused:
                errors.append(refused.args[0])
        return [error and error.code() for error in errors]

    def are_all(self, topic, code, size=0):
        """Whether no partition says anything else: all nodes go by what was ordered
        last, and so by all that was ordered before."""
        return set(self.answers(topic, size)) == {code}

    def passed(self):
        """Partition of the request topic -> what the group has passed."""
        consumer = Consumer({"bootstrap.servers": self.brokers,
                             "group.id": self.prefix + "workers"})
        try:
            found = consumer.committed(
                [TopicPartition(self.topic("requests"), p)
                 for p in range(self.partitions)], timeout=60)
            return {p.partition: p.offset for p in found}
        finally:
            consumer.close()


def check_once(world, name, ids, limit_s=60):
    world.wait_events(ids, limit_s)
    world.pump(0.3)
    tap.equal([i for i in ids if world.events[i][0]["status"] != "completed"], [],
              f"{name}: all are completed")
    tap.equal([i for i in ids if len({e.raw for e in world.events[i]}) != 1], [],
              f"{name}: each request has one end")
    bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]
              if t["request"]["prompt"].startswith(name + "-")]
    tap.equal(sorted(bought), sorted(ids), f"{name}: each is bought once")


def wait_untold(world, name, ids):
    """They come to their ends, and stay there, and the metrics say so."""
    wait_for(lambda: world.ended(ids) == len(ids), 40, f"{name}: all wait to be told")
    tap.check(True, f"{name}: tasks wait in SUCCEEDED and FAILED")
    wait_for(lambda: world.waiting() >= len(ids), 20, f"{name}: the metrics say so")
    tap.check(True, f"{name}: the metrics say so")


def wait_told(world, name, words):
    """Who asks is told how many, since when and why."""
    def told():
        bodies = [fetch(w.admin + "/readyz")[1].decode() for w in world.workers if w.alive()]
        return [line for body in bodies for line in body.splitlines()
                if line.startswith("untold: ") and words in line]
    lines = wait_for(told, 60, f"{name}: /readyz tells {words}")
    tap.check(True, f"{name}: /readyz tells {words}", lines)


def kill_second(world):
    """Until the first node leads everything. Where that one had stood still for two seconds
    a moment before, the second had left it behind, which no look at it can tell: then
    nobody may lead until the second is back, and all begins again."""
    cluster = world.cluster
    for last in (False, False, True):
        cluster.await_both(world.prefix)
        cluster.second.kill()
        world.injected("Kafka node killed")
        try:
            cluster.await_leaders(world.prefix, lambda p: p.leader == 1,
                                  "the first node leads", 40 if last else 10)
            return
        except Late:
            if last:
                raise
            cluster.second_again()


def move_leaders(world):
    """The second node dies, comes back and leads again."""
    cluster = world.cluster
    moved = threading.Event()
    ids, bad = [], []

    def go_on():
        while not moved.wait(0.2):
            ids.extend(world.batch(f"move-{len(bad)}", 5))
            bad.append(f"bad-{len(bad)}".encode())
            world.send(b"no json", key=bad[-1])
    world.injected("Kafka leaders moved", 2)
    cluster.await_both(world.prefix)
    sender = threading.Thread(target=go_on)
    sender.start()
    try:
        wait_for(lambda: world.pump() or any(i in world.events for i in ids), 30,
                 "move: the first ends")
        kill_second(world)
        cluster.second_again()
        cluster.await_both(world.prefix)
        tap.check(cluster.second.alive(), "move: the leaders moved, and back")
        world.pump(1)
    finally:
        moved.set()
        sender.join()
    tap.note(f"move: {len(ids)} requests meanwhile")
    check_once(world, "move", ids)
    came = world.rejections(bad)
    tap.equal({value for key, (value, _) in came.items() if key and key.startswith(b"bad-")},
              {b"no json"}, "move: each rejection came, whole")


def lack_replicas(world):
    """The second node leaves politely, while topics want to be on both."""
    cluster = world.cluster
    world.pump(0.5)
    for name in OUT:
        cluster.configure(world.topic(name), min_insync_replicas=2)
    began = world.batch("leaving", 20)
    tap.check(cluster.second.stop() is not None, "lack: the second node leaves")
    world.injected("Kafka leaders moved", 2)
    world.injected("Kafka with too few replicas")
    cluster.await_leaders(world.prefix, lambda p: p.leader == 1 and len(p.isrs) == 1,
                          "the first node is alone")
    ids = world.batch("lack", 40)
    for n in range(8):
        world.send(b"no json", key=f"lack-bad-{n}".encode())
    world.flush()
    wait_untold(world, "lack", ids)
    passed = world.passed()
    cluster.second_again()
    check_once(world, "leaving", began)
    check_once(world, "lack", ids)
    came = world.rejections([f"lack-bad-{n}".encode() for n in range(8)])
    over = [headers for key, (_, headers) in came.items() if key and key.startswith(b"lack")
            and passed[int(headers["source_partition"])] > int(headers["source_offset"])]
    tap.equal(over, [], "lack: no offset went past a rejection that nobody took")
    for name in OUT:
        cluster.configure(world.topic(name), min_insync_replicas=1)
    cluster.await_both(world.prefix)


def delete_topics(world):
    world.pump(0.5)
    admin = world.cluster.admin()
    for future in admin.delete_topics(
            [world.topic(name) for name in OUT]).values():
        future.result(60)
    world.injected("Kafka topics deleted")
    ids = world.batch("gone", 20)
    world.send(b"no json", key=b"gone-bad")
    world.flush()
    wait_untold(world, "gone", ids)
    wait_for(lambda: any("again" in line and world.topic("events") in line
                         for w in world.workers for line in w.text().splitlines()),
             60, "gone: the log says why")
    tap.check(True, "gone: the log says why")
    world.make_topics(OUT)
    world.event_reader.close()
    world.event_reader = world.reader("events")
    check_once(world, "gone", ids, 90)
    tap.equal(world.rejections([b"gone-bad"])[b"gone-bad"][0], b"no json",
              "gone: the rejection came, whole")


def forbid(world):
    admin = world.cluster.admin()
    # Allowed first: a topic that has a rule is closed to all that no rule allows.
    rules = [(ResourceType.TOPIC, world.topic(name), ResourcePatternType.LITERAL,
              "User:ANONYMOUS", "*", *rule)
             for rule in ((AclOperation.ALL, AclPermissionType.ALLOW),
                          (AclOperation.WRITE, AclPermissionType.DENY)) for name in OUT]
    for rule in rules:
        for future in admin.create_acls([AclBinding(*rule)]).values():
            future.result(60)
    world.injected("Kafka forbade to write")
    wait_for(lambda: world.are_all("progress", KafkaError.TOPIC_AUTHORIZATION_FAILED), 20,
             "both nodes go by it")
    ids = world.batch("forbidden", 20)
    world.send(b"no json", key=b"forbidden-bad")
    world.flush()
    wait_untold(world, "forbidden", ids)
    wait_for(lambda: any("a rejection was not taken" in w.text() for w in world.workers),
             30, "forbidden: the log says so of the rejection")
    # What forbids first: a topic of which that alone were left would be closed to readers.
    for rule in reversed(rules):
        for future in admin.delete_acls([AclBindingFilter(*rule)]).values():
            future.result(60)
    wait_for(lambda: world.are_all("progress", None), 20, "both nodes go by that, too")
    # While rules came, a node may have denied the reader its topic, once.
    world.event_reader.close()
    world.event_reader = world.reader("events")
    check_once(world, "forbidden", ids, 90)
    value, headers = world.rejections([b"forbidden-bad"])[b"forbidden-bad"]
    tap.equal((value, headers.get("value_dropped")), (b"no json", None),
              "forbidden: the rejection keeps its value")


def too_large(world):
    """Small topics: what is too large waits or is shortened, and nobody else is."""
    cluster = world.cluster
    cluster.configure(world.topic("events"), max_message_bytes=4000)
    cluster.configure(world.topic("rejected"), max_message_bytes=5000)
    wait_for(lambda: world.are_all("rejected", KafkaError.MSG_SIZE_TOO_LARGE, 20000), 20,
             "large: both nodes go by it")
    world.injected("Kafka topic too small", 2)
    world.pump(0.5)
    text = "x" * 10000
    large = world.batch("large", 5, metadata={"text": text})
    small = world.batch("beside", 40)
    values = {}
    for n in range(60):
        value = b"no json " + (os.urandom(20000) if n % 6 == 0 else b"small")
        values[f"size-{n}".encode()] = value
        world.send(value, key=f"size-{n}".encode())
    huge = b"no json " + os.urandom(1500000)
    world.send(huge, key=b"size-huge")
    world.send(b"no json", key=os.urandom(9000), headers=[("own", b"x")])
    world.flush()
    keyless = world.rejection_of("key_dropped", b"9000")
    tap.equal((keyless.key(), keyless.value(), dict(keyless.headers()).get("own")),
              (None, None, None), "large: a key that is too large is left out and named")
    came = world.rejections([*values, b"size-huge"])
    tap.equal([k for k, v in values.items() if len(v) < 5000 and came[k][0] != v], [],
              "large: small rejections among large ones are whole")
    tap.equal([k for k, v in values.items() if len(v) > 5000 and
               (came[k][0], came[k][1].get("value_dropped")) !=
               (None, str(len(v)).encode())], [],
              "large: large ones say what they lost")
    tap.equal((came[b"size-huge"][1]["error"], came[b"size-huge"][1]["value_dropped"]),
              (b"too_large", b"1500008"), "large: one over 1 MiB is too_large")
    check_once(world, "beside", small)
    wait_untold(world, "large", large)
    wait_told(world, "large", "too large")
    tap.equal([i for i in large if i in world.events], [], "large: they are not told")
    for topic in ("events", "rejected"):
        cluster.configure(world.topic(topic), max_message_bytes=3145728)
    wait_for(lambda: world.are_all("rejected", None, 20000), 20, "large: both nodes take it")
    check_once(world, "large", large, 90)
    tap.equal([i for i in large if world.events[i][0]["metadata"] != {"text": text}], [],
              "large: told whole, once the topic takes it")
    world.send(huge, key=b"whole-huge")
    world.flush()
    value, headers = world.rejections([b"whole-huge"])[b"whole-huge"]
    tap.equal((value == huge, headers["error"]), (True, b"too_large"),
              "large: what was over 1 MiB is rejected whole")


def false_answers(world):
    """A wrong answer to one of the ends, each kind in its turn."""
    cluster = world.cluster
    for error, name in ANSWERS:
        began = cluster.producers
        world.injected(f"Kafka answered: {name}")
        cluster.lie(world.topic("events"), error)
        kind = "told-" + name.replace(" ", "-")
        ids = world.batch(kind, 8)
        cluster.await_lies()
        check_once(world, kind, ids)
        if error in GIVES_UP:
            # What it was told falsely has come: nothing may be left to wait for it with.
            wait_for(lambda n=began: cluster.producers > n, 30, f"{name}: a new producer")
            tap.check(True, f"{name}: there is a new producer")


def one_of_three(cluster):
    """Topics on three nodes, two of which have to take what is written: one of them
    goes under load and stays away, and workers begin while it is."""
    third = cluster.format(3)
    cluster.third_again()
    brokers = f"{third},{cluster.brokers}"
    with Pair(cluster, workers=2, latency="0.2..0.4", sim=["--schema", "yes"],
              name="three", replicas=3, topics={"min.insync.replicas": "2"},
              settings={"KAFKA_BROKERS": brokers}) as world:
        cluster.await_leaders(world.prefix, lambda p: len(p.isrs) == 3, "all three have all")
        ids = world.batch("three", 40)
        cluster.third.kill()
        world.injected("Kafka node killed")
        more = world.batch("away", 40)
        cluster.await_leaders(world.prefix, lambda p: p.leader in (1, 2),
                              "the two that are left lead")
        check_once(world, "three", ids)
        check_once(world, "away", more)
        world.start_worker()
        check_once(world, "late", world.batch("late", 40))
        said = world.command("pixverse-worker", "check")
        tap.check(said.returncode == 0, "three: check passes with one away", said.stdout)
        cluster.third_again()
        check_once(world, "again", world.batch("again", 20))
        for worker in world.workers:
            tap.equal(worker.stop(), 0, f"three: {worker.name} drains with status 0")


def main():
    with Cluster() as cluster:
        with Pair(cluster, workers=2, latency="0.2..0.4", sim=["--schema", "yes"],
                  settings={"KAFKA_BROKERS": cluster.crooked}) as world:
            for scene in (false_answers, too_large, move_leaders, lack_replicas,
                          delete_topics, forbid):
                began = time.monotonic()
                scene(world)
                tap.note(f"{scene.__name__}: {time.monotonic() - began:.1f} s")
            for worker in world.workers:
                world.wait_ready(worker)
                tap.check(True, "ready at the end")
                tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0",
                          worker.text()[-2000:])
        if int(os.environ.get("BROKERS", "2")) > 2:
            one_of_three(cluster)


tap.run(main)
