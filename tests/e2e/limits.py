#!/usr/bin/env python3
# tests/run: postgres kafka timeout=500
"""Limits and orders: GENERATIONS_MAX over a fleet, priority before age, deadlines in
the queue and in flight, a late success, progress, a drain that hands over at once."""

import hashlib
import json
import os
import time

import tap
import world as worlds
from load import lease_of
from world import World, fetch, wait_for


def check_generations():
    """The provider fails what it accepts above its plan: nothing may fail."""
    settings = {"GENERATIONS_MAX": "5", "KAFKA_PROGRESS_TOPIC": ""}
    with World(workers=2, latency="0.3..0.6", sim=["--concurrency", "5"],
               settings=settings) as world:
        ids = [f"g-{n}" for n in range(40)]
        for identity in ids:
            world.send({"request_id": identity, "request": {"prompt": identity}})
        world.flush()
        world.wait_events(ids, 120)
        tap.equal({world.events[i][0]["status"] for i in ids}, {"completed"},
                  "generations: none fails for the provider's limit")
        peak = world.ledger()["totals"]["running_peak"]
        tap.check(peak <= 5, "generations: never more than the limit", peak)


def check_slots():
    """Each account takes what it has slots for, in the whole fleet, and no key is used
    for another's."""
    accounts = [{"name": "a", "key": "sk-a", "slots": 2},
                {"name": "b", "key": "sk-b", "slots": 3, "weight": 3}]
    settings = {"APIMART_API_KEY": "", "APIMART_ACCOUNTS": json.dumps(accounts),
                "KAFKA_PROGRESS_TOPIC": ""}
    with World(workers=2, latency="0.3..0.6", settings=settings,
               sim=["--key", "sk-a;slots=2", "--key", "sk-b;slots=3"]) as world:
        ids = [f"s-{n}" for n in range(40)]
        for identity in ids:
            world.send({"request_id": identity, "request": {"prompt": identity}})
        world.flush()
        world.wait_events(ids, 120)
        ends = [world.events[i][0] for i in ids]
        tap.equal({e["status"] for e in ends}, {"completed"},
                  "slots: none fails for an account's limit")
        named = {name: sum(e["account"] == name for e in ends) for name in ("a", "b")}
        keys = {k["api_key"]: k for k in world.ledger()["totals"]["keys"]}
        bought = {name: keys.get(hashlib.sha256(f"sk-{name}".encode()).hexdigest()[:16], {})
                  for name in ("a", "b")}
        tap.check({name: k.get("accepted") for name, k in bought.items()} == named
                  and all(named.values()), "slots: events name who bought it", (named, keys))
        tap.check(bought["a"].get("running_peak", 9) <= 2
                  and bought["b"].get("running_peak", 9) <= 3,
                  "slots: never more than an account has", keys)
        check_extends(world, ends, settings, accounts)


def check_extends(world, ends, settings, accounts):
    """What extends a task goes to the account that has it, or waits for that."""
    sources = {e["account"]: e for e in ends}
    wanted = {}
    for name, end in sources.items():
        wanted |= {f"own-{name}": name, f"id-{name}": name, f"kin-{name}": name}
        world.send({"request_id": f"id-{name}", "request": {
            "prompt": "on", "extend_from_task_id": end["provider_task_id"]}})
        world.send({"request_id": f"own-{name}", "account": "ab"[name == "a"], "request": {
            "prompt": "on", "extend_from_task_id": end["provider_task_id"]}})
        world.send({"request_id": f"kin-{name}", "request": {
            "prompt": "on", "extend_from_request_id": end["request_id"]}})
    for identity, more in (("no-c", {"account": "c"}), ("no", {})):
        world.send({"request_id": identity, **more, "request": {
            "prompt": "on", "extend_from_task_id": "task_of_another"}})
    world.flush()
    world.wait_events([*wanted, "no", "no-c"], 60)
    tap.equal({i: world.events[i][0]["account"] for i in wanted}, wanted,
              "extends: each on the account of its source")
    tap.equal({world.events[i][0]["status"] for i in wanted}, {"completed"},
              "extends: all of them are bought")
    tap.equal([(d["field"], d["code"]) for i in ("no-c", "no")
               for d in world.events[i][0]["error"]["details"]],
              [("account", "not_allowed"), ("account", "required")],
              "extends: a foreign task's account is one of ours, and said")
    for worker in list(world.workers):
        worker.stop()
    one = world.start_worker(**settings | {"APIMART_ACCOUNTS": json.dumps(accounts[:1])})
    world.send({"request_id": "gone", "request": {
        "prompt": "on", "extend_from_task_id": sources["b"]["provider_task_id"]}})
    world.send({"request_id": "free", "request": {"prompt": "free"}})
    world.flush()
    tap.equal(world.event("free", 30)["account"], "a", "extends: nobody waits for them")
    told = wait_for(lambda: (lambda t: t if t.get("holds") else None)(
        json.loads(world.ctl("explain", "gone", "--json").stdout or "{}")), 30, "its hold")
    tap.check("waits for account b" in told["why"] and "no live worker" in told["why"],
              "extends: explain says for which account it waits", told)
    wait_for(lambda: "account b" in fetch(one.admin + "/readyz")[1].decode(), 30,
             "/readyz tells of an account that is gone")
    listed = world.ctl("list", "--account", "b", "--state", "queued", "--json").stdout
    tap.equal([json.loads(line)["request_id"] for line in listed.splitlines()], ["gone"],
              "extends: list finds it by its account")
    world.start_worker(**settings)
    tap.equal(world.event("gone", 30)["account"], "b", "extends: it goes there in the end")


