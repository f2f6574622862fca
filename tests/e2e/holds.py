#!/usr/bin/env python3
# tests/run: postgres kafka timeout=300
"""Submissions stop for a stated reason, nothing is lost meanwhile, and they go on by
themselves: an empty balance, a refused key, a storage that is away; and a throttle."""

import json
import shutil

import tap
from world import World, fetch, wait_for


def readyz(world):
    return fetch(world.workers[0].admin + "/readyz")


def wait_hold(world, reason):
    def held():
        status, body = readyz(world)
        return (status, body.decode()) if f"hold: {reason}" in body.decode() else None
    status, body = wait_for(held, 30, f"the hold {reason}")
    tap.equal(status, 200, f"{reason}: the worker stays ready")
    tap.check("since" in body, f"{reason}: the hold says since when", body)


def held_and_healed(world, name, faults, reason):
    world.faults(faults)
    ids = [f"{name}-{n}" for n in range(40)]
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()
    wait_hold(world, reason)
    tap.equal([i for i in ids if i in world.events], [], f"{name}: nothing is announced")
    fetch(world.sim_url + "/sim/faults", "DELETE")
    # No test waits half a minute for the next probe.
    world.query("UPDATE hold SET next_try_ms = 0 RETURNING 1")
    world.wait_events(ids, 90)
    tap.equal({world.events[i][0]["status"] for i in ids}, {"completed"},
              f"{name}: all go on when it is mended")
    bought = [t for t in world.ledger()["tasks"] if t["request"]["prompt"] in ids]
    tap.equal(len(bought), len(ids), f"{name}: each is bought once")
    # The worker knows of the end before its row is gone, which is what others read.
    wait_for(lambda: b"hold:" not in readyz(world)[1] and not world.query("SELECT 1 FROM hold"),
             30, "no hold")


def check_many(world):
    """However many there are of scopes that nobody has here, an operator's is seen."""
    world.query("INSERT INTO hold SELECT 'auth', 'x' || n || ':u:k', n, 0, 'old' "
                "FROM generate_series(1, 200) n RETURNING 1")
    world.ctl("pause", "ask Kim", check=True)
    wait_hold(world, "operator")
    told = [line for line in readyz(world)[1].decode().splitlines() if line.startswith("hold:")]
    tap.check(told[0].startswith("hold: operator"), "many: it comes first", told[:3])
    world.send({"request_id": "many", "request": {"prompt": "many"}})
    world.flush()
    world.pump(1)
    tap.check("many" not in world.events, "many: nothing is bought")
    world.ctl("resume", check=True)
    world.wait_events(["many"], 60)
    tap.equal(world.events["many"][0]["status"], "completed", "many: others' holds stop nobody")
    world.query("DELETE FROM hold RETURNING 1")


def rows_of(world, *args):
    return [json.loads(line) for line in world.ctl(*args, "--json").stdout.splitlines()]


def check_old(world):
    """A key that was replaced is nobody's: what it is held by is told of nobody."""
    own = world.query("SELECT accounts[1] FROM lease WHERE NOT dead")[0][0]
    old = own[:-1] + ("0" if own[-1] != "0" else "1")
    world.query("INSERT INTO hold VALUES ('auth', %s, 1, 9e15, 'old') RETURNING 1", old)
    finds = {row["finding"] for row in rows_of(world, "doctor")}
    tap.check("hold" not in finds, "old: doctor finds nothing", finds)
    tap.equal(rows_of(world, "account", "list")[0]["holds"], [], "old: nor has the account one")
    tap.equal(rows_of(world, "watch", "--count", "1")[0].get("holds", []), [], "old: nor has watch")
    tap.equal(rows_of(world, "workers")[0].get("held", []), [], "old: nor is the worker held")
    world.ctl("pause", "ask Kim", check=True)
    world.send({"request_id": "old", "request": {"prompt": "old"}})
    world.flush()
    told = wait_for(lambda: rows_of(world, "explain", "old"), 30, "it waits")[0]
    tap.equal([h["reason"] for h in told["holds"]], ["operator"], "old: nor explain", told)
    tap.equal([h["reason"] for h in rows_of(world, "top", "--once")[0]["holds"]], ["operator"],
              "old: nor top")
    tap.equal(rows_of(world, "resume")[0]["holds"], [], "old: nor resume")
    world.wait_events(["old"], 60)
    world.query("UPDATE hold SET scope = %s RETURNING 1", own)
    finds = {row["finding"]: row["of"] for row in rows_of(world, "doctor")}
    tap.check(own in str(finds.get("hold")), "old: that of the key that is used is found", finds)
    world.query("DELETE FROM hold RETURNING 1")


