#!/usr/bin/env python3
"""What an operator does with pixverse-ctl about many at once: messages that were
rejected, requests that failed or aren't wanted any more, events that were lost."""
# tests/run: postgres kafka sanitized timeout=500

import json
import os
import pty
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psycopg
import tap
from clock import Clock, clear_of_midnight
from leftovers import files_below
from world import BIN, World, fetch, wait_for


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(world, args, words, status=1):
    done = world.ctl(*args)
    text = " ".join(map(str, args))
    tap.check(done.returncode == status and words in done.stderr,
              f"{text}: refused, because {words}", done.returncode, done.stdout, done.stderr)


def asked(world, answer, *args):
    """A command whose questions somebody at a terminal answers."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(BIN / "pixverse-ctl"), *args], env=world.environment(),
                               stdin=theirs, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer.encode() + b"\n")
    said = process.stdout.read().decode()
    process.wait(60)
    told = b""
    try:  # to its end: what stands behind the question may come a moment later
        while part := os.read(ours, 65536):
            told += part
    except OSError:
        pass  # all is read, and nobody has the other side
    os.close(ours)
    return process.returncode, said, told.decode()


def messages(world, topic, number):
    """The first so many messages of a topic."""
    reader = world.reader(topic)
    found = []

    def enough():
        found.extend(m for m in reader.consume(1000, 0.2) if not m.error())
        return len(found) >= number
    wait_for(enough, 20, f"{number} messages on {topic}")
    reader.close()
    return found


def check_rejected(world):
    bad = {"prompt": "no id", "url": "https://files.example/a.png?sig=s3cret"}
    world.send(b"{", key="broken", headers=[("trace", b"1"), ("error", b"its own")])
    world.send(bad, key="nameless", headers=[("x", "\u009b31m".encode())])
    world.send({"request_id": "whole.1", "request": {"prompt": "x"}})
    world.flush()
    world.event("whole.1")  # it waits for nothing when the others are paused
    found = wait_for(lambda: lines(world.ctl("rejected", "list", "--json"))
                     if len(messages(world, "rejected", 2)) == 2 else None, 30, "two are listed")
    by = {row["error"]: row for row in found}
    tap.equal(set(by), {"not_json", "no_request_id"}, "rejected list has both")
    broken, nameless = by["not_json"], by["no_request_id"]
    tap.check(broken["key"] == "broken" and "line 1" in broken["error_detail"]
              and broken["source_topic"] == world.topic("requests")
              and broken["replayed"] is False, "with all that is known", broken)
    text = world.ctl("rejected", "list").stdout
    tap.check(broken["id"] in text and "2 of 2" in text, "as a table", text)
    tap.equal([r["id"] for r in lines(world.ctl("rejected", "list", "--json", "--error",
                                                "no_request_id"))], [nameless["id"]], "by reason")
    tap.equal(lines(world.ctl("rejected", "list", "--json", "--since", "2100-01-01")), [],
              "by time")
    for words, said in ((("rejected", "list", "--since", "2100-01-01"), "no message fits"),
                        (("stats", "--until", "2020-01-02"), "nothing ended then")):
        tap.check(said in world.ctl(*words).stdout, f"{words[0]}: nothing is said in words", words)
    bound = world.ctl("rejected", "list", "--json", "--look", "1")
    tap.check(len(lines(bound)) <= world.partitions, "as many as are to be looked at",
              bound.stdout)
    shown = lines(world.ctl("rejected", "show", nameless["id"], "--json"))[0]
    tap.check("no id" in shown["value"] and "s3cret" not in shown["value"],
              "show has the value, without what may sign a URL", shown)
    shown = lines(world.ctl("rejected", "show", broken["id"], "--json"))[0]
    tap.equal(shown["headers"], {"trace": "1", "error": "its own"}, "and its own headers")
    text = world.ctl("rejected", "show", nameless["id"]).stdout
    tap.check("31m" in text and "\u009b" not in text, "no control of a header gets to a terminal", text)

    refused(world, ("rejected", "replay", broken["id"]), "--yes")
    dry = world.ctl("rejected", "replay", "--dry-run")
    tap.check(dry.returncode == 0 and "would replay 2 messages" in dry.stdout, "--dry-run",
              dry.stdout, dry.stderr)
    code, said, told = asked(world, "n", "rejected", "replay", broken["id"])
    tap.check(code == 1 and "replay 1 message" in told and "nothing" in told + said,
              "at a terminal it asks", told)
    code, said, told = asked(world, "y", "rejected", "replay", broken["id"])
    tap.check(code == 0 and "1 sent" in said, "and does it", said, told)
    again = messages(world, "requests", 4)
    twice = [m for m in again if m.key() == b"broken"]
    tap.equal([(m.value(), m.headers()) for m in twice],
              [(b"{", [("trace", b"1"), ("error", b"its own")])] * 2,
              "the original message stands on the topic again")
    tap.equal(len(messages(world, "rejected", 3)), 3, "and is judged afresh")
    refused(world, ("rejected", "replay", broken["id"], "--yes"), "--again")
    done = world.ctl("rejected", "replay", broken["id"], "--yes", "--again")
    tap.equal(done.returncode, 0, "--again replays it once more", done.stderr)
    tap.equal({r["id"] for r in lines(world.ctl("rejected", "list", "--json"))
               if r["replayed"]}, {broken["id"]}, "list shows which was replayed")
    for args, status, words in (
            (("rejected",), 2, "allowed: list, show PARTITION:OFFSET"),
            (("rejected", "lst"), 2, "\"lst\" is none of its orders"),
            (("rejected", "show"), 2, "PARTITION:OFFSET"),
            (("rejected", "show", "x"), 2, "PARTITION:OFFSET"),
            (("rejected", "show", "0:999999"), 1, "holds"),
            (("rejected", "show", "999:0"), 1, "no partition 999"),
            (("rejected", "list", "--error", "json"), 2, "not_json"),
            (("rejected", "list", "--since", "soon"), 2, "90s"),
            (("rejected", "list", "--look", "0"), 2, "1..")):
        refused(world, args, words, status)


def submissions(world, *ids):
    """How often each was bought."""
    sold = [task["request"]["prompt"] for task in world.ledger()["tasks"]]
    return [sold.count(i) for i in ids]


def told(world, request_id, number):
    """Its first so many events."""
    def come():
        world.pump()
        return world.events.get(request_id, [])[:number]
    return wait_for(lambda: len(come()) >= number and come(), 30, f"{number} ends of {request_id}")


def check_pause(world):
    for reason in ((), ("",), (" ",), ("two\nlines",), ("a\u009bb",), ("x" * 301,), ("two", "words")):
        refused(world, ("pause", *reason), "reason", 2)
    refused(world, ("resume", "now"), "one word too many", 2)
    tap.check("not paused" in world.ctl("resume").stdout, "resume of what goes on says so")
    world.ctl("pause", "the budget is used up", check=True)
    again = world.ctl("pause", "budget, ask Kim", "--json", check=True)
    tap.equal((lines(again)[0]["paused"], lines(again)[0]["reason"]), (True, "budget, ask Kim"),
              "pause once more changes the reason")
    world.query("UPDATE hold SET message = %s WHERE reason = 'operator' RETURNING scope", "C1 \u009b31m")
    done = world.ctl("pause", "budget, ask Kim", check=True)
    tap.check("C1" in done.stdout and "\u009b" not in done.stdout, "a stored reason is shown without controls",
              done.stdout)
    readyz = wait_for(lambda: (lambda a: a if b"ask Kim" in a[1] else None)(
        fetch(world.workers[0].admin + "/readyz")), 20, "/readyz has the reason")
    tap.check(readyz[0] == 200 and b"hold: operator" in readyz[1], "under the hold operator",
              readyz[1])
    for n in range(5):
        world.send({"request_id": f"many.a{n}", "tenant": "many-a",
                    "request": {"prompt": f"many.a{n}"}})
    world.send({"request_id": "many.b", "tenant": "many-b", "request": {"prompt": "many.b"}})
    world.flush()
    wait_for(lambda: len(lines(world.ctl("list", "--state", "queued", "--json"))) == 6, 20,
             "all wait")
    tap.check("ask Kim" in world.ctl("explain", "many.b").stdout, "explain has it")
    for before in ("", "x", "xx"):  # two of them are cut within a character
        world.query("UPDATE hold SET message = %s WHERE reason = 'operator' RETURNING scope",
                    before + "\u4e2d" * 1000)
        for command in ("explain", "show"):
            why = lines(world.ctl(command, "many.b", "--json", check=True))[0].get("why", "")
            tap.check("\u4e2d" * 300 in why, f"{command}: a long reason is cut, not lost", len(why))
    world.ctl("pause", "budget, ask Kim", check=True)


def check_cancel_many(world):
    refused(world, ("cancel", "--tenant", "many-a"), "--yes")
    refused(world, ("cancel", "many.b", "--tenant", "many-a"), "not both", 2)
    refused(world, ("cancel", "many.b", "--dry-run"), "--dry-run goes with a filter", 2)
    refused(world, ("cancel", "--yes"), "or a filter", 2)
    refused(world, ("cancel", "--tenant", "many-a", "--limit", "0"), "1..", 2)
    refused(world, ("cancel", "--tenant", "many-a", "--after", "nobody"), "no such request")
    dry = world.ctl("cancel", "--tenant", "many-a", "--dry-run")
    tap.check(dry.returncode == 0 and "would cancel 5 requests" in dry.stdout
              and "5 unsent, which cost nothing" in dry.stdout, "--dry-run says how many", dry)
    tap.equal(len(lines(world.ctl("list", "--state", "queued", "--json"))), 6,
              "nothing was done so far")
    newest = [r["request_id"] for r in lines(world.ctl("list", "--tenant", "many-a", "--json"))]
    some = world.ctl("cancel", "--tenant", "many-a", "--limit", "2", "--yes", "--json",
                     "--wait", "60", timeout=90)
    tap.equal((some.returncode, [(r["request_id"], r["cancelled"], r["billed"])
                                 for r in lines(some)]),
              (0, [(i, True, "no") for i in newest[:2]]), "the newest two",
              some.stderr)
    behind = world.ctl("cancel", "--tenant", "many-a", "--after", newest[3], "--yes",
                       "--wait", "60", timeout=90)
    tap.check(behind.returncode == 0
              and f"1 cancelled, billed: no: {newest[4]}" in behind.stdout,
              "behind one, where a run ended", behind)
    code, said, text = asked(world, "y", "cancel", "--tenant", "many-a", "--wait", "60")
    tap.check(code == 0 and "cancel 2 requests?" in text and "2 cancelled" in said,
              "at a terminal it asks", code, said, text)
    tap.equal({told(world, f"many.a{n}", 1)[0]["error"]["kind"] for n in range(5)},
              {"cancelled"}, "each is told")
    none = world.ctl("cancel", "--tenant", "many-a", "--yes")
    tap.check(none.returncode == 0 and "0 requests" in none.stderr, "once more: nothing is left",
              none)
    world.query("UPDATE hold SET message = %s WHERE reason = 'operator' RETURNING scope", "C1 \u009b31m")
    done = world.ctl("resume", check=True)
    tap.check("resumed after" in done.stdout and "C1" in done.stdout and "\u009b" not in done.stdout,
              "resume shows it without controls, too", done.stdout)
    world.ctl("pause", "once more", check=True)
    resumed = world.ctl("resume", "--json", check=True)
    tap.equal(lines(resumed)[0]["resumed"], True, "resume")
    tap.equal(told(world, "many.b", 1)[0]["status"], "completed", "then the others go on")


def all_closed(world):
    """An end is told before its row is closed."""
    wait_for(lambda: len(lines(world.ctl("list", "--tenant", "many-f", "--state", "closed",
                                         "--json"))) == 5, 20, "all are closed")


def check_limit(world, dry):
    """Nothing of those beyond --limit is in what is said of those within."""
    price = lambda done: float(re.search(r"may cost about ([0-9.e-]+)", done.stdout)[1])
    one = world.ctl("retry", "--tenant", "many-f", "--limit", "1", "--dry-run")
    tap.check("would retry 1 request" in one.stdout and "more fit" in one.stdout
              and abs(3 * price(one) - price(dry)) < price(dry) / 100,
              "one of three costs a third of them", dry, one)
    tap.check(one.returncode == 0 and "left out" not in one.stdout,
              "who comes behind the limit isn't left out", one)


def check_retry_many(world):
    world.faults([{"on": "submit", "kind": "fail", "count": 3, "match": "mf."},
                  {"on": "submit", "kind": "fail", "count": 1, "match": "moderated", "text":
                   "sensitive content in the prompt, please adjust: moderation"}])
    ids = ["mf.0", "mf.1", "mf.2", "moderated", "fine"]
    for request_id in sorted(ids, key="moderated".__ne__):
        world.send({"request_id": request_id, "tenant": "many-f",
                    "request": {"prompt": request_id}})
        if request_id == "moderated":  # the oldest of them
            told(world, request_id, 1)
    world.flush()
    tap.equal([told(world, i, 1)[0]["status"] for i in ids], ["failed"] * 4 + ["completed"],
              "four fail")
    all_closed(world)
    refused(world, ("retry",), "one request id, or a filter", 2)
    refused(world, ("retry", "mf.0", "mf.1"), "one request id", 2)
    refused(world, ("retry", "--tenant", "many-f"), "--yes")
    dry = world.ctl("retry", "--tenant", "many-f", "--dry-run")
    tap.check(dry.returncode == 3 and "would retry 3 requests" in dry.stdout
              and "may cost about" in dry.stdout and "1 left out" in dry.stdout
              and "moderation" in dry.stdout, "what is left out is said, and why", dry)
    check_limit(world, dry)
    done = world.ctl("retry", "--tenant", "many-f", "--yes", "--json")
    tap.equal((done.returncode, {r["request_id"]: r["ordered"] for r in lines(done)}),
              (3, {"mf.0": True, "mf.1": True, "mf.2": True, "moderated": False}),
              "those that may be are ordered", done.stderr)
    tap.equal([told(world, f"mf.{n}", 2)[1]["status"] for n in range(3)], ["completed"] * 3,
              "and completed")
    all_closed(world)
    again = world.ctl("retry", "--tenant", "many-f", "--kind", "provider_failed", "--yes")
    tap.check(again.returncode == 0 and "0 requests" in again.stderr,
              "the same again orders nothing twice", again)
    paid = world.ctl("retry", "--tenant", "many-f", "--state", "completed", "--yes")
    tap.check(paid.returncode == 0 and "4 not meant" in paid.stderr,
              "what is paid for goes by id only", paid)
    tap.equal(submissions(world, *ids), [2, 2, 2, 1, 1], "nothing was bought beside")


def check_announce(world):
    first, second = told(world, "mf.0", 2)
    refused(world, ("announce",), "or --since", 2)
    refused(world, ("announce", "mf.0", "--since", "1h"), "or --since", 2)
    refused(world, ("announce", "mf.0", "--dry-run"), "goes with --since", 2)
    refused(world, ("announce", "mf.0", "--to", "a b"), "no topic", 2)
    refused(world, ("announce", "mf.0", "--to", world.topic("requests")), "of requests", 2)
    refused(world, ("announce", "nobody"), "no request")
    refused(world, ("announce", "--since", "1h"), "--yes")
    again = world.ctl("announce", "mf.0")
    tap.check(again.returncode == 0 and "2 events" in again.stdout, "announce by id", again)
    four = told(world, "mf.0", 4)
    tap.equal([(e.raw, e.headers) for e in four[2:]],
              [(e.raw, e.headers) for e in (first, second)],
              "both ends again, the same bytes and headers")
    dry = world.ctl("announce", "--since", "1h", "--tenant", "many-f", "--dry-run")
    tap.check("would announce 8 events" in dry.stdout, "--dry-run counts", dry)
    to = world.topic("repair")
    done = world.ctl("announce", "--since", "1h", "--tenant", "many-f", "--to", to, "--yes",
                     "--json")
    tap.equal((done.returncode, [r["request_id"] for r in lines(done)].count("mf.1")), (0, 2),
              "to another topic", done.stderr)
    there = {(m.key(), m.value()) for m in messages(world, "repair", 8)}
    tap.equal({value for key, value in there if key == b"mf.0"}, {first.raw, second.raw},
              "where the same bytes are")
    later = world.ctl("announce", "--since", "2100-01-01", "--yes")
    tap.check(later.returncode == 0 and "no event fits" in later.stdout, "none fits", later)


def check_budgets(world, top, text):
    """What is used of them, where people look."""
    tap.check(top["budgets"] == [] and "USED" not in text + world.ctl("stats").stdout,
              "nobody has a budget, and none is shown", top["budgets"])
    spent = world.query("SELECT sum(cost)::float8 FROM closed c JOIN request r USING (id)"
                        " WHERE r.tenant = 'many-f'")[0][0]
    world.ctl("budget", "set", "many-f", "--day", f"{spent * 1.1:.6f}", check=True)
    world.ctl("budget", "set", "*", "--month", "1000000", check=True)
    told = lines(world.ctl("budget", "list", "--json"))
    top = lines(world.ctl("top", "--once", "--json"))[0]["budgets"]
    for row in told + top:  # they go on
        row.pop("forecast", None)
    tap.equal(top, told, "top has them as budget list has")
    tap.equal([(b["tenant"], b["near"], b["used_percent"], b["reserved"], b["doubtful"])
               for b in top], [("*", False, 0, 0, 0), ("many-f", True, 90, 0, 0)],
              "used of the limit, and what is near it", top)
    for words in (("top", "--once"), ("stats",), ("budget", "list")):
        text = world.ctl(*words).stdout
        tap.check("90 %, near" in text and "RESERVED" in text, f"{words[0]}: people read it", text)
    world.query("UPDATE budget SET counted = false WHERE tenant = '*' RETURNING 1")
    one = {b["tenant"]: b.get("uncounted") for b in lines(world.ctl("budget", "list", "--json"))}
    tap.equal(one, {"*": True, "many-f": None}, "what was not counted yet says so")
    text = world.ctl("budget", "list").stdout
    why = world.query("SELECT message FROM budget_words WHERE tenant = 'many-f'")[0][0]
    tap.check("0 %, uncounted" in text and why.count("not counted yet") == 1,
              "to people, and to who waits for it", (text, why))
    world.ctl("budget", "unset", "many-f", check=True)
    world.ctl("budget", "unset", "*", check=True)


def check_budget_waits(world):
    """For each worker's claims by themselves: one that is frozen in the midst of a claim
    keeps no other from its beats."""
    beats = "SELECT max(counter) FROM lease WHERE name <> 'frozen'"
    with psycopg.connect(world.database_url) as frozen, \
            ThreadPoolExecutor(1) as pool:
        # The last of all, so that those before it are through.
        frozen.execute("SET idle_in_transaction_session_timeout = 0")
        frozen.execute("INSERT INTO lease (id, name, tasks_max, accounts) OVERRIDING SYSTEM"
                       " VALUE SELECT max(id) + 1000, 'frozen', 1, '{}' FROM lease")
        frozen.commit()
        frozen.execute("SELECT id FROM lease WHERE name = 'frozen' FOR KEY SHARE")
        order = pool.submit(world.ctl, "budget", "set", "*", "--month", "1000000")
        waits = ("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                 " AND query LIKE '%%''workers''%%FOR UPDATE%%' AND datname = current_database()")
        wait_for(lambda: world.query(waits)[0][0], 20, "the order waits")
        before = world.query(beats)[0][0]
        wait_for(lambda: world.query(beats)[0][0] > before + 2, 30, "a worker goes on")
        tap.check(not order.done(), "the order waits for who is frozen")
        frozen.rollback()
        frozen.execute("DELETE FROM lease WHERE name = 'frozen'")
        frozen.commit()
        tap.equal(order.result(60).returncode, 0, "then it is done", order.result())
    world.ctl("budget", "unset", "*", check=True)


def check_workers(world):
    rows = wait_for(lambda: [r for r in lines(world.ctl("workers", "--json"))
                             if "said" in r], 20, "the worker says what it does")
    row = rows[0]
    tap.check(len(rows) == 1 and row["is"] == "works" and row["version"]
              and row["slots"]["submits_max"] == 32 and row["tasks_max"] == 10000,
              "workers: who, which version, of what it has how much", row)
    wait_for(lambda: sum(lines(world.ctl("workers", "--json"))[0]["a_minute"].values()) == 0, 30,
             "rates are those of the last ten seconds")
    tap.check("works" in world.ctl("workers").stdout, "as a table")
    world.ctl("pause", "a look", check=True)
    tap.equal(lines(world.ctl("workers", "--json"))[0]["is"], "held", "under a hold it says held")
    top = lines(world.ctl("top", "--once", "--json"))[0]
    tap.equal((top["states"]["running"], top["holds"][0]["message"], len(top["workers"])),
              (0, "a look", 1), "top: states, holds, workers")
    tap.check(top["a_minute"]["cost_of_five"] > 0 and "late_ms" in top, "and spending", top)
    one = top["accounts"][0]
    tap.equal((len(top["accounts"]), one["occupied"], one["workers"], one["holds"]), (1, 0, 1, []),
              "by account: slots that are occupied, holds", top["accounts"])
    tap.check(abs(one["cost_of_five"] - top["a_minute"]["cost_of_five"]) < 1e-6,
              "and what it spent", top)
    tap.equal(top["tenants"], [], "by tenant: nobody shares")
    world.ctl("tenant", "set", "acme", "--weight", "3", "--slots", "2", check=True)
    top = lines(world.ctl("top", "--once", "--json"))[0]
    tap.equal(top["tenants"], [{"tenant": "acme", "occupied": 0, "weight": 3, "slots": 2, "of": 1}],
              "and, where they do, slots and weight")
    tap.check(re.search(r"^acme +0/2 +3 *$", world.ctl("top", "--once").stdout, re.M),
              "in the table too", world.ctl("top", "--once").stdout)
    world.ctl("tenant", "unset", "acme", check=True)
    text = world.ctl("top", "--once").stdout
    tap.check("a minute:" in text and "HELD BY" in text and "\x1b" not in text,
              "in plain lines where there is no terminal", text)
    check_budgets(world, top, text)
    check_budget_waits(world)
    refused(world, ("top", "--interval", "0"), "1..3600", 2)
    refused(world, ("workers", "all"), "one word too many", 2)
    world.ctl("resume", check=True)


def found(world, *flags):
    """What doctor finds, by name; and its exit status."""
    done = world.ctl("doctor", "--json", *flags)
    return {row["finding"]: row for row in lines(done)}, done.returncode


def check_storage(world):
    """Videos and rows that don't agree, both ways."""
    films = sorted(p for p in files_below(world.videos) if p.suffix == ".mp4")
    films[0].write_bytes(films[0].read_bytes()[:-1])
    films[1].unlink()
    stray = films[2].parent.parent / "stray.1" / "0.mp4"
    stray.parent.mkdir()
    stray.write_bytes(b"x")
    (films[2].parent / "9.mp4").write_bytes(b"x")
    (world.videos / "README.txt").write_text("not ours")
    sick, status = found(world, "--storage")
    tap.equal((set(sick) - {"setting"}, status),
              ({"object_missing", "object_differs", "object_unknown"}, 1),
              "doctor --storage finds what is missing, changed, and nobody's", sick)
    tap.equal((sick["object_unknown"]["count"], sick["object_differs"]["count"],
               sick["object_missing"]["count"]), (2, 1, 1), "each once", sick)
    tap.check(any("stray.1" in uri for uri in sick["object_unknown"]["of"]), "by their names",
              sick)
    away = world.ctl("doctor", "--storage", "--json", env=world.environment(
        STORAGE_URL=f"file://{world.videos}/nowhere"))
    tap.check("storage" in {row["finding"] for row in lines(away)}, "or that it isn't there",
              away.stdout)


