#!/usr/bin/env python3
# tests/run: kafka long timeout=400
"""PostgreSQL's sessions killed without end, killed in the middle of what they do,
the server standing still for longer than a lease, crashing again and again; workers
that come and go; a rejection that the broker does not take. Nothing is lost or bought
twice, and nobody is robbed."""

import contextlib
import os
import signal
import time

import psycopg
from confluent_kafka import KafkaError
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry,
                                   ConfigResource, ResourceType)

import tap
from world import Postgres, World, fetch, wait_for

BATCH = 150
# The standstill is twice as long; and nobody is robbed who stands still for two or three
# seconds himself, as on a busy machine.
LEASE_MS = 4000
STILL_S = 2 * LEASE_MS / 1000


def send(world, name, count=BATCH):
    ids = [f"{name}-{n}" for n in range(count)]
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()
    return ids


def check_once(world, name, ids):
    """Each ends once, completed, and was bought once."""
    world.wait_events(ids, 120)
    world.pump(0.5)
    tap.equal([i for i in ids if world.events[i][0]["status"] != "completed"], [],
              f"{name}: all are completed")
    tap.equal([i for i in ids if len({e.raw for e in world.events[i]}) != 1], [],
              f"{name}: each request has one end")
    bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]
              if t["request"]["prompt"].startswith(name + "-")]
    tap.equal(sorted(bought), sorted(ids), f"{name}: each is bought once")


def kill_sessions(postgres, which, seconds, pause_s):
    """End the commands' sessions again and again, ten at least; how many there were."""
    killed = 0
    with psycopg.connect(postgres.url, autocommit=True, application_name="") as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end or (killed < 10 and time.monotonic() < end + 30):
            killed += connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name <> '' "
                f"AND pid <> pg_backend_pid() AND {which}").fetchone()[0]
            time.sleep(pause_s)
    return killed


def storm(world, postgres, name, which, seconds, pause_s):
    ids = send(world, name)
    killed = kill_sessions(postgres, which, seconds, pause_s)
    tap.note(f"{name}: {killed} sessions were ended")
    tap.check(killed >= 10, f"{name}: sessions were ended", killed)
    check_once(world, name, ids)
    tap.check(all(w.alive() for w in world.workers), f"{name}: the workers stay")


def signal_all(pids, number):
    """A session may end meanwhile."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def stop_server(postgres):
    """The server, then all that it has started: it starts no more. Their ids."""
    first = int((postgres.folder / "data/postmaster.pid").read_text().split()[0])
    os.kill(first, signal.SIGSTOP)
    children = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                    if int(file.read().rsplit(") ", 1)[1].split()[1]) == first:
                        children.append(int(entry))
            except OSError:
                pass
    signal_all(children, signal.SIGSTOP)
    return [first, *children]


def standstill(world, postgres):
    """Longer than any lease: whoever was alive before is alive afterwards."""
    living = "SELECT id FROM lease WHERE NOT dead ORDER BY id"
    leases = wait_for(lambda: len(found := world.query(living)) == 2 and found, 60,
                      "still: two workers live")
    ids = send(world, "still")
    wait_for(lambda: world.pump() or world.ledger()["totals"]["accepted"] >= 2 * BATCH + 20,
             60, "still: some are accepted")
    still = stop_server(postgres)
    try:
        world.pump(STILL_S)
    finally:
        signal_all(still, signal.SIGCONT)
    healed = time.monotonic()
    check_once(world, "still", ids)
    # Nobody is buried before two leases; in the third who was late would be.
    time.sleep(max(0, healed + 3 * LEASE_MS / 1000 - time.monotonic()))
    # Not by the fence: what was claimed before a late bump, and so never sent, waits
    # again and is claimed a second time. Nor by the takeovers: they are those of one state.
    robbed = world.query("SELECT request_id, fence, takeovers_since_ms FROM closed "
                         "JOIN request USING (id) WHERE request_id LIKE 'still-%%' "
                         "AND takeovers_since_ms IS NOT NULL")
    tap.equal(robbed, [], "still: nobody was robbed")
    tap.equal(world.query(living), leases, "still: the same two workers live")


def crashes(world, postgres):
    ids = []
    for n in range(5):
        ids += send(world, f"crash-{n}", 40)
        world.pump(0.7)
        postgres.halt()
        postgres.again()
    check_once(world, "crash", ids)


def comings_and_goings(world):
    ids = []
    for n in range(4):
        ids += send(world, f"group-{n}", 50)
        guest = world.start_worker()
        world.pump(2)
        tap.equal(guest.stop(), 0, f"group: guest {n} drains with status 0")
    check_once(world, "group", ids)


def refuses_large(world, topic):
    """Whether every partition of a topic finds a message of ours too large."""
    errors = []
    for p in range(world.partitions):
        world.producer.produce(world.topic(topic), os.urandom(20000), b"trial", partition=p,
                               on_delivery=lambda error, _: errors.append(error))
        world.flush()  # each by itself: a batch is refused as one
    return all(error and error.code() == KafkaError.MSG_SIZE_TOO_LARGE for error in errors)


def small_topic(world):
    """A rejection larger than the topic takes keeps its headers, and says how large
    its value was."""
    resource = ConfigResource(
        ResourceType.TOPIC, world.topic("rejected"), incremental_configs=[
            ConfigEntry("max.message.bytes", "5000",
                        incremental_operation=AlterConfigOpType.SET)])
    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)
    wait_for(lambda: refuses_large(world, "rejected"), 20, "the broker goes by it")
    reader = world.reader("rejected")
    came = {}

    def rejected(key):
        for message in reader.consume(10, 0.2):
            came[message.key()] = (message.value(), dict(message.headers() or []))
        return key in came
    try:
        # One after the other: what shares a batch with a large one is refused with it.
        for key, value in ((b"large", b"no json " + os.urandom(20000)),
                           (b"small", b"no json")):
            world.send(value, key=key)
            world.flush()
            wait_for(lambda key=key: rejected(key), 40, f"the rejection of {key}")
    finally:
        reader.close()
    tap.equal(came[b"small"][0], b"no json", "a small rejection is there whole")
    value, headers = came[b"large"]
    tap.equal(headers.get("value_dropped"), b"20008", "a large one says what it lost",
              value, headers)
    tap.equal(headers.get("error"), b"not_json", "and keeps its headers")
    check_once(world, "then", send(world, "then", 5))


def main():
    postgres = Postgres()
    try:
        with World(workers=2, latency="1..3", sim=["--schema", "yes"], postgres=postgres,
                   settings={"LEASE_MS": str(LEASE_MS), "TASKS_MAX": "400"}) as world:
            storm(world, postgres, "storm", "true", 10, 0.1)
            storm(world, postgres, "active", "state = 'active'", 4, 0)
            standstill(world, postgres)
            crashes(world, postgres)
            comings_and_goings(world)
            small_topic(world)
            world.wait_ready(world.workers[0])
            tap.equal(fetch(world.workers[0].admin + "/readyz")[0], 200, "ready at the end")
            for worker in world.workers[:2]:
                tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0",
                          worker.text()[-2000:])
    finally:
        postgres.stop()


tap.run(main)
