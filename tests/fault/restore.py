#!/usr/bin/env python3
# tests/run: kafka timeout=600
"""The database is restored from a base backup that was made under load, hours of
work are lost, and pixverse-ctl rewind has the topic read again: nothing is bought
twice, nothing is lost. What the provider has forgotten, or may have, waits for the
operator, unsent; of three accounts so does all whose account nobody knows any more."""

import json
import threading
import time
from datetime import datetime, timezone
from types import SimpleNamespace

import psycopg
import tap
from confluent_kafka import Consumer, TopicPartition
from world import Postgres, World, fetch, wait_for

REQUESTS = 150  # in each of three parts: before the backup, after it, after the rewind
FEW = 30  # the same, of three accounts
DAY_MS = 86400000


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def ask(world, part, first=0, n=REQUESTS):
    """One request each 10 ms or so; what a request says is its id."""
    for i in range(first, n):
        name = f"{part}-{i:03d}"
        world.send({"request_id": name, "request": {"prompt": name}})
        world.pump(0.01)
    world.flush()


def ended(world, part, n):
    world.pump(0.05)
    return sum(name.startswith(part) for name in world.events) >= n


def posts(world, prompt):
    ledger = world.ledger()
    return [t["sends"] for t in ledger["tasks"] if t["request"]["prompt"] == prompt]


def refusals(world, began_s):
    """Nothing is set back while a worker is there, or to no time."""
    done = world.ctl("rewind", "--to", rfc3339(began_s))
    tap.check(done.returncode == 1 and "stop every worker" in done.stderr,
              "rewind beside a worker is refused", done.stderr)
    for words in ((), ("--to", "yesterday"), ("--to", "2026-11-28T03:00:00"),
                  ("--to", "1000", "more")):
        done = world.ctl("rewind", *words)
        tap.equal(done.returncode, 2, f"rewind {' '.join(words)}: usage", done.stderr)
    done = world.ctl("rewind", "--to", rfc3339(time.time() + 3600))
    tap.check(done.returncode == 1, "nor to a time to come", done.stderr)


def member(world):
    """One of the workers' group."""
    return Consumer({"bootstrap.servers": world.brokers, "group.id": world.prefix + "workers",
                     "enable.auto.commit": False, "auto.offset.reset": "earliest"})


def committed(world):
    """How far the workers' group has committed each partition; no member joins."""
    reader = member(world)
    done = reader.committed([TopicPartition(world.topic("requests"), p)
                             for p in range(world.partitions)], 20)
    reader.close()
    return [p.offset for p in done]


def group_of_others(world, began_s):
    """A member that is no worker of this database: the group is looked at, too."""
    reader = member(world)
    reader.subscribe([world.topic("requests")])
    wait_for(lambda: reader.poll(0.1) or reader.assignment(), 30, "a member of the group")
    done = world.ctl("rewind", "--to", rfc3339(began_s))
    reader.close()
    tap.check(done.returncode == 1 and "has 1 member" in done.stderr,
              "rewind is refused while the group has members", done.stderr)
    tap.equal(world.query("SELECT rewound_ms FROM meta"), [(0,)], "and nothing is marked")


def set_back(world, began_s):
    """The offsets go back, once it isn't a dry run; the database knows when."""
    before = committed(world)
    to = rfc3339(began_s)
    dry = json.loads(world.ctl("rewind", "--to", to, "--dry-run", "--json").stdout)
    tap.check(not dry["done"] and dry["messages"] >= 2 * REQUESTS, "a dry run says what", dry)
    tap.equal((committed(world), world.query("SELECT rewound_ms FROM meta")), (before, [(0,)]),
              "and does nothing")
    done = world.ctl("rewind", "--to", to, "--json")
    told = json.loads(done.stdout or "{}")
    tap.check(done.returncode == 0 and told["messages"] == dry["messages"],
              "it is set back", done.stderr + done.stdout)
    after = committed(world)
    tap.check(sum(before) - sum(after) == told["messages"], "the group's offsets are", after)
    tap.equal(world.query("SELECT count(*) FROM waiting WHERE NOT doubt"), [(0,)],
              "what waits is in doubt")