def check_learnt():
    """A plan that takes less than what is set is learnt, told, and learnt anew."""
    accounts = [{"name": "a", "key": "sk-a", "slots": 6, "slots_min": 2}]
    settings = {"APIMART_API_KEY": "", "APIMART_ACCOUNTS": json.dumps(accounts),
                "KAFKA_PROGRESS_TOPIC": ""}

    def stored():
        return world.query("SELECT slots_learnt FROM account_url")[0][0]

    def send(prefix, count):
        ids = [f"{prefix}-{n}" for n in range(count)]
        for identity in ids:
            world.send({"request_id": identity, "request": {"prompt": identity}})
        world.flush()
        return ids

    with World(workers=2, latency="1..1.4", settings=settings,
               sim=["--key", "sk-a;slots=4"]) as world:
        ids = send("less", 48)
        wait_for(lambda: 0 < stored() <= 4, 20, "fewer slots are learnt")
        world.ctl("pause", "a look", check=True)
        ready = wait_for(lambda: [t for t in (readyz(world).decode(),)
                                  if "limit: account a: learnt limit " in t], 20, "/readyz")[0]
        tap.check(" of 6 slots, since 20" in ready, "learnt: /readyz tells it", ready)
        limit = json.loads(world.ctl("account", "list", "--json").stdout)["limit"]
        tap.check(2 <= limit["learnt"] <= 4 and limit["slots"] == 6
                  and limit["since"].startswith("20"), "learnt: account list tells it", limit)
        tap.check(" of 6 " in world.ctl("account", "list").stdout, "learnt: to people, too")
        queued = world.ctl("list", "--state", "queued", "--json").stdout.splitlines()
        why = world.ctl("explain", json.loads(queued[0])["request_id"]).stdout
        tap.check("account a: learnt limit" in why and " of 6 slots, since 20" in why,
                  "learnt: explain of what waits tells it", why)
        metric = "pixverse_account_slots_learnt"
        wait_for(lambda: [world.metric(w, metric) for w in world.workers] == [stored()] * 2, 20,
                 "both workers have what is stored")
        resumed = world.query("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC',"
                              " 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")[0][0]
        world.ctl("resume", check=True)
        world.wait_events(ids, 60)
        order = sorted((world.events[i][0]["times"]["submitted"], world.events[i][0]["status"])
                       for i in ids)
        # One that had not heard yet may have sent many by then, on a slow machine.
        later = [status for at, status in order if at >= resumed]
        tap.check(len(later) >= 8 and later.count("failed") <= 2,
                  "learnt: hardly any fails any more",
                  resumed, order)

        # Those that come have it; the provider takes more, and some time is over.
        for worker in world.workers[:2]:
            worker.stop()
        listen = world.sim_url.split("//")[1]
        world.sim.kill()
        world.sim_args[-1] = "sk-a;slots=9"
        world.start_sim(listen)
        before = world.query("UPDATE account_url SET learnt_ms = learnt_ms - 60000, refused_ms ="
                             " refused_ms - 60000 RETURNING slots_learnt")[0][0]
        world.start_worker()
        ids = send("more", 16)
        wait_for(lambda: stored() == before + 1, 20, "one more slot is used")
        world.wait_events(ids, 60)
        tap.equal({world.events[i][0]["status"] for i in ids}, {"completed"},
                  "learnt: one more is taken")


