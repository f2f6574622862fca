#!/usr/bin/env python3
# tests/run: postgres kafka s3 long sanitized timeout=600
"""The five modes into S3, 200 requests through two workers of which one is killed
half-way, and wrong credentials that are mended: each object whole, its SHA-256 as
served, no upload left open."""

import collections
import errno
import os
from pathlib import Path

import tap
from five_modes import MODES, boxes, request
from leftovers import files_below
from world import World, fetch, sha256_of, wait_for

REQUESTS = 200
BUCKET = os.environ["TEST_S3_BUCKET"]
FOLDER = Path(os.environ["TEST_S3_FOLDER"]) / BUCKET
PREFIX = os.environ["TEST_PREFIX"].rstrip("-")


def settings(part, endpoint="TEST_S3_ENDPOINT", **more):
    """Environment of workers whose videos go below PREFIX/part."""
    url = f"s3://{BUCKET}/{PREFIX}/{part}?endpoint={os.environ[endpoint]}"
    if endpoint == "TEST_S3_TLS_ENDPOINT":
        url += f"&ca={os.environ['TEST_S3_CA']}"
    return {"STORAGE_URL": url, "AWS_ACCESS_KEY_ID": os.environ["TEST_S3_KEY"],
            "AWS_SECRET_ACCESS_KEY": os.environ["TEST_S3_SECRET"], **more}


def object_of(uri):
    """Where the server keeps an object: its buckets are folders."""
    start = f"s3://{BUCKET}/"
    if not uri.startswith(start):
        raise ValueError(f"{uri} is not in {start}")
    return FOLDER / uri[len(start):]


def uploads_open(part):
    """Uploads in parts below PREFIX/part that were neither completed nor aborted.
    The bucket is everybody's: what others have under way is theirs."""
    mine = f"{PREFIX}/{part}/".encode()
    found = []
    for folder, names, _ in os.walk(FOLDER / ".sgwtmp/multipart"):
        if Path(folder).parent.name == "multipart" and names:
            try:
                key = os.getxattr(folder, "user.objname")
            except FileNotFoundError:
                continue  # it has ended meanwhile
            except OSError as error:
                if error.errno != errno.ENODATA:
                    raise
                key = mine  # begun or ending this moment: whose it is shows the next look
            if key.startswith(mine):
                found += [Path(folder) / name for name in names]
    return found


def served(world):
    """The hashes of each task's videos, as the provider made them."""
    return {task["task_id"]: [v["sha256"] for v in task["videos"]]
            for task in world.ledger()["tasks"]}


def check_objects(world, ids):
    hashes = served(world)
    wrong = []
    for identity in ids:
        event = world.events[identity][0]
        if event["status"] != "completed":
            wrong.append((identity, event.value))
            continue
        told = [v["sha256"] for v in event["videos"]]
        there = [sha256_of(object_of(v["uri"])) for v in event["videos"]]
        if not told == there == hashes[event["provider_task_id"]]:
            wrong.append((identity, told, there))
    coded = [path for path in (object_of(video["uri"]) for identity in ids
                               for video in world.events[identity][0].value.get("videos", []))
             if any(b"aws-chunked" in os.getxattr(path, name)
                    for name in os.listxattr(path))]
    tap.equal(coded, [], "no object says that its content is in a coding")
    tap.equal(wrong, [], "every object's SHA-256 is that of what was served")


def five_modes():
    with World(settings=settings("modes", "TEST_S3_TLS_ENDPOINT")) as world:
        done = world.command("pixverse-worker", "check")
        tap.check("takes and gives" in done.stdout + done.stderr,
                  "check finds a store that takes and gives",
                  done.stdout, done.stderr)
        wrong = {**world.environment(), "AWS_SECRET_ACCESS_KEY": "of-nobody"}
        done = world.command("pixverse-worker", "check", env=wrong)
        said = done.stdout + done.stderr
        tap.check(done.returncode == 1 and "SignatureDoesNotMatch" in said,
                  "check names wrong credentials", said)
        tap.check("of-nobody" not in said, "and shows no secret")

        for mode in list(MODES)[:4]:
            world.send(request(mode))
        world.flush()
        first = world.event("order.text_to_video")
        world.send(request("extend",
                           extend_from_task_id=first["provider_task_id"]))
        world.flush()
        ids = [f"order.{mode}" for mode in MODES]
        world.wait_events(ids)
        check_objects(world, ids)
        for identity in ids:
            for video in world.events[identity][0]["videos"]:
                path = object_of(video["uri"])
                tap.check({"ftyp", "moov", "mdat"} <= set(boxes(path))
                          and path.stat().st_size == video["bytes"],
                          f"{identity}: a whole MP4 of the length that is told")
        worker = world.workers[0]
        tap.equal(worker.stop(), 0, "a drained worker ends with status 0")
        text = worker.text()
        tap.check("ERROR" not in text and "Sanitizer" not in text,
                  "its log has no error", text[-3000:])
        tap.check(os.environ["TEST_S3_SECRET"] not in text,
                  "nor the secret")


