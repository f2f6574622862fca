#!/usr/bin/env python3
# tests/run: postgres kafka long crashpoints on_s3 timeout=900
"""kill -9 before and after each durable step: one worker is armed with a point and
dies there, another one ends what it left. CRASHPOINTS="a b" tries only these. On S3
the points around its calls are tried, and those around a transfer."""

import collections
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import s3_server
import tap
from clock import clear_of_midnight
from leftovers import files_below
from world import (BIN, CONTINUE, PROBES, STOP, Database, World, file_of, is_on_s3, seat,
                   sha256_of, wait_for)

SIDE_BY_SIDE = 3  # worlds
REQUESTS = 12
SIGKILLED = -9
TRANSFERS_MAX = 8
HALF_STORED_OLD_S = 7 * 3600  # a worker sweeps what is older than six hours

# Which time it is come by; the first, where nothing is said.
NTH = {"post_before": 3, "post_may_send": 3, "post_accepted": 3, "save_sent": 4,
       "running_save_before": 3, "running_save_after": 3, "offset_after": 5,
       "stored_save_after": 3, "name_after": 2, "announce_sent": 3,
       "accepted_sent": 3, "accepted_acknowledged": 3, "announce_acknowledged": 3, "close_save_after": 2, "beat_before": 3,
       "beat_after": 3, "s3_part_after": 2, "s3_complete_after": 2, "s3_put_after": 3,
       "s3_abort_before": 2, "s3_abort_after": 2}

# What has to happen for a point to be reached; all others lie on the plain way.
SCENES = {
    "start": ["join_before", "join_after"],
    "dead_peer": ["bury_before", "bury_after", "adopt_before", "adopt_sent", "adopt_after"],
    "drain": ["leave_before", "leave_after"],
    "throttled": ["hand_back_before", "hand_back_after"],
    "no_room": ["attempt_save_before", "attempt_save_after"],
    "lost_reply": ["post_unanswered", "replay_before_intent", "replay_save_before",
                   "replay_save_after"],
    "failed": ["failed_save_before", "failed_save_after"],
    "late": ["late_save_before", "late_save_after"],
    "chained": ["freed_after"],
    "broken": ["marked_after", "expired_after"],
    "reject": ["reject_before", "reject_sent", "reject_acknowledged"],
    "cancelled": ["cancels_stored"],
    "crowded": ["limit_before", "limit_after"],
    "accepted": ["accepted_before", "accepted_sent", "accepted_acknowledged"],
    "learn": ["learn_before", "learn_written"],
    "oversize": ["tidy_before", "tidy_after"],
    "unfetched": ["ready_save_before"],
    "fetched_slowly": ["ready_save_after"],
    "in_parts": ["s3_create_sent", "s3_create_after", "s3_part_after", "s3_complete_before",
                 "s3_complete_after", "s3_small_before", "s3_small_after"],
    "cut": ["s3_abort_before", "s3_abort_after"],
    "abandoned": ["s3_sweep_before"],
}
# What is tried on S3 besides its own points.
AROUND_TRANSFERS = ["transfer_begins", "transfer_stored", "ready_save_after",
                    "stored_save_before", "tidy_before", "tidy_after"]
# Some fit one part, some don't.
VIDEO_BYTES = "4000000..13000000"
PART_BYTES = 8 << 20
SCENE_OF = {point: scene for scene, points in SCENES.items() for point in points}
# Two workers at once there: the group waits for the dead one, so they come last.
LAST = SCENES["learn"]

FAULTS = {
    "throttled": {"on": "submit", "kind": "rate_limit", "retry_after": "1", "count": 6},
    "crowded": {"on": "submit", "kind": "rate_limit", "retry_after": "1", "count": 6},
    "lost_reply": {"on": "submit", "kind": "rst_after_body", "count": 6},
    "no_room": {"on": "submit", "kind": "fail", "count": REQUESTS},
    "failed": {"on": "submit", "kind": "fail", "count": -1},
    "broken": {"on": "submit", "kind": "fail", "count": -1},
    "unfetched": {"on": "download", "kind": "status", "status": 503, "count": REQUESTS},
    "fetched_slowly": {"on": "download", "kind": "delay", "delay_ms": 3000,
                       "count": REQUESTS},
    # Some run on when their peer has died, though it dies a little later than it should.
    "dead_peer": {"on": "submit", "kind": "slow_job", "delay_ms": 6000, "count": -1},
    # Not finished when an heir that starts slowly asks for those whose time was not up yet.
    "late": {"on": "submit", "kind": "slow_job", "delay_ms": 30000, "count": -1},
    # Unanswered when their worker is stopped, whatever a busy machine does before that.
    "learn": {"on": "submit", "kind": "delay", "delay_ms": 15000, "count": -1},
    "in_parts": {"on": "download", "kind": "chunked", "count": -1},
    "abandoned": {"on": "download", "kind": "chunked", "count": -1},
    "cut": {"on": "download", "kind": "early_close", "bytes": PART_BYTES + 200000,
            "count": REQUESTS},
}