def check_tenants():
    """A cap holds over a fleet, and a neighbour with nine of ten requests, and the higher
    priority, has no more than its part."""
    settings = {"GENERATIONS_MAX": "6", "KAFKA_PROGRESS_TOPIC": ""}
    with World(workers=2, latency="0.3..0.6", sim=["--concurrency", "6"],
               settings=settings) as world:
        def tenants():
            return {t["tenant"]: t for t in
                    map(json.loads, world.ctl("tenant", "list", "--json").stdout.splitlines())}

        for words, said in ((["set", "a b", "--weight", "2"], "a letter or digit"),
                            (["set", "a"], "--weight W"), (["unset", "a"], "nothing is set"),
                            (["set", "a", "--weight", "1001"], "1..1000"),
                            (["set", "a", "--slots", "0"], "1..1000000"), (["lst"], "list")):
            refused = world.ctl("tenant", *words)
            tap.check(refused.returncode != 0 and said in refused.stderr,
                      f"tenants: {' '.join(words)} is refused in words", refused.stderr)
        tap.equal(tenants(), {}, "tenants: nobody shares from the start")
        world.ctl("tenant", "set", "few", "--weight", "2")
        world.ctl("tenant", "set", "capped", "--slots", "1", "--weight", "1000")
        world.ctl("pause", "until all wait", check=True)
        wait_for(lambda: all(b"hold: operator" in fetch(w.admin + "/readyz")[1]
                             for w in world.workers), 20, "both hold")
        # One has its tenant's only slot for so long that it is seen, however slow the looks.
        world.faults([{"on": "submit", "kind": "slow_job", "delay_ms": 8000,
                       "match": "capped-"}])
        ids = []
        for n in range(60):
            names = ["many"] + (["few", "capped"] if n < 12 else [])
            for name in names:
                ids.append(f"{name}-{n}")
                world.send({"request_id": ids[-1], "tenant": name,
                            "priority": 9 if name == "many" else 0,
                            "request": {"prompt": ids[-1]}})
        world.flush()
        wait_for(lambda: world.query("SELECT count(*) FROM waiting")[0][0] == len(ids), 30,
                 "all wait")
        world.ctl("resume", check=True)
        peaks = {}
        told = ""
        deadline = time.monotonic() + 120
        while len(world.events) < len(ids) and time.monotonic() < deadline:
            for name, tenant in tenants().items():
                peaks[name] = max(peaks.get(name, 0), tenant["used"])
            told = told or next((w for w in [world.ctl("explain", "capped-11").stdout]
                                 if "of its 1 slots" in w), "")
            world.pump(0.2)
        world.wait_events(ids, 60)
        tap.check(peaks.get("capped") == 1, "tenants: a cap is not exceeded", peaks)
        tap.check(told, "tenants: explain tells of the cap")
        # In the order of their claims: a worker that stands still holds back those that it
        # has claimed, while the other goes on with the many.
        order = [i for (i,) in world.query(
            "SELECT request_id FROM closed JOIN request USING (id)"
            " WHERE request_id = ANY(%s) ORDER BY first_sent_ms", ids)]
        last = max(n for n, i in enumerate(order) if i.startswith("few"))
        # By priority alone they would begin behind the 60 of the many.
        tap.check(len(order) == len(ids) and last < 60,
                  "tenants: the few are done long before the many", order)
        for name in ("few", "capped"):
            world.ctl("tenant", "unset", name)
        wait_for(lambda: tenants() == {}, 20, "that nobody shares any more")


def check_priority(world):
    """What waits is claimed by priority, then age."""
    world.query("INSERT INTO hold (reason, scope, since_ms, next_try_ms, message) "
                "VALUES ('operator', '*', 0, 0, 'test') RETURNING 1")
    wait_for(lambda: b"hold: operator" in readyz(world), 20, "the hold")
    for n, priority in enumerate((0, 5, 9, 5, 0, 9)):
        world.send({"request_id": f"p-{n}", "priority": priority,
                    "request": {"prompt": f"p-{n}"}}, key="same partition")
    world.flush()
    wait_for(lambda: world.query("SELECT count(*) FROM waiting")[0][0] == 6, 30,
             "six waiting rows")
    world.query("DELETE FROM hold RETURNING 1")
    world.wait_events([f"p-{n}" for n in range(6)], 60)
    bought = sorted((t["at_ms"], t["request"]["prompt"])
                    for t in world.ledger()["tasks"]
                    if t["request"]["prompt"].startswith("p-"))
    # One at a time: SUBMITS_MAX is 1 in this world.
    tap.equal([prompt for _, prompt in bought],
              ["p-2", "p-5", "p-1", "p-3", "p-0", "p-4"],
              "priority: 9 first, then the oldest")