def check_doctor(world):
    healthy, _ = found(world)
    tap.equal(set(healthy) - {"setting"}, set(), "doctor finds nothing in a healthy fleet")
    tap.check("fsync" in str(healthy.get("setting")), "but that this PostgreSQL may forget",
              healthy)
    stored, _ = found(world, "--storage")
    tap.equal(set(stored) - {"setting"}, set(), "nor in storage")
    world.workers[0].stop()
    check_storage(world)
    before = 1000 * 3600 * 2
    now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    request = ("INSERT INTO request (request_id, content, tenant, mode, priority, warnings, body,"
               " received_ms) VALUES (%s, '', 't', 1, 5, '[]', '{}', 1) RETURNING id")
    task = ("INSERT INTO task SELECT (jsonb_populate_record(null::task, to_jsonb(c) || "
            "%s::jsonb)).* FROM closed c LIMIT 1 RETURNING id")
    at = world.query(f"SELECT {now}")[0][0] - before

    def add(name, **columns):
        number = world.query(request, name)[0][0]
        world.query(task, json.dumps({"id": number, "event": None, "provider_task_id": "",
                                      "owner": 0, **columns}))
    world.query(request, "lost.1")
    add("bare.1", state=5, settled_ms=at)
    add("doubt.1", state=1, doubt=True, last_sent_ms=at)
    add("deadline.1", state=2, deadline_ms=at, takeovers=30)
    add("ready.1", state=3, result=json.dumps([{"url": "x", "expires_at": at}]))
    add("later.1", state=9)
    stolen = world.query("SELECT provider_task_id FROM closed WHERE provider_task_id <> '' "
                         "LIMIT 1")[0][0]
    add("stolen.1", state=6, provider_task_id=stolen)
    world.query("INSERT INTO waiting (id, priority, fence, version, submission, tries, "
                "received_ms, deadline_ms, not_before_ms, first_sent_ms, last_sent_ms, account,"
                " doubt) SELECT id, 5, 1, 1, 0, 0, 1, 0, 0, 1, 0, '', true FROM closed LIMIT 1 "
                "RETURNING 1")
    world.query("DELETE FROM request WHERE id = (SELECT id FROM task WHERE state = 3) RETURNING 1")
    world.query("UPDATE closed SET event = NULL WHERE id = (SELECT max(id) FROM closed) "
                "RETURNING 1")
    world.query("UPDATE closed SET kind = 9 - kind WHERE id = (SELECT max(id) FROM closed "
                "WHERE kind = 0 AND event IS NOT NULL) RETURNING 1")
    world.query("UPDATE closed SET kind = 7, provider_task_id = '' WHERE id = (SELECT min(id) "
                "FROM closed WHERE kind > 0) RETURNING 1")
    world.query("INSERT INTO accepted SELECT id, 0 FROM request WHERE request_id = 'lost.1' RETURNING 1")
    world.query(f"INSERT INTO cancel SELECT id, {at} FROM task WHERE state = 2 RETURNING 1")
    world.ctl("pause", "hands off", check=True)
    sick, status = found(world)
    wanted = {"lost", "no_end", "untold", "doubt", "overdue", "suspect", "expiry", "unreadable",
              "same_task", "twice", "rewound", "no_request", "no_event", "other_event",
              "unknown", "cancel", "hold", "no_worker", "unaccepted"}
    tap.equal((set(sick) - {"setting"}, status), (wanted, 1), "each thing that is wrong is found")
    tap.check(sick["lost"]["of"] == ["lost.1"] and sick["lost"]["level"] == "fault"
              and "hands off" in sick["hold"]["of"][0] and sick["hold"]["level"] == "warning"
              and all(row["do"] for row in sick.values()), "with whom, and what to do", sick)
    text = world.ctl("doctor").stdout
    tap.check("fault    lost: " in text and "-> " in text and "warnings" in text, "in words", text)
    few, _ = found(world, "--rows", "0")
    tap.check("lost" not in few and "doubt" in few, "--rows bounds what is looked through", few)
    away = world.ctl("doctor", env=world.environment(DATABASE_URL="postgresql://127.0.0.1:1/x"))
    tap.equal((away.returncode, away.stdout), (2, ""), "status 2 where it can't look", away.stderr)
    lonely = world.ctl("doctor", "--json", env=world.environment(
        KAFKA_EVENT_TOPIC="no.such.topic", KAFKA_CONF_ALLOW_AUTO_CREATE_TOPICS="false"))
    tap.check("no.such.topic" in str([row for row in lines(lonely)
                                      if row["finding"].startswith("topic")]),
              "a topic that is missing", lonely.stdout, lonely.stderr)
    refused(world, ("doctor", "--rows", "many"), "0..", 2)


