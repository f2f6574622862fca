#!/usr/bin/env python3
# tests/run: postgres kafka timeout=400
"""Topics that are missing, and rights that are: on a Kafka that makes no topic by
itself and asks who may. `migrate` makes them, `check` tries them, `run` names them."""

import os

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation,
                                   AclPermissionType, AdminClient, ConfigResource,
                                   NewTopic, ResourcePatternType, ResourceType)

import tap
from world import Kafka, World, fetch, wait_for

DENY = AclPermissionType.DENY
LITERAL = ResourcePatternType.LITERAL
PROPERTIES = (
    "auto.create.topics.enable=false",
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found=true",
)


class Bare(World):
    """A World without topics."""

    def make_topics(self):
        self.admin = AdminClient({"bootstrap.servers": self.brokers})
        self.acls = []

    def deny(self, kind, name, operation):
        """One operation to everybody; a resource with a rule has no others by itself."""
        rules = [AclBinding(kind, name, LITERAL, "User:*", "*", *rule) for rule in
                 ((AclOperation.ALL, AclPermissionType.ALLOW), (operation, DENY))]
        for future in self.admin.create_acls(rules).values():
            future.result(20)
        self.acls += rules
        self.await_rules()

    def allow_all(self):
        filters = [AclBindingFilter(a.restype, a.name, a.resource_pattern_type,
                                    a.principal, a.host, a.operation, a.permission_type)
                   for a in self.acls]
        for future in self.admin.delete_acls(filters).values():
            future.result(20)
        self.acls = []
        self.await_rules()

    def await_rules(self):
        """Until the node goes by them."""
        everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY,
                                      None, None, AclOperation.ANY,
                                      AclPermissionType.ANY)
        wait_for(lambda: len(self.admin.describe_acls(everything).result(20))
                 == len(set(map(str, self.acls))), 20, "the rules hold")

    def await_refusal(self, name):
        """Until the controller, which makes topics and hears of rules after the others,
        would not make this one."""
        def refused():
            asked = self.admin.create_topics([NewTopic(name, 1, 1)], validate_only=True)
            try:
                asked[name].result(20)
            except KafkaException as error:
                return error.args[0].code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED,
                                                KafkaError.CLUSTER_AUTHORIZATION_FAILED)
            return False
        wait_for(refused, 20, f"the controller refuses {name}")

    def worker(self, *args, **settings):
        return self.command("pixverse-worker", *args, timeout=120,
                            env=self.environment(**settings))

    def there(self):
        topics = self.admin.list_topics(timeout=20).topics
        return {name: len(topic.partitions) for name, topic in topics.items()
                if name.startswith(self.prefix)}


def lines_of(done, *words):
    return [line for line in (done.stdout + done.stderr).splitlines()
            if all(word in line for word in words)]


def is_not_ready(worker, *words):
    def told():
        try:
            status, body = fetch(worker.admin + "/readyz")
        except OSError:
            return None
        text = body.decode()
        return text if status == 503 and all(w in text for w in words) else None
    return wait_for(told, 30, f"/readyz says {words}")


def run_without_topics(world):
    """Said at once, in /readyz and the log; ready once the topic is there."""
    requests = world.topic("requests")
    worker = world.start_worker(wait=False)
    text = is_not_ready(worker, requests, "nknown topic")
    tap.check("no Kafka for requests" in text, "run: a missing topic is named", text)
    # Where something else was in the way at first, the log has it within a minute.
    wait_for(lambda: [line for line in worker.text().splitlines()
                      if requests in line and "nknown topic" in line], 60, "a line of the log")
    tap.check(True, "run: the log names it, too")
    return worker


def migrate(world):
    done = world.worker("migrate", "--no-topics")
    tap.equal((done.returncode, world.there()), (0, {}),
              "migrate --no-topics makes none")
    done = world.worker("migrate", "--no-tables")
    tap.equal(done.returncode, 2, "migrate knows no other option", done.stderr)
    made = world.admin.create_topics([NewTopic(world.topic("progress"), 3, 1)])
    for future in made.values():
        future.result(20)
    shape = {"TOPIC_PARTITIONS": "5", "TOPIC_RETENTION_MS": "86400000"}
    world.deny(ResourceType.TOPIC, world.topic("events"), AclOperation.CREATE)
    world.deny(ResourceType.BROKER, "kafka-cluster", AclOperation.CREATE)
    world.await_refusal(world.topic("events"))
    done = world.worker("migrate", **shape)
    tap.equal(done.returncode, 1, "migrate without the right fails", done.stdout)
    tap.check(lines_of(done, "migrate:", world.topic("events"), "uthorization"),
              "it names the topic and why", done.stderr)
    tap.equal(len(lines_of(done, "migrate: topic")), 1, "and only that one", done.stderr)
    world.allow_all()
    # The controller, which makes topics, hears of rules after the others.
    wait_for(lambda: world.worker("migrate", **shape).returncode == 0, 30,
             "migrate may make all")
    done = world.worker("migrate", **shape)
    tap.equal(done.returncode, 0, "migrate makes the topics", done.stdout + done.stderr)
    wait_for(lambda: len(world.there()) == 4, 20, "the broker tells of four")
    tap.equal(world.there(), {world.topic("requests"): 5, world.topic("events"): 5,
                                   world.topic("rejected"): 5, world.topic("progress"): 3},
              "with the partitions asked for; one that was there is left alone")
    found = world.admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, world.topic("events"))])
    tap.equal(list(found.values())[0].result(20)["retention.ms"].value, "86400000",
              "and the retention")
    done = world.worker("migrate")
    tap.equal((done.returncode, len(lines_of(done, "is there"))), (0, 4),
              "migrate again changes nothing", done.stdout)
    done = world.worker("migrate", KAFKA_BROKERS="127.0.0.1:1")
    tap.equal(done.returncode, 1, "migrate without Kafka fails")
    tap.check(lines_of(done, "127.0.0.1:1", "refused"), "and says why", done.stderr)