def readyz(world):
    return fetch(world.workers[0].admin + "/readyz")[1]


def check_deadlines(world):
    # In the queue: nothing was sent, a new request is safe.
    world.query("INSERT INTO hold (reason, scope, since_ms, next_try_ms, message) "
                "VALUES ('operator', '*', 0, 0, 'test') RETURNING 1")
    wait_for(lambda: b"hold: operator" in readyz(world), 20, "the hold")
    world.send({"request_id": "d-queued", "deadline_seconds": 2,
                "request": {"prompt": "d-queued"}})
    world.flush()
    event = world.event("d-queued", 30)
    tap.equal([event["error"]["kind"], event["billed"], event["error"]["retry_safe"]],
              ["timed_out", "no", True], "deadline: in the queue nothing was paid")
    world.query("DELETE FROM hold RETURNING 1")
    wait_for(lambda: b"hold: operator" not in readyz(world), 20, "no hold")

    # In flight: told as timed out, and the video still comes home, late (e2e/late). It has
    # to be sent before its deadline, however long the machine stands still.
    world.faults([{"on": "poll", "kind": "slow_job", "delay_ms": 60000,
                   "match": "d-running"}])
    world.send({"request_id": "d-running", "deadline_seconds": 20,
                "request": {"prompt": "d-running"}})
    world.flush()
    first = world.event("d-running", 30)
    tap.equal([first["error"]["kind"], first["billed"], first["error"]["retry_safe"]],
              ["timed_out", "unknown", False], "deadline: in flight payment is open")


def check_progress(world):
    reader = world.reader("progress")
    found = []

    def come():
        message = reader.poll(0.2)
        if message and not message.error():
            found.append((message.key(), dict(message.headers()),
                          json.loads(message.value())))
        return len(found) >= 3
    wait_for(come, 30, "three progress messages")
    reader.close()
    key, headers, value = found[0]
    tap.equal(headers["ce_type"], b"video.generation.progress", "progress: its type")
    tap.equal(sorted(value), ["progress", "provider_task_id", "request_id", "status",
                              "tenant"], "progress: its fields", value)
    tap.equal(key.decode(), value["request_id"], "progress: its key")


def check_headers(world):
    """A malformed trace is dropped, and never the request that it came with."""
    good = f"00-{'ab' * 16}-{'cd' * 8}-01".encode()
    cases = {"t-good": (good, b"a=1", (good.decode(), "a=1")),
             "t-nul": (b"00-\0-1-01", b"a=1", (None, None)),
             "t-state": (good, b"a=\0\xff", (good.decode(), None)),
             "t-long": (good, b"a=" + b"x" * 4000, (good.decode(), None))}
    for identity, (parent, state, _) in cases.items():
        world.send({"request_id": identity, "request": {"prompt": identity}},
                   headers=[("traceparent", parent), ("tracestate", state)])
    world.flush()
    world.wait_events(list(cases), 60)
    for identity, (_, _, expected) in cases.items():
        event = world.events[identity][0]
        tap.equal((event["status"], event.headers.get("traceparent"),
                   event.headers.get("tracestate")), ("completed", *expected),
                  f"headers: {identity}")


def check_mass(world):
    """What expires together is told at once: not so many a second."""
    size = int(os.environ.get("EXPIRES", "4000"))
    world.query("INSERT INTO hold (reason, scope, since_ms, next_try_ms, message) "
                "VALUES ('operator', '*', 0, 0, 'test') RETURNING 1")
    wait_for(lambda: b"hold: operator" in readyz(world), 20, "the hold")
    world.query(
        "WITH r AS (INSERT INTO request (request_id, content, tenant, mode, priority, "
        "deadline_seconds, warnings, body, received_ms) SELECT "
        "'mass-' || i, '', 'default', 1, 5, 1, '[]', '{}', 1 FROM "
        f"generate_series(1, {size}) i RETURNING id) INSERT INTO waiting (id, priority, "
        "fence, version, submission, tries, received_ms, deadline_ms, not_before_ms, "
        "first_sent_ms, last_sent_ms, account) SELECT id, 5, 0, 0, 0, 0, 1, 1001, 0, 0, "
        "0, '' FROM r RETURNING 1")
    beats = "SELECT max(counter) FROM lease WHERE NOT dead"
    began, before = time.monotonic(), world.query(beats)[0][0]
    wait_for(lambda: world.query("SELECT count(*) FROM closed WHERE kind = 6 AND "
                                 "deadline_ms = 1001")[0][0] == size,
             size / 30, "a mass that expires is told")
    took = world.query(beats)[0][0] - before
    tap.note(f"{size} that expired together: {time.monotonic() - began:.1f} s")
    tap.check(took < size / 200, "mass: told as fast as may be, not so many a beat",
              f"{took} beats")
    world.query("DELETE FROM hold RETURNING 1")