INNER = {".incoming", ".probes"}  # folders of the bucket's own


def points_of(program):
    """The names in the section of a program."""
    out = Path(os.environ["TEST_TMP"]) / "points"
    subprocess.run(["objcopy", "-O", "binary", "--only-section=crashpoints",
                    str(program), str(out)], check=True, capture_output=True)
    return sorted({name.decode() for name in out.read_bytes().split(b"\0") if name})


def half_stored(world):
    """Files that a kill left before they had their names, of videos and of probes."""
    folders = [PROBES] if is_on_s3() else INNER
    return [path for folder in folders for path in files_below(world.videos / folder)]


def untold(world):
    """What differs between the videos in the folder and those of the events."""
    world.pump(0.2)
    ours = INNER | {PROBES.strip("/")}
    told = {file_of(v["uri"]) for ends in world.events.values() for e in ends
            for v in e.value.get("videos", [])}
    there = {path for path in files_below(world.videos) if not ours & set(path.parts)}
    return told ^ there


def check_rest(world, kills):
    """What all the dead left behind goes away by itself."""
    tap.equal(world.query("SELECT id, name FROM lease WHERE NOT dead"), [],
              "no lease lives on when all workers are gone")
    half = half_stored(world)
    tap.check(len(half) <= kills * TRANSFERS_MAX,
              f"{kills} kills left {len(half)} half-stored videos and probes' own", *half)
    old = time.time() - HALF_STORED_OLD_S
    for path in half:
        os.utime(path, (old, old))
    janitor = world.start_worker(KAFKA_CONF_GROUP_INSTANCE_ID=seat("one"))
    wait_for(lambda: not half_stored(world), 60, "those of yesterday are swept")
    tap.check(True, "those that are old enough are swept by the next worker")
    if is_on_s3():
        wait_for(lambda: not world.uploads(), 60, "no upload is left open")
        tap.check(True, "no upload in parts is left open")
    wait_for(lambda: not untold(world), 20, "the folder holds what the events tell")
    tap.check(True, "the folder holds the videos that the events tell, and no other")
    wait_for(lambda: world.query("SELECT count(*) FROM lease")[0][0] == 1, 20,
             "the leases of the dead are gone")
    tap.check(True, "the leases of the dead are gone")
    tap.equal(janitor.stop(), 0, "and it drains with status 0")