def check_before(world):
    done = world.worker("check")
    tap.equal(done.returncode, 1, "check finds missing topics", done.stdout)
    for name in ("requests", "events", "rejected", "progress"):
        tap.check(lines_of(done, "fault", world.topic(name), "migrate"),
                  f"check: {name} is named, with what mends it", done.stdout)


def check_rights(world):
    done = world.worker("check")
    tap.equal((done.returncode, len(lines_of(done, "ok", "topic", "may be"))), (0, 4),
              "check: all is well", done.stdout)
    group = world.prefix + "workers"
    denials = (
        (ResourceType.TOPIC, world.topic("requests"), AclOperation.READ, "read"),
        (ResourceType.GROUP, group, AclOperation.READ, "read"),
        (ResourceType.TOPIC, world.topic("events"), AclOperation.WRITE, "written"),
        (ResourceType.TOPIC, world.topic("rejected"), AclOperation.WRITE, "written"),
    )
    for kind, name, operation, word in denials:
        world.deny(kind, name, operation)
        done = world.worker("check")
        tap.equal((done.returncode, len(lines_of(done, "fault", "topic", word,
                                                 "uthorization"))), (1, 1),
                  f"check: no right {operation.name} on {name.split('-')[-1]}",
                  done.stdout)
        world.allow_all()
    sizes = [world.event_reader.get_watermark_offsets(p, timeout=10)
             for p in world.event_reader.assignment()]
    tap.equal({high for _, high in sizes}, {0}, "check: nothing was written")


def fatal_producer(world):
    """No right to begin: the reason is told, and few clients try."""
    world.deny(ResourceType.BROKER, "kafka-cluster", AclOperation.IDEMPOTENT_WRITE)
    world.deny(ResourceType.TOPIC, "*", AclOperation.WRITE)
    done = world.worker("check")
    tap.equal((done.returncode, len(lines_of(done, "fault", "Kafka", "uthorization"))),
              (1, 1), "check: no right to InitProducerId", done.stdout)
    worker = world.start_worker(wait=False)
    text = is_not_ready(worker, "no Kafka for events", "uthorization")
    tap.check("urged" not in text, "a fatal producer: the broker's words", text)
    wait_for(lambda: "uthorization" in worker.text(), 20, "the log has them")
    world.allow_all()
    world.wait_ready(worker, 60)
    tap.check(True, "a fatal producer: ready once it may")
    tap.equal(worker.stop(), 0, "and it drains", worker.text()[-1500:])


def main():
    kafka = Kafka(*PROPERTIES)
    try:
        with Bare(workers=0, kafka=kafka, settings={"SUBMIT_DOUBT": "settle"}) as world:
            tap.equal(set(world.there()), set(), "there are no topics")
            check_before(world)
            worker = run_without_topics(world)
            migrate(world)
            world.wait_ready(worker, 60)
            tap.check(True, "run: ready once the topics are there")
            world.event_reader = world.reader("events")
            world.send({"request_id": "one", "request": {"prompt": "x"}})
            world.flush()
            tap.equal(world.event("one", 60)["status"], "completed", "and it works")
            tap.equal(worker.stop(), 0, "it drains")
            world.admin.delete_topics([world.topic("events")])[
                world.topic("events")].result(20)
            wait_for(lambda: world.topic("events") not in world.there(), 20,
                     "the topic is gone")
            tap.equal(world.worker("migrate").returncode, 0, "migrate makes it again")
            wait_for(lambda: len(world.there()) == 4, 20, "the broker tells of it again")
            world.events.clear()
            world.event_reader.close()
            world.event_reader = world.reader("events")
            check_rights(world)
            fatal_producer(world)
    finally:
        kafka.stop()


tap.run(main)