def killed_half_way():
    ids = [f"clip-{n}" for n in range(REQUESTS)]
    part = "killed"
    with World(workers=2, latency="0.5..2", settings=settings(part),
               sim=("--video-bytes", "9000000..9500000")) as world:
        # A third comes without a length: those go in parts.
        world.faults([{"kind": "chunked", "on": "download", "rate": 0.34,
                       "count": -1}])
        for n, identity in enumerate(ids):
            world.send({"request_id": identity, "request": {"prompt": f"clip {n}"}})
        world.flush()
        wait_for(lambda: world.pump(0.2) or len(world.events) >= REQUESTS // 3, 240,
                 "a third of the events")
        world.workers[0].kill()
        tap.note(f"a worker killed after {len(world.events)} events, "
                 f"{len(uploads_open(part))} uploads open")
        world.wait_events(ids, 240)
        world.pump(1)
        status = collections.Counter(world.events[i][0]["status"] for i in ids)
        tap.equal(dict(status), {"completed": REQUESTS}, "all are completed")
        several = [i for i in ids
                   if len({e.headers["ce_id"] for e in world.events[i]}) != 1]
        tap.equal(several, [], "every event once by id")
        tap.equal(world.ledger()["totals"]["accepted"], REQUESTS,
                  "each request was bought once")
        check_objects(world, ids)
        files = files_below(FOLDER / PREFIX / part)
        tap.equal(len(files), REQUESTS, "one object a request, and no other")
        tap.equal(wait_for(lambda: [[]] if not uploads_open(part) else None, 150,
                           "no upload open")[0], [],
                  "no upload is left open")
        tap.equal(world.workers[1].stop(), 0, "the survivor drains with status 0",
                  world.workers[1].text()[-2000:])


def wrong_credentials():
    shared = Path(os.environ["TEST_TMP"]) / "credentials"

    def write(secret):
        shared.write_text(f"[default]\naws_access_key_id = {os.environ['TEST_S3_KEY']}\n"
                          f"aws_secret_access_key = {secret}\n")
    write("of-nobody")
    more = settings("healed", AWS_SHARED_CREDENTIALS_FILE=str(shared))
    del more["AWS_ACCESS_KEY_ID"], more["AWS_SECRET_ACCESS_KEY"]
    with World(settings=more) as world:
        worker = world.workers[0]

        def send(identity):
            world.send({"request_id": identity, "request": {"prompt": identity}})
            world.flush()

        def holds():
            return fetch(worker.admin + "/readyz")[1].decode()
        send("before")
        wait_for(lambda: "storage" in holds() and "SignatureDoesNotMatch" in holds(), 60, "a hold")
        tap.check(True, "/readyz says what is wrong with the store")
        send("meanwhile")
        world.pump(3)
        tap.equal(world.ledger()["totals"]["accepted"], 0,
                  "nothing is bought that can't be stored, not even the first")
        write(os.environ["TEST_S3_SECRET"])
        world.wait_events(["before", "meanwhile"], 150)
        check_objects(world, ["before", "meanwhile"])
        wait_for(lambda: "storage" not in holds(), 30, "the hold is gone")
        tap.check(True, "mended, it heals by itself")
        tap.equal(worker.stop(), 0, "and drains with status 0")


def main():
    five_modes()
    killed_half_way()
    wrong_credentials()


if __name__ == "__main__":
    tap.run(main)