def forgotten(world, worker):
    """Produced 21 hours ago: its key may be forgotten. It waits; the rest goes by."""
    world.send({"request_id": "old-1", "request": {"prompt": "old-1"}},
               produced_ms=int(time.time() * 1000) - 21 * DAY_MS // 24)
    world.send({"request_id": "old-2", "request": {"prompt": "old-2"}},
               produced_ms=int(time.time() * 1000) - 21 * DAY_MS // 24)
    world.send({"request_id": "new-1", "request": {"prompt": "new-1"}})
    world.flush()
    world.event("new-1")
    wait_for(lambda: world.query("SELECT count(*) FROM waiting")[0][0] == 2, 30, "both wait")
    wait_for(lambda: b"hold: operator" in fetch(worker.admin + "/readyz")[1], 20, "the hold")
    told = fetch(worker.admin + "/readyz")
    tap.check(told[0] == 200 and b"the database was set back" in told[1], "readyz says why",
              told[1].decode())
    explained = json.loads(world.ctl("explain", "old-1", "--json").stdout)
    tap.check(explained["state"] == "queued" and any(
        h["reason"] == "operator" and h["scope"] == "old-1" for h in explained["holds"]),
        "explain says it", explained)
    tap.equal((posts(world, "old-1"), posts(world, "old-2")), ([], []), "they are unsent")
    done = world.ctl("retry", "old-1")
    tap.check(done.returncode == 1 and "--pay-again" in done.stderr, "an order says the risk",
              done.stderr)
    tap.equal(world.ctl("retry", "old-1", "--pay-again").returncode, 0, "it is ordered")
    tap.equal(world.event("old-1")["status"], "completed", "then it is sent")
    tap.equal(world.ctl("cancel", "old-2").returncode, 0, "the other one is cancelled")
    event = world.event("old-2")
    tap.equal((event["error"]["kind"], event["billed"]), ("cancelled", "unknown"),
              "nobody knows whether it is paid", event.value)
    wait_for(lambda: b"hold: operator" not in fetch(worker.admin + "/readyz")[1], 20,
             "the hold is over")


def copy(world, postgres):
    """A copy for trials: another salt, what has ended, and nothing that is open."""
    def counts(url):
        with psycopg.connect(url) as connection:
            return connection.execute(
                "SELECT (SELECT count(*) FROM closed), (SELECT count(*) FROM request),"
                " (SELECT count(*) FROM waiting), (SELECT encode(salt, 'hex') FROM meta)"
            ).fetchone()

    def migrate(url, *words):
        return world.command("pixverse-worker", "migrate", "--copy", *words,
                             env={**world.environment(), "DATABASE_URL": url})

    world.send({"request_id": "old-3", "request": {"prompt": "old-3"}}, produced_ms=1000)
    world.flush()
    wait_for(lambda: world.query("SELECT count(*) FROM waiting")[0][0] == 1, 30, "one is open")
    done = migrate(postgres.url, "--confirm=pixverse")
    tap.check(done.returncode == 1 and "workers are connected" in done.stderr,
              "no copy is made of what workers work on", done.stderr)
    world.workers[-1].stop()
    before = counts(postgres.url)
    with psycopg.connect(postgres.url.rsplit("/", 1)[0] + "/postgres",
                         autocommit=True) as connection:
        connection.execute("CREATE DATABASE trial TEMPLATE pixverse")
        connection.execute("CREATE DATABASE void")
    void = postgres.url.rsplit("/", 1)[0] + "/void"
    done = migrate(void)
    with psycopg.connect(void) as connection:
        made = connection.execute("SELECT to_regclass('meta')").fetchone()[0]
    tap.check(done.returncode == 1 and not made, "what has no schema gets none",
              (done.stderr, made))
    url = postgres.url.rsplit("/", 1)[0] + "/trial"
    for words in ((), ("--confirm=pixverse",)):
        done = migrate(url, *words)
        tap.check(done.returncode == 2 and "--confirm=trial" in done.stderr
                  and "1 requests" in done.stdout, "a copy wants its name", done.stderr)
    tap.equal(counts(url), before, "and nothing was done")
    done = migrate(url, "--confirm=trial")
    closed, requests, waiting, salt = counts(url)
    tap.equal((done.returncode, closed, requests, waiting),
              (0, before[0], before[1] - 1, 0), "a copy has what has ended", done.stderr)
    tap.check(salt != before[3] and len(salt) == 64, "and a salt of its own")
    tap.equal(counts(postgres.url), before, "the original is as it was")


def of_three_accounts(postgres):
    """Another database of the same server, and one of three accounts buys: whose it was is
    known of what the backup has as sent."""
    name = "accounts"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    accounts = [{"name": a, "key": f"sk-{a}"} for a in "abc"]
    with World(workers=1, postgres=SimpleNamespace(url=postgres.url.rsplit("/", 1)[0] + "/" + name),
               name=name, latency="0.5..4", set_back=True,
               sim=["--schema", "yes", *(w for a in accounts for w in ("--key", a["key"]))],
               settings={"APIMART_API_KEY": "",
                         "APIMART_ACCOUNTS": json.dumps(accounts)}) as world:
        began_s = time.time()
        ask(world, "before", n=FEW)
        wait_for(lambda: world.query("SELECT count(*) FROM task WHERE state = 2")[0][0] >= 3,
                 30, "some are accepted")
        postgres.backup()
        ask(world, "beside", n=FEW)
        wait_for(lambda: ended(world, "beside", FEW) and ended(world, "before", FEW), 60,
                 "all have ended")
        world.workers[0].stop()
        tap.equal(len(world.ledger()["totals"]["keys"]), 3, "three accounts: each has bought")
        postgres.restore()
        world.ctl("rewind", "--to", rfc3339(began_s), "--json", check=True)
        known = world.query("SELECT count(*) FROM request WHERE id NOT IN"
                            " (SELECT id FROM waiting)")[0][0]
        tap.check(0 < known < 2 * FEW, "three accounts: some are known, some are not", known)
        worker = world.start_worker()
        ask(world, "after", n=FEW)
        wait_for(lambda: world.query("SELECT count(*) FROM closed") == [(known + FEW,)], 60,
                 "what is known ends, and what came after the mark")
        wait_for(lambda: world.query("SELECT count(*) FROM waiting WHERE doubt")
                 == [(2 * FEW - known,)], 30, "all else is back, and waits")
        tasks = world.ledger()["tasks"]
        tap.check(wait_for(lambda: b"hold: operator" in fetch(worker.admin + "/readyz")[1], 20,
                           "three accounts: the hold"),
                  "three accounts: it waits for the operator")
        tap.equal(sorted(t["request"]["prompt"] for t in tasks),
                  sorted(f"{part}-{i:03d}" for part in ("before", "beside", "after")
                         for i in range(FEW)), "three accounts: each is bought once")
        unsure = {r for (r,) in world.query("SELECT request_id FROM waiting JOIN request"
                                            " USING (id)")}
        tap.equal([t["request"]["prompt"] for t in tasks
                   if t["request"]["prompt"] in unsure and t["sends"] != 1], [],
                  "three accounts: whose account nobody knows isn't sent again")
        one = sorted(unsure)[-1]
        explained = json.loads(world.ctl("explain", one, "--json").stdout)
        tap.check(any(h["reason"] == "operator" for h in explained["holds"]),
                  "three accounts: explain says it", explained)
        done = world.ctl("retry", one)
        tap.check(done.returncode == 1 and "--pay-again" in done.stderr,
                  "three accounts: an order says the risk", done.stderr)


def main():
    postgres = Postgres()
    try:
        with World(workers=1, postgres=postgres, latency="0.5..4", set_back=True) as world:
            began_s = time.time()
            ask(world, "before")
            backup = threading.Thread(target=postgres.backup)
            backup.start()
            ask(world, "beside", n=REQUESTS // 2)
            wait_for(lambda: not backup.is_alive(), 60, "the base backup is made")
            ask(world, "beside", first=REQUESTS // 2)  # the backup has none of these
            tap.check((postgres.folder / "backup/PG_VERSION").exists(),
                      "a base backup under load")
            wait_for(lambda: ended(world, "beside", REQUESTS)
                     and ended(world, "before", REQUESTS), 60, "all have ended")
            refusals(world, began_s)
            tap.equal(world.workers[0].stop(), 0, "the worker is stopped")
            bought = world.ledger()["totals"]["accepted"]
            tap.equal(bought, 2 * REQUESTS, "each is bought once so far")
            postgres.restore()
            lost = world.query("SELECT count(*) FROM closed")[0][0]
            tap.check(lost < 2 * REQUESTS, "the restored database lacks some ends", lost)
            told = {name: len(world.events[name]) for name in world.events}
            group_of_others(world, began_s)
            set_back(world, began_s)
            worker = world.start_worker()
            ask(world, "after")
            wait_for(lambda: world.query("SELECT count(*) FROM closed")[0][0]
                     == 3 * REQUESTS, 90, "all have ended, again")
            wait_for(lambda: ended(world, "after", REQUESTS), 30, "and are told")
            ledger = world.ledger()
            prompts = [t["request"]["prompt"] for t in ledger["tasks"]]
            tap.equal((len(prompts), len(set(prompts))), (3 * REQUESTS, 3 * REQUESTS),
                      "the ledger has each once")
            again = [t for t in ledger["tasks"] if t["sends"] > 1]
            tap.check(len(again) > 0, "some were sent again, and replayed", len(again))
            print(f"# {2 * REQUESTS - lost} ends lost, {len(again)} of them sent again")
            twice = [n for n in told if len(world.events[n]) > told[n]]
            ids = [n for n in twice if len({e.headers["ce_id"] for e in world.events[n]}) > 1]
            tap.check(twice and not ids, "ends that come twice have the same ce_id", ids)
            forgotten(world, worker)
            copy(world, postgres)
        of_three_accounts(postgres)
    finally:
        postgres.stop()


tap.run(main)