def do(world, *statements):
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def check_doctor_fleet(world):
    """What only a fleet has, or PostgreSQL, or this machine: the rest of the findings that
    can be made here without harm to others."""
    do(world, "INSERT INTO lease (name, tasks_max, accounts) VALUES ('quiet', 1, '{}'), ('new', 1, '{}')",
       "INSERT INTO vitals SELECT id, 1, 'version ' || id, false, false, 0, '{}', '{}', '{}', 0 FROM lease"
       " WHERE NOT dead",
       "UPDATE closed SET closed_ms = 1 WHERE id = (SELECT min(id) FROM closed)",
       "ALTER TABLE hold SET (autovacuum_enabled = false)",
       "INSERT INTO hold SELECT 'operator', 'x' || n, 0, 0, '' FROM generate_series(1, 100001) n",
       "DELETE FROM hold WHERE scope LIKE 'x%'",
       "SELECT setval(pg_get_serial_sequence('request', 'id'), 1)")
    wanted = {"silent", "versions", "history", "autovacuum", "bloat", "sequence"}
    aged = world.environment(HISTORY_DAYS="1")

    def sick():
        done = world.ctl("doctor", "--json", env=aged)
        seen = {row["finding"]: row for row in lines(done)}
        return seen if wanted <= set(seen) else None
    seen = wait_for(sick, 30, f"{wanted} are found")
    tap.check("quiet" in str(seen["silent"]["of"]) and "hold" in str(seen["autovacuum"]["of"])
              and "hold: " in str(seen["bloat"]["of"]) and "request_id_seq is at 1" in str(seen["sequence"]["of"]),
              "silent, versions, history, autovacuum, bloat, sequence: with whom", seen)
    role = world.prefix.replace("-", "_") + "reader"
    do(world, f"CREATE ROLE {role}")
    try:
        parts = psycopg.conninfo.conninfo_to_dict(world.database_url)
        url = psycopg.conninfo.make_conninfo(**{**parts, "options": f"-c role={role}"})
        for grant, status in (("SELECT 1", 2), (f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}", 1)):
            do(world, grant)
            done = world.ctl("doctor", "--json", env=world.environment(DATABASE_URL=url))
            rights = [row for row in lines(done) if row["finding"] == "rights"]
            tap.check(done.returncode == status and rights and rights[0]["level"] == "fault"
                      and "on " in str(rights[0]["of"]) and rights[0]["count"] > 50,
                      f"rights that are missing, by table: {grant}", done)
    finally:
        do(world, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    clock = Clock()
    clock.jump(3600 + 30)  # what PostgreSQL takes to answer is taken off
    asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    done = world.ctl("doctor", "--json", env={**world.environment(), **clock.environment(),
                                              "ASAN_OPTIONS": asan})
    clock.remove()
    tap.check("1 h 00 min ahead" in str([row for row in lines(done) if row["finding"] == "clock"]),
              "a clock that is wrong", done)


def check_doctor_shared(world):
    """What is PostgreSQL's own and shared with all others here: its views, and the ages of its
    transactions, are shown to doctor as they are in a PostgreSQL with that fault."""
    do(world, "CREATE SCHEMA worse",
       "CREATE VIEW worse.pg_stat_activity AS SELECT a.datname, a.pid, a.application_name, a.backend_type, a.state,"
       " a.backend_xmin, CASE WHEN a.application_name = 'sleeper' THEN a.xact_start - interval '61 minutes'"
       " ELSE a.xact_start END AS xact_start FROM pg_catalog.pg_stat_activity a,"
       " generate_series(1, CASE WHEN a.application_name = 'crowd'"
       " THEN current_setting('max_connections')::int ELSE 1 END)",
       "CREATE FUNCTION worse.age(xid) RETURNS integer LANGUAGE sql AS 'SELECT pg_catalog.age($1) + 1100000000'")
    parts = psycopg.conninfo.conninfo_to_dict(world.database_url)
    url = psycopg.conninfo.make_conninfo(**{**parts, "options": "-c search_path=worse,pg_catalog,public"})
    worse = world.environment(DATABASE_URL=url)
    sleeper = psycopg.connect(world.database_url, application_name="sleeper",
                              options="-c default_transaction_isolation=repeatable\\ read")
    crowd = psycopg.connect(world.database_url, application_name="crowd", autocommit=True)
    with sleeper, crowd:
        sleeper.execute("SELECT 1 FROM request LIMIT 1")  # its snapshot stays
        seen = {row["finding"]: row for row in lines(world.ctl("doctor", "--json", env=worse))}
        for name, level, words in (("snapshot", "warning", "session sleeper"),
                                   ("transaction", "warning", "session sleeper"),
                                   ("wraparound", "fault", "transactions"), ("connections", "warning", " of ")):
            told = seen.get(name, {})
            tap.check(told.get("level") == level and words in str(told.get("of")) and told.get("do"),
                      f"doctor finds {name}, with whom, and what to do", seen)
    plain = {row["finding"] for row in lines(world.ctl("doctor", "--json"))}
    tap.check(not plain & {"snapshot", "transaction", "wraparound", "connections"},
              "and none of them where nothing is wrong", plain)


def main():
    with World() as world:
        check_rejected(world)
        check_pause(world)
        check_cancel_many(world)
        clear_of_midnight(180)  # what this buys is in a day's budget later
        check_retry_many(world)
        check_announce(world)
        check_workers(world)
        check_doctor(world)
        check_doctor_fleet(world)
        check_doctor_shared(world)


tap.run(main)
