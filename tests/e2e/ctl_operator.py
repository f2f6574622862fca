#!/usr/bin/env python3
"""What an operator does with pixverse-ctl about many at once: messages that were
rejected, events that were lost."""
# tests/run: postgres kafka sanitized timeout=240

import json
import os
import pty
import subprocess

import tap
from world import BIN, World, wait_for


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
    while b"? [y/N]" not in told:
        told += os.read(ours, 65536)
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
    world.send(bad, key="nameless")
    world.send({"request_id": "whole.1", "request": {"prompt": "x"}})
    world.flush()
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
    bound = world.ctl("rejected", "list", "--json", "--look", "1")
    tap.check(len(lines(bound)) <= world.partitions, "as many as are to be looked at",
              bound.stdout)
    shown = lines(world.ctl("rejected", "show", nameless["id"], "--json"))[0]
    tap.check("no id" in shown["value"] and "s3cret" not in shown["value"],
              "show has the value, without what may sign a URL", shown)
    shown = lines(world.ctl("rejected", "show", broken["id"], "--json"))[0]
    tap.equal(shown["headers"], {"trace": "1", "error": "its own"}, "and its own headers")

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
            (("rejected",), 2, "list, show, replay"),
            (("rejected", "show"), 2, "PARTITION:OFFSET"),
            (("rejected", "show", "x"), 2, "PARTITION:OFFSET"),
            (("rejected", "show", "0:999999"), 1, "holds"),
            (("rejected", "show", "999:0"), 1, "no partition 999"),
            (("rejected", "list", "--error", "json"), 2, "not_json"),
            (("rejected", "list", "--since", "soon"), 2, "90s"),
            (("rejected", "list", "--look", "0"), 2, "1..")):
        refused(world, args, words, status)


def main():
    with World() as world:
        check_rejected(world)


tap.run(main)