def check_drain():
    """A drained worker's tasks go on elsewhere at once, none is bought again."""
    with World(workers=2, latency="16..18") as world:
        ids = [f"h-{n}" for n in range(60)]
        trace = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01".encode(),
                 "tracestate": b"vendor=1"}
        for identity in ids:
            world.send({"request_id": identity, "request": {"prompt": identity}},
                       headers=list(trace.items()))
        world.flush()
        wait_for(lambda: world.query("SELECT count(*) FROM task WHERE state = 2")[0][0]
                 == 60, 30, "all in flight")
        drained_ms = time.time() * 1000
        most, had = world.query("SELECT owner, array_agg(id) FROM task GROUP BY owner"
                                " ORDER BY count(*) DESC")[0]
        drained = next(w for w in world.workers if lease_of(w) == most)
        tap.equal(drained.stop(), 0, "drain: status 0")
        tap.check(world.query("SELECT 1 FROM task WHERE state = 2 AND id = ANY(%s)", had),
                  "drain: waits for no generation", had)
        world.wait_events(ids, 60)
        tap.equal({world.events[i][0]["status"] for i in ids}, {"completed"},
                  "drain: the other brings all home")
        tap.equal(world.ledger()["totals"]["posts"], 60, "drain: one POST each")
        check_trace(world, trace, drained_ms)


def check_trace(world, trace, drained_ms):
    """Messages of progress are part of the request's trace, the heir's too."""
    reader = world.reader("progress")
    found = []

    def come():
        found.extend(m for m in reader.consume(1000, 0.2) if not m.error())
        return [m for m in found if m.timestamp()[1] > drained_ms]
    wait_for(come, 30, "progress after the drain")
    reader.close()
    tap.equal([m.key() for m in found
               if not trace.items() <= dict(m.headers()).items()], [],
              "progress: each message has the request's trace")


def check_memory(world):
    """Messages that are as large and as wrong as can be cost little: of what waits
    there is a budget of bytes, of what is wrong a hundred details."""
    worker = world.start_worker(INTAKE_BYTES_MAX="33554432")
    ids = [f"big-{n}" for n in range(40)]
    for identity in ids:
        head = f'{{"request_id":"{identity}","request":{{"prompt":"x","image_urls":['
        ones = "1," * ((1048570 - len(head)) // 2)
        world.send((head + ones[:-1] + "]}}").encode(), key=identity)
    world.flush()
    world.wait_events(ids, 60)
    tap.equal({world.events[i][0]["error"]["kind"] for i in ids}, {"invalid_request"},
              "memory: each has its end")
    details = world.events[ids[0]][0]["error"]["details"]
    tap.equal((len(details), details[-1]["message"][:9]), (100, "and 52415"),
              "memory: the last detail counts the rest", details[-1])
    for each in (worker, world.workers[0]):
        status = open(f"/proc/{each.pid}/status").read()
        most = next(int(line.split()[1]) for line in status.splitlines()
                    if line.startswith("VmHWM"))
        tap.check(most < 200 * 1024, f"memory: {each.name} never held 200 MB",
                  f"{most} KiB")
        tap.note(f"{each.name}: {most} KiB at most, longest turn {world.metric(each, worlds.STALL)} s")


def main():
    check_generations()
    check_tenants()
    check_slots()
    check_learnt()
    # A beat every four seconds: what a mass takes in beats is no matter of the machine.
    with World(latency="0.3..0.6",
               settings={"SUBMITS_MAX": "1", "LEASE_MS": "20000"}) as world:
        check_priority(world)
        check_deadlines(world)
        check_progress(world)
        check_headers(world)
        check_mass(world)
        check_memory(world)
    check_drain()


tap.run(main)