class Try:
    """One point: its requests, and the workers that come and go."""

    def __init__(self, world, point):
        self.world = world
        self.point = point
        self.scene = SCENE_OF.get(point, "plain")
        # No name is the beginning of another's: faults match by it.
        self.name = point.replace("_", "-") + "."
        self.ids = [f"{self.name}{n}" for n in range(REQUESTS)]
        self.faults = []

    def worker(self, **settings):
        if self.scene == "oversize":
            settings["VIDEO_MAX_BYTES"] = "10000"
        if self.scene == "accepted":
            settings["ACCEPTED_EVENTS"] = "1"
        if self.scene == "crowded":
            settings.update(GENERATIONS_MAX="8", GENERATIONS_MIN="1")
        if self.scene == "no_room":
            settings["RESUBMIT_OVERLOADS"] = "3"
        return self.world.start_worker(
            wait=False, KAFKA_CONF_GROUP_INSTANCE_ID=seat("one"), **settings)

    def armed(self, **settings):
        nth = NTH.get(self.point, 1)
        return self.worker(PIXVERSE_CRASHPOINT=f"{self.point}:{nth}", **settings)

    def send(self):
        if is_on_s3() and self.scene in ("abandoned", "oversize"):
            clear_of_midnight(60)  # its transfers have this day in their names, too
            for i in self.ids:
                day = time.strftime("%Y/%m/%d", time.gmtime())
                s3_server.begin_upload(f"{self.world.videos.name}/default/{day}/{i}/0.mp4")
        more = {"deadline_seconds": 8} if self.scene == "late" else {}
        for i in self.ids if self.scene == "cancelled" else []:
            self.world.send({"request_id": i, "cancel": True})
        for n, i in reversed(list(enumerate(self.ids))):
            source = {"extend_from_request_id": self.ids[n - 1]}
            extends = self.scene in ("chained", "broken") and n % 2
            self.world.send({"request_id": i, **more, "request": {
                "prompt": f"clip {i}", **(source if extends else {})}})
        if self.scene == "reject":
            self.world.send(b'{"name": "none"}', key=self.name)
        self.world.flush()

    def purchases(self):
        return [t for t in self.world.ledger()["tasks"]
                if t["request"]["prompt"].startswith(f"clip {self.name}")]

    def accepted(self, least):
        wait_for(lambda: len(self.purchases()) >= least, 30,
                 f"{self.point}: the first are accepted")

    def begin(self):
        """The armed worker, at work."""
        if self.scene == "dead_peer":
            peer = self.worker()
            self.send()
            self.accepted(4)
            peer.kill()
            return self.armed()
        doomed = self.armed()
        self.send()
        if self.scene == "drain":
            self.accepted(4)
            doomed.process.terminate()
        return doomed

    def freeze(self, doomed):
        """Beyond its lease, with POSTs under way: their ids come to nobody's job."""
        self.accepted(1)
        doomed.signal(STOP)
        heir = self.world.start_worker(KAFKA_CONF_GROUP_INSTANCE_ID=seat("two"))
        wait_for(lambda: "a worker is dead" in heir.text(), 20, "it is taken for dead")
        doomed.signal(CONTINUE)
        return heir

    def run(self):
        world = self.world
        if self.scene in FAULTS:
            world.faults([{"match": f"clip {self.name}", **FAULTS[self.scene]}])
        doomed = self.begin()
        heir = self.freeze(doomed) if self.scene == "learn" else None
        try:
            wait_for(lambda: not doomed.alive(), 25, f"{self.point} is reached")
        except Exception as error:  # shown as this point's fault
            doomed.kill()
            self.faults.append(error)
        if doomed.process.returncode != SIGKILLED:
            self.faults.append(f"it ended with {doomed.process.returncode}:\n"
                               + doomed.text()[-1500:])
        else:
            world.injected("kill -9 at a crash point")
        heir = heir or self.worker()
        try:
            wait_for(lambda: world.pump(0.1) or set(self.ids) <= set(world.events), 60,
                     f"{self.point}: every end")
            if self.scene == "accepted":
                wait_for(lambda: world.pump(0.1) or set(self.ids) <= set(world.accepted), 30,
                         f"{self.point}: every accepted")
            self.judge()
        except Exception as error:  # the next point is still tried
            self.faults.append(f"{error}\n{heir.text()[-2500:]}")
        status = heir.stop()
        if status != 0:
            self.faults.append(f"the heir drains with {status}:\n{heir.text()[-1500:]}")

    def given_up(self):
        """Those for which there was no room, and that were sent more than once, or may have
        been: they get no other attempt, and fail. What is stored counts: where the worker
        died between an intent and its first byte, the provider saw one send alone."""
        had_room = {t["request"]["prompt"] for t in self.purchases() if not t["refunded"]}
        rows = ("SELECT request_id FROM (SELECT id, sends FROM task UNION ALL"
                " SELECT id, sends FROM closed) t JOIN request USING (id)"
                " WHERE sends > 1 AND request_id = ANY(%s)")
        return {i for (i,) in self.world.query(rows, self.ids) if f"clip {i}" not in had_room}

    def judge(self):
        bought = collections.Counter(t["key"] for t in self.purchases())
        prompts = {t["request"]["prompt"] for t in self.purchases()}
        buys = REQUESTS // 2 if self.scene == "broken" else REQUESTS
        if self.scene == "cancelled":
            buys = 0
        given_up = set()
        if self.scene == "no_room":  # those that it had no room for cost nothing
            given_up = self.given_up()
            bought = {t["key"]: bought[t["key"]] for t in self.purchases() if not t["refunded"]}
        if len(bought) != buys - len(given_up) or len(prompts) != buys or \
                set(bought.values()) - {1}:
            self.faults.append(f"bought {dict(bought)}")
        served = {t["task_id"]: [v["sha256"] for v in t["videos"]]
                  for t in self.purchases()}
        for i in self.ids:
            event = self.world.events[i][0]
            if len({e.raw for e in self.world.events[i] if not e.value.get("late")}) != 1:
                self.faults.append(f"{i} has several ends")
            if event["status"] == "completed":
                stored = [sha256_of(file_of(v["uri"])) for v in event["videos"]]
                told = [v["sha256"] for v in event["videos"]]
                if not stored == told == served[event["provider_task_id"]]:
                    self.faults.append(f"{i}: {stored} stored, {told} told")
                if not all("width" in v.get("media", {}) for v in event["videos"]):
                    self.faults.append(f"{i}: what was stored isn't told: {event['videos']}")
        ends = {e.value.get("error", {}).get("kind", e["status"])
                for i in self.ids for e in self.world.events[i][:1]
                if i not in given_up or e["status"] == "completed"}
        expected = {"failed": "provider_failed", "late": "timed_out",
                    "oversize": "asset_unusable", "cancelled": "cancelled"}
        wanted = {expected.get(self.scene, "completed")}
        if self.scene == "broken":
            wanted = {"provider_failed", "source_failed"}
        if ends != wanted:
            self.faults.append(f"ends are {ends}")
        if self.scene == "reject" and not self.rejected():
            self.faults.append("the rejection is lost")
        rows = ("SELECT count(*) FROM (SELECT id, state FROM task UNION ALL"
                " SELECT id, 0 FROM waiting) t JOIN request USING (id)"
                " WHERE state <> 6 AND request_id = ANY(%s)")
        wait_for(lambda: self.world.query(rows, self.ids)[0][0] == 0, 15,
                 "no row is unfinished")
        # One that died without a task was waited for by nobody; its heir buries it, too, but
        # counts anew where it is late itself. One that was frozen had a second lease.
        living = "SELECT count(*) FROM lease WHERE NOT dead"
        wait_for(lambda: self.world.query(living)[0][0] == 1, 30, "the dead are buried")

    def rejected(self):
        reader = self.world.reader("rejected")
        try:
            return wait_for(lambda: any((m.key() or b"").decode() == self.name
                                        for m in reader.consume(100, 0.3)), 15,
                            "the rejection")
        finally:
            reader.close()