def check_two_accounts():
    """One account's hold is no reason while another buys."""
    accounts = [{"name": name, "key": f"sk-{name}", "slots": 1} for name in "ab"]
    # So long that both are as they are to the end.
    with World(latency="60..60", sim=["--key", "sk-a", "--key", "sk-b"], settings={
            "APIMART_API_KEY": "", "APIMART_ACCOUNTS": json.dumps(accounts)}) as world:
        # Ready is who has all that it needs; it joins the fleet a moment later.
        joined = wait_for(lambda: world.query("SELECT accounts FROM lease WHERE NOT dead"), 20,
                          "a lease")
        scopes = {scope.split(":")[0]: scope for scope in joined[0][0]}

        def hold(name):
            world.query("INSERT INTO hold VALUES ('auth', %s, 1, 9e15, 'refused') RETURNING 1",
                        scopes[name])
            wait_for(lambda: f"auth (account {name})" in readyz(world)[1].decode(), 30, "a hold")
        hold("a")
        wait_for(lambda: rows_of(world, "workers")[0]["is"] != "starts", 30, "the worker says more")
        for identity in ("two-0", "two-1"):
            world.send({"request_id": identity, "request": {"prompt": identity}})
        world.flush()

        def waits():
            rows = rows_of(world, "list", "--state", "queued")
            return len(rows) == 1 and world.query("SELECT 1 FROM task") and rows[0]["request_id"]
        one = wait_for(waits, 30, "one of them waits for the other's slot")
        told = rows_of(world, "explain", one)[0]
        tap.check("held" not in told["why"] and not told.get("holds"),
                  "two accounts: that one is held is no reason", told)
        tap.equal(rows_of(world, "workers")[0]["is"], "works", "two accounts: the worker works")
        hold("b")
        told = rows_of(world, "explain", one)[0]
        tap.check("held: auth" in told["why"], "two accounts: that both are is one", told)
        tap.equal(rows_of(world, "workers")[0]["is"], "held", "two accounts: then it is held")
        # A replay has no other one: as if what runs had been sent by that account, in doubt.
        # Not before both are held: the other's slot is free meanwhile.
        runs = world.query("SELECT id, state, account FROM task")[0]
        name = world.query("UPDATE task t SET state = 1, account = %s FROM request r WHERE "
                           "r.id = t.id RETURNING request_id", scopes["a"])[0][0]
        told = rows_of(world, "explain", name)[0]
        world.query("UPDATE task SET state = %s, account = %s WHERE id = %s RETURNING 1",
                    *runs[1:], runs[0])
        tap.equal([h["scope"] for h in told["holds"]], [scopes["a"]],
                  "two accounts: what may go to that one alone is held", told)
        world.query("DELETE FROM hold RETURNING 1")
        world.ctl("cancel", "two-0", "two-1", "--wait", "60", check=True)
        world.wait_events(["two-0", "two-1"], 60)


def no_folder(path):
    """Whether it is taken away. A sweep makes a file in it for a moment, which may come or
    go while its folder is cleared."""
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def main():
    check_two_accounts()
    with World(sim=["--schema", "yes"]) as world:
        forever = {"count": -1}
        held_and_healed(world, "balance", [
            {"on": "submit", "kind": "payment_required", **forever},
            {"on": "balance", "kind": "status", "status": 200, "body":
             '{"success":true,"remain_balance":0,"used_balance":9,"unlimited_quota":false}',
             **forever}], "balance")
        held_and_healed(world, "auth", [
            {"on": "submit", "kind": "status", "status": 401, **forever},
            {"on": "balance", "kind": "status", "status": 401, **forever}], "auth")

        check_old(world)
        check_many(world)

        # Storage: READY tasks wait, no new one is bought, all come home later.
        wait_for(lambda: no_folder(world.videos), 20, "the folder is gone")
        world.videos.write_text("not a folder")
        world.send({"request_id": "stored-0", "request": {"prompt": "stored-0"}})
        world.flush()
        wait_hold(world, "storage")
        # Claims go by what is stored, which comes a moment after the worker says it.
        wait_for(lambda: world.query("SELECT 1 FROM hold WHERE reason = 'storage'"), 20,
                 "the hold is stored")
        world.send({"request_id": "stored-1", "request": {"prompt": "stored-1"}})
        world.flush()
        world.pump(2)
        prompts = {t["request"]["prompt"] for t in world.ledger()["tasks"]}
        tap.check("stored-1" not in prompts, "storage: nothing is bought that can't be stored")
        world.videos.unlink()
        world.videos.mkdir()
        world.query("UPDATE hold SET next_try_ms = 0 RETURNING 1")
        world.wait_events(["stored-0", "stored-1"], 120)
        tap.equal({world.events[i][0]["status"] for i in ("stored-0", "stored-1")},
                  {"completed"}, "storage: what was paid comes home")

        # A throttle stays in the worker, and costs no purchase.
        world.faults([{"on": "submit", "kind": "rate_limit", "retry_after": "1",
                       "count": 3}])
        ids = [f"throttle-{n}" for n in range(20)]
        for identity in ids:
            world.send({"request_id": identity, "request": {"prompt": identity}})
        world.flush()
        world.wait_events(ids, 90)
        tap.equal({world.events[i][0]["status"] for i in ids}, {"completed"},
                  "throttle: all are completed")
        tap.equal({i: len(e) for i, e in world.events.items() if len(e) != 1}, {},
                  "each has one event")
        tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0")


tap.run(main)
