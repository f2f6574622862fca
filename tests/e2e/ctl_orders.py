#!/usr/bin/env python3
"""What an operator orders with pixverse-ctl, against the whole service."""
# tests/run: postgres kafka sanitized timeout=400

import json
import signal
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psycopg
import tap
from world import BIN, World, fetch, wait_for


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(world, request_id):
    done = world.ctl("show", request_id, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def state(world, request_id):
    row = shown(world, request_id)
    return row and row["state"]


def until(world, request_id, wanted, limit_s=20):
    wait_for(lambda: state(world, request_id) == wanted, limit_s,
             f"{request_id} is {wanted}")


def refused(world, args, words, status=1):
    done = world.ctl(*args)
    text = " ".join(map(str, args))
    tap.equal(done.returncode, status, f"{text}: refused", done.stdout, done.stderr)
    tap.check(words in done.stderr, f"{text}: because {words}", done.stderr)


def ask(world, *ids, **more):
    for request_id in ids:
        world.send({"request_id": request_id, "request": {"prompt": request_id}, **more})
    world.flush()


def bought(world, request_id):
    """The provider ids under that prompt, in the order of their purchase."""
    return [t["task_id"] for t in world.ledger()["tasks"]
            if t["request"]["prompt"] == request_id]


def buy(world, prompt):
    """What somebody sent whom the database doesn't remember; its provider id."""
    order = urllib.request.Request(
        world.sim_url + "/v1/videos/generations", method="POST",
        data=json.dumps({"model": "pixverse-v6", "prompt": prompt}).encode(),
        headers={"Authorization": "Bearer sk-test", "Content-Type": "application/json",
                 "Idempotency-Key": next(iter(world.keys(prompt, submissions=(0,))))})
    with urllib.request.urlopen(order, timeout=20) as reply:
        return json.load(reply)["data"][0]["task_id"]


def check_attach(world):
    """A lost reply: attached while in doubt, and after submit_unknown was told."""
    world.faults([{"on": "submit", "kind": "rst_after_body", "count": 2, "match": "doubt"}])
    ask(world, "doubt.now", "doubt.late", "plain")
    wait_for(lambda: all(bought(world, i) for i in ("doubt.now", "doubt.late")), 20,
             "both are bought")
    now = bought(world, "doubt.now")[0]
    done = world.ctl("attach", "doubt.now", now, "--json")
    tap.equal((done.returncode, json.loads(done.stdout or "{}").get("attached")), (0, True),
              "attach to a doubt", done.stderr)
    event = world.event("doubt.now")
    tap.equal((event["status"], event["provider_task_id"], event.value.get("late")),
              ("completed", now, None), "it runs, and is completed in time")

    tap.equal(world.event("doubt.late")["error"]["kind"], "submit_unknown",
              "left alone it is told as unknown")
    until(world, "doubt.late", "closed")
    refused(world, ("attach", "doubt.late", now), "belongs to doubt.now")
    late = bought(world, "doubt.late")[0]
    done = world.ctl("attach", "doubt.late", late)
    tap.equal(done.returncode, 0, "attach to one that was told as unknown", done.stderr)

    def second():
        world.pump()
        return world.events["doubt.late"][1:]
    event = wait_for(second, 20, "the late end")[0]
    tap.equal((event["status"], event.value.get("late"), event["provider_task_id"]),
              ("completed", True, late), "its video is told as late")

    done = world.ctl("attach", "doubt.late", late)
    tap.equal(done.returncode, 0, "the same again is no fault", done.stderr)
    world.event("plain")
    until(world, "plain", "closed")
    refused(world, ("attach", "plain", "task_x"), "another id")
    refused(world, ("attach", "nobody", "task_x"), "no request")
    refused(world, ("attach", "plain", "task x"), "no provider id", 2)
    refused(world, ("attach", "plain", "t" * 129), "no provider id", 2)
    refused(world, ("attach", "plain"), "provider id", 2)
    tap.equal(len(bought(world, "doubt.now") + bought(world, "doubt.late")), 2,
              "nothing was bought again")


def held(world, on):
    """Submissions of all, as an operator would stop them."""
    if on:
        world.query("INSERT INTO hold VALUES ('operator', '*', 1, 1, 'a test')"
                    " RETURNING 1")
    else:
        world.query("DELETE FROM hold WHERE reason = 'operator' RETURNING 1")


def cancelled(world, request_id, billed):
    """What is in doubt ends when no answer can come any more."""
    done = world.ctl("cancel", request_id, "--json", "--wait", "40")
    told = json.loads(done.stdout or "{}")
    tap.equal((done.returncode, told.get("cancelled"), told.get("billed")),
              (0, True, billed), f"cancel {request_id}", done.stdout, done.stderr)
    event = world.event(request_id)
    tap.equal((event["error"]["kind"], event["billed"], event["error"]["retry_safe"]),
              ("cancelled", billed, billed == "no"), f"{request_id} is told as cancelled")


def check_refused_lines(world):
    """Each id has its line, also where nothing is ordered."""
    ask(world, "queue.3")
    until(world, "queue.3", "queued")
    said = lambda done: [(row["request_id"], row["cancelled"], row.get("why", "").split(" ")[0])
                         for row in lines(done)]
    until(world, "queue.1", "closed")
    done = world.ctl("cancel", "queue.1", "queue.3", "nobody", "--json", "--wait", "40")
    tap.equal((done.returncode, said(done)),
              (3, [("queue.1", False, "has"), ("queue.3", True, ""), ("nobody", False, "is")]),
              "a line for each id; some were refused: status 3", done.stderr)
    done = world.ctl("cancel", "queue.1", "nobody", "--json")
    tap.equal((done.returncode, said(done)),
              (1, [("queue.1", False, "has"), ("nobody", False, "is")]),
              "all were refused: status 1", done.stderr)


def check_cancel(world):
    world.faults([
        {"on": "submit", "kind": "slow_job", "delay_ms": 60000, "match": "run."},
        {"on": "submit", "kind": "rst_after_body", "match": "cancel.doubt"},
        {"on": "download", "kind": "status", "status": 503, "count": -1, "match": "ready."}])
    held(world, True)
    ask(world, "queue.1")
    until(world, "queue.1", "queued")
    refused(world, ("attach", "queue.1", "task_x"), "never sent")
    refused(world, ("retry", "queue.1"), "has not ended")
    ask(world, "queue.2")
    until(world, "queue.2", "queued")
    done = world.ctl("cancel", "queue.2", "--wait", "40")
    tap.equal((done.returncode, done.stdout), (0, "queue.2: cancelled, billed: no\n"),
              "cancel says what came of it")
    cancelled(world, "queue.1", "no")
    check_refused_lines(world)
    held(world, False)

    # The doubt first: it is open to orders until the submit timeout.
    ask(world, "cancel.doubt")
    wait_for(lambda: bought(world, "cancel.doubt"), 20, "it is bought, and nobody told")
    cancelled(world, "cancel.doubt", "unknown")
    ask(world, "run.1")
    until(world, "run.1", "running")
    cancelled(world, "run.1", "unknown")
    tap.equal([len(bought(world, i)) for i in ("queue.1", "run.1", "cancel.doubt")],
              [0, 1, 1], "cancelled ones are not sent again")
    until(world, "run.1", "closed")
    refused(world, ("cancel", "run.1"), "has ended")
    ask(world, "ready.1")
    until(world, "ready.1", "ready")
    refused(world, ("cancel", "ready.1"), "paid for")
    fetch(world.sim_url + "/sim/faults", "DELETE")
    tap.equal(world.event("ready.1")["status"], "completed", "what is ready comes home")
    refused(world, ("cancel", "nobody"), "no request")
    refused(world, ("cancel",), "request id", 2)
    refused(world, ("cancel", "run.1", "--wait", "x"), "--wait", 2)


def rejections(world, number):
    reader = world.reader("rejected")
    try:
        got = []
        wait_for(lambda: got.extend(reader.consume(100, 0.2)) or len(got) >= number, 30,
                 f"{number} rejections")
        return sorted((m.key().decode(), dict(m.headers())["error"].decode()) for m in got)
    finally:
        reader.close()


def cancel(world, request_id, key="any", **more):
    world.send({"request_id": request_id, "cancel": True, **more}, key=key)


def told_cancelled(world, request_id, billed):
    event = world.event(request_id)
    tap.equal((event["status"], event.value.get("error", {}).get("kind"), event["billed"]),
              ("failed", "cancelled", billed), f"{request_id} is told as cancelled")


def check_cancel_by_message(world):
    world.faults([{"on": "submit", "kind": "slow_job", "delay_ms": 60000, "match": match}
                  for match in ("way.", "with.")])
    early = [f"early.{n}" for n in range(8)]
    for request_id in early:
        cancel(world, request_id, tenant="studio-a")
    cancel(world, "stranger.1", tenant="studio-b")
    world.flush()
    kept = "SELECT count(*) FROM early_cancel"
    wait_for(lambda: world.query(kept)[0][0] == 9, 20, "orders are kept")
    world.workers[0].stop()  # what was kept outlives who kept it
    world.start_worker()
    for request_id in [*early, "stranger.1", "way.1", "with.1"]:
        world.send({"request_id": request_id, "tenant": "studio-a",
                    "request": {"prompt": request_id}})
    # Right behind its request: from another partition it might come after the end.
    cancel(world, "with.1", key="with.1", tenant="studio-a")
    world.flush()
    for request_id in early:
        told_cancelled(world, request_id, "no")
    world.event("with.1")
    tap.equal(world.event("stranger.1")["status"], "completed",
              "another tenant's order ends nothing")
    until(world, "way.1", "running")
    cancel(world, "way.1")
    cancel(world, "way.1", tenant="studio-a")
    world.flush()
    told_cancelled(world, "way.1", "unknown")
    cancel(world, "way.1", tenant="studio-a")
    cancel(world, "stranger.1", tenant="studio-a")
    cancel(world, "stranger.1", request={"prompt": "x"})
    world.flush()
    tap.equal(rejections(world, 3),
              [("any", "bad_cancel"), ("any", "cancel_other_tenant"),
               ("any", "cancel_too_late")], "what can't be obeyed is rejected by name")
    tap.equal([len(bought(world, i)) for i in [*early, "way.1"]], [0] * 8 + [1],
              "what was cancelled before it came was never bought")


def ends(world, request_id, number):
    def come():
        world.pump()
        found = {e.headers["ce_id"]: e for e in world.events.get(request_id, [])}
        return list(found.values()) if len(found) >= number else None
    return wait_for(come, 30, f"{number} ends of {request_id}")


def check_retry(world):
    world.faults([{"on": "submit", "kind": "fail", "match": "fails."},
                  {"on": "submit", "kind": "fail", "match": "moderated.", "text":
                   "sensitive content in the prompt, please adjust: moderation"}])
    ask(world, "fails.1", "good.1", "moderated.1")
    world.send({"request_id": "faulty.1", "request": {"prompt": "x", "duration": 99}})
    world.flush()
    first = world.event("fails.1")
    tap.equal((first["error"]["kind"], first["billed"]), ("provider_failed", "no"),
              "it failed unpaid")
    for request_id in ("fails.1", "good.1", "faulty.1", "moderated.1"):
        world.event(request_id)
        until(world, request_id, "closed")
    done = world.ctl("retry", "fails.1", "--json")
    tap.equal((done.returncode, json.loads(done.stdout or "{}").get("submission")), (0, 1),
              "retry of one that failed unpaid", done.stderr)
    again = ends(world, "fails.1", 2)[1]
    tap.equal(again["status"], "completed", "its second submission is completed", again.value)
    tap.check(again["videos"][0]["uri"].endswith("/fails.1/1/0.mp4"),
              "its video has a name of its own", again["videos"])
    keys = {t["key"] for t in world.ledger()["tasks"]
            if t["request"]["prompt"] == "fails.1"}
    tap.equal(keys, world.keys("fails.1", submissions=(0, 1)), "and a key of its own")

    refused(world, ("retry", "good.1"), "--pay-again")
    refused(world, ("retry", "run.1"), "may have been paid")
    done = world.ctl("retry", "moderated.1")
    tap.check(done.returncode == 1 and "moderation" in done.stderr
              and "second time" not in done.stderr,
              "nothing was paid: no word of paying twice", done.stderr)
    refused(world, ("retry", "faulty.1", "--pay-again"), "new id")
    refused(world, ("retry", "nobody"), "no request")
    refused(world, ("retry",), "request id", 2)
    done = world.ctl("retry", "good.1", "--pay-again")
    tap.equal(done.returncode, 0, "retry of one that is paid, when told so", done.stderr)
    tap.check("second" in done.stderr, "it warns", done.stderr)
    tap.equal(ends(world, "good.1", 2)[1]["status"], "completed", "and is completed again")
    kept = world.query("SELECT request_id FROM past JOIN request USING (id) ORDER BY 1")
    tap.equal([name for (name,) in kept].count("doubt.late"), 1,
              "how one that opened again was told is kept", kept)
    tap.equal(len(kept), 3, "how the first ones ended is kept, too", kept)
    until(world, "good.1", "closed")
    tap.equal(shown(world, "good.1")["submission"], 1, "show tells the submission")
    first = bought(world, "good.1")[0]
    refused(world, ("attach", "good.1", first), "an earlier submission")
    refused(world, ("attach", "doubt.now", first), "belongs to good.1")


def check_attach_of_one(world):
    """The database was set back: any account may have bought what waits."""
    held(world, True)
    ask(world, "back.1", tenant="back")
    until(world, "back.1", "queued")
    mine = world.query("SELECT account FROM account")[0][0]
    world.query("INSERT INTO account VALUES ('other:0:1', 0, 0, 0, 1) RETURNING 1")
    world.query("UPDATE waiting SET doubt = true, first_sent_ms = received_ms, account = ''"
                " RETURNING 1")
    task = buy(world, "back.1")
    refused(world, ("attach", "back.1", task), "with --account, one of default, other")
    refused(world, ("attach", "back.1", task, "--account", "nobody"), "allowed: default, other")
    tap.equal(world.query("SELECT count(*) FROM waiting"), [(1,)], "nothing was written")
    world.ctl("budget", "set", "back", "--day", "1000", check=True)
    budget = lines(world.ctl("budget", "list", "--json"))[0]
    tap.check(budget["doubtful"] > 0, "what waits in doubt counts for a budget set later", budget)
    world.ctl("budget", "unset", "back", check=True)
    done = world.ctl("attach", "back.1", task, "--account", "default")
    tap.equal(done.returncode, 0, "with an account it is attached", done.stderr)
    tap.equal(world.event("back.1")["status"], "completed", "which polls it to its end")
    tap.equal(world.query("SELECT c.account FROM closed c JOIN request USING (id)"
                          " WHERE request_id = 'back.1'"), [(mine,)], "under its newest key")
    refused(world, ("attach", "doubt.now", "task_x", "--account", "default"), "another id")
    held(world, False)


def check_interrupted(world):
    """Between two batches of a hundred: what goes on there keeps to the same limit."""
    held(world, True)
    ask(world, *(f"more.{n}" for n in range(103)), tenant="many-m")
    queued = lambda: [r["request_id"] for r in lines(world.ctl(
        "list", "--tenant", "many-m", "--state", "queued", "--limit", "200", "--json"))]
    newest = wait_for(lambda: len(queued()) == 103 and queued(), 20, "all of many-m wait")
    with psycopg.connect(world.database_url) as holder:
        holder.execute("SET idle_in_transaction_session_timeout = 0")
        holder.execute("SELECT id FROM request WHERE request_id = %s FOR UPDATE", [newest[0]])
        process = subprocess.Popen(
            [str(BIN / "pixverse-ctl"), "cancel", "--tenant", "many-m", "--limit", "101", "--yes",
             "--wait", "0"], env=world.environment(), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        waits = ("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                 " AND query LIKE '%%FOR NO KEY UPDATE%%' AND datname = current_database()")
        wait_for(lambda: world.query(waits)[0][0], 20, "the first batch waits")
        process.send_signal(signal.SIGINT)
        holder.rollback()
    said, why = process.communicate(timeout=60)
    tap.check(process.returncode == 1 and "100 ordered" in said and "1 was not gone through" in why
              and f"--after {newest[99]} --limit 1 goes on there" in why,
              "interrupted, it says how to go on within its limit", said, why)
    done = world.ctl("cancel", "--tenant", "many-m", "--after", newest[99], "--limit", "1", "--yes",
                     "--json")
    tap.equal((done.returncode, [r["request_id"] for r in lines(done)]), (0, [newest[100]]),
              "which is the rest of it", done.stderr)
    # One that is being cancelled while it is ordered again is left out: status 3.
    wait_for(lambda: len(queued()) == 2, 30, "what was ordered is carried out")
    world.ctl("cancel", "--tenant", "many-m", "--yes", check=True)
    held(world, False)


def check_too_late(world):
    """Nobody works: what an order meets when a video is finished before it is carried out."""
    world.workers[-1].stop()
    number = world.query(
        "INSERT INTO request (request_id, content, tenant, mode, priority, warnings, body,"
        " received_ms) VALUES ('quick.1', '', 'quick', 1, 5, '[]', '{}', 1) RETURNING id")[0][0]
    world.query("INSERT INTO task SELECT (jsonb_populate_record(null::task, to_jsonb(c) || "
                "%s::jsonb)).* FROM closed c LIMIT 1 RETURNING id",
                json.dumps({"id": number, "event": None, "provider_task_id": "quick", "owner": 0,
                            "state": 2}))
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(world.ctl, "cancel", "--tenant", "quick", "--yes", "--json", "--wait",
                            "60", timeout=90)
        wait_for(lambda: world.query(f"SELECT 1 FROM cancel WHERE task = {number}"), 30,
                 "it is ordered")
        world.query(f"UPDATE task SET state = 3 WHERE id = {number} RETURNING id")
        done = order.result(90)
    tap.equal((done.returncode, [(r["request_id"], r["cancelled"]) for r in lines(done)]),
              (3, [("quick.1", False)]), "an order by filter that came too late ends with 3",
              done.stdout, done.stderr)


def main():
    # So long a doubt is open to orders, however slowly commands start.
    with World(settings={"SUBMIT_DOUBT": "settle", "SUBMIT_TIMEOUT_MS": "15000"}) as world:
        check_attach(world)
        check_cancel(world)
        check_cancel_by_message(world)
        check_retry(world)
        check_attach_of_one(world)
        check_interrupted(world)
        check_too_late(world)


tap.run(main)