def try_all(points, name):
    """One after the other, in a world of their own; most of the time nothing happens."""
    settings = {"LEASE_MS": "1000", "SUBMIT_TIMEOUT_MS": "45000", "SUBMIT_DOUBT": "replay",
                "TRANSFERS_MAX": str(TRANSFERS_MAX), "GENERATIONS_MAX": "500",
                "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}
    sim = ["--schema", "yes"] + (["--video-bytes", VIDEO_BYTES] if is_on_s3() else [])
    with World(workers=0, latency="0.2..0.5", sim=sim, settings=settings, name=name,
               postgres=Database(name)) as world:
        for point in points:
            began = time.monotonic()
            attempt = Try(world, point)
            attempt.run()
            tap.check(not attempt.faults, f"{point}: what it leaves is ended once "
                      f"({time.monotonic() - began:.1f} s)", *attempt.faults)
        check_rest(world, len(points))


def main():
    points = points_of(BIN / "pixverse-worker")
    tap.check(len(points) >= 20, "there are at least 20 points", points)
    tap.equal(sorted(set(SCENE_OF) - set(points)), [], "every scene has its points")
    only = os.environ.get("CRASHPOINTS", "").split()
    points = [p for p in points if p.startswith("s3_") == is_on_s3()
              or is_on_s3() and p in AROUND_TRANSFERS]
    points = sorted((p for p in points if not only or p in only), key=lambda p: p in LAST)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for part in [pool.submit(try_all, points[n::SIDE_BY_SIDE], f"part{n}")
                     for n in range(min(SIDE_BY_SIDE, len(points)))]:
            part.result()


tap.run(main)
