#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=600
"""A storage that is full to several levels, nearly full, read-only, or hangs: what is
visible is whole, nothing new is bought meanwhile, and all comes home when there is room
again. Mounts what it needs in a mount namespace of its own, as root."""

import ctypes
import os
import subprocess
import time

import tap
from leftovers import files_below
from world import HELD_UP_S, TMP, World, fetch, file_of, sha256_of, wait_for

BATCH = 6
BLOCK = 4096


def own_mounts():
    """From here on mounts are this process's and its children's alone."""
    clone_newns = 0x00020000
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(clone_newns) != 0:
        raise OSError(ctypes.get_errno(), "unshare: this test wants root")
    if not in_chroot():
        call("mount", "--make-rprivate", "/")
    else:  # "/" is no mount there, but our own folder can be made one
        call("mount", "--bind", TMP, TMP)
        call("mount", "--make-private", TMP)


def in_chroot():
    """Whether "/" is a folder of a file system and no mount of its own."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        return all(line.split()[4] != "/" for line in mounts)


def call(*args):
    subprocess.run([str(a) for a in args], check=True, capture_output=True, timeout=30)


def visible(world):
    """Beside tries that come to nothing, and take their folder away again."""
    return [p for p in files_below(world.videos) if p.suffix == ".mp4"]


def send(world, name):
    ids = [f"{name}-{n}" for n in range(BATCH)]
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()
    return ids


def held(world):
    return b"hold: storage" in fetch(world.workers[0].admin + "/readyz")[1]


def stopped(world):
    """Claims go by what is stored, which comes a moment after the worker says it."""
    return held(world) and world.query("SELECT 1 FROM hold WHERE reason = 'storage'")


def check_home(world, name, ids):
    """All are there, as they were served, and each was bought once."""
    def home():
        # No test waits half a minute for the next probe.
        world.query("UPDATE hold SET next_try_ms = 0 RETURNING 1")
        world.pump(0.5)
        return set(ids) <= set(world.events)
    wait_for(home, 60, f"{name}: every end")
    served = {v["sha256"] for t in world.ledger()["tasks"] for v in t["videos"]}
    faults = []
    for identity in ids:
        event = world.events[identity][0]
        video = (event.value.get("videos") or [{"uri": "", "sha256": ""}])[0]
        if event["status"] != "completed":
            faults.append(f"{identity} {event.value}")
        elif sha256_of(file_of(video["uri"])) != video["sha256"]:
            faults.append(f"{identity}: the file is not what the event says")
        elif video["sha256"] not in served:
            faults.append(f"{identity}: this was not served")
    tap.check(not faults, f"{name}: all come home as they were served", *faults)
    bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]
              if t["request"]["prompt"] in ids]
    tap.equal(sorted(bought), sorted(ids), f"{name}: each is bought once")
    wait_for(lambda: not held(world), 40, f"{name}: no hold is left")


def fill(path, left):
    """A file that leaves so many bytes free."""
    room = os.statvfs(path.parent)
    with open(path, "wb") as file:
        size = room.f_bavail * room.f_frsize - left
        if size > 0:
            os.posix_fallocate(file.fileno(), 0, size // BLOCK * BLOCK)


def full(world, left, video_bytes):
    name = f"full-{left}"
    ballast = world.videos / "ballast"
    room_for = left // video_bytes
    fill(ballast, left)
    ids = send(world, name)
    wait_for(lambda: stopped(world), 30, f"{name}: the hold storage")
    world.pump(0.5)
    served = {v["sha256"] for t in world.ledger()["tasks"] for v in t["videos"]}
    tap.equal([str(p) for p in visible(world) if sha256_of(p) not in served], [],
              f"{name}: what is visible is whole")
    done = [i for i in ids if i in world.events]
    tap.check(len(done) <= room_for, f"{name}: none is told that has no room", done)
    other = f"{name}-meanwhile"
    world.send({"request_id": other, "request": {"prompt": other}})
    world.flush()
    world.pump(1)
    tap.equal([t for t in world.ledger()["tasks"] if t["request"]["prompt"] == other], [],
              f"{name}: nothing is bought that can't be stored")
    ballast.unlink()
    check_home(world, name, ids + [other])


def nearly_full(world):
    """What is paid is stored while there is room; nothing more is bought."""
    ballast = world.videos / "ballast"
    fill(ballast, 20 << 20)
    ids = ["nearly-full", "nearly-full-meanwhile"]
    world.send({"request_id": ids[0], "request": {"prompt": ids[0]}})
    world.flush()
    tap.equal(world.event(ids[0], 30)["status"], "completed",
              "nearly full: what still has room is stored")
    wait_for(lambda: stopped(world), 30, "nearly full: the hold storage")
    world.send({"request_id": ids[1], "request": {"prompt": ids[1]}})
    world.flush()
    world.pump(1)
    tap.equal([t for t in world.ledger()["tasks"] if t["request"]["prompt"] == ids[1]],
              [], "nearly full: nothing more is bought")
    ballast.unlink()
    check_home(world, "nearly full", ids)


def made_read_only(world):
    """Not while a file is open there for writing, as a sweep's is for a moment."""
    try:
        call("mount", "-o", "remount,ro", world.videos)
    except subprocess.CalledProcessError as busy:
        tap.note(busy.stderr)
        return False
    return True


def read_only(world):
    wait_for(lambda: made_read_only(world), 20, "read-only: it is so")
    ids = send(world, "read-only")
    wait_for(lambda: stopped(world), 30, "read-only: the hold storage")
    call("mount", "-o", "remount,rw", world.videos)
    check_home(world, "read-only", ids)


def hung(world):
    """A disk that answers nothing for a while: only the transfers wait for it."""
    ids = send(world, "hung-before")
    world.wait_events(ids, 30)
    call("fsfreeze", "-f", world.videos)
    try:
        ids += send(world, "hung")
        began = time.monotonic()
        slowest = 0
        while time.monotonic() < began + 6:
            asked = time.monotonic()
            fetch(world.workers[0].admin + "/readyz")
            slowest = max(slowest, time.monotonic() - asked)
            world.pump(0.05)
        tap.check(slowest < HELD_UP_S, "hung: the worker answers all the while", slowest)
        longest = world.metric(world.workers[0], "pixverse_loop_longest_turn_seconds")
        tap.check(longest is not None and longest < HELD_UP_S,
                  "hung: the loop is not held up", longest)
        tap.equal([i for i in ids[BATCH:] if i in world.events], [],
                  "hung: nothing is told that is not stored")
    finally:
        call("fsfreeze", "-u", world.videos)
    check_home(world, "hung", ids)


def check_left(world):
    """What a world leaves behind is whole files, and a worker that ends well."""
    tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0",
              world.workers[0].text()[-2000:])
    half = [str(p) for p in files_below(world.videos) if p.suffix != ".mp4"]
    tap.equal(half, [], "no half file is left")


def main():
    own_mounts()
    videos = TMP / "videos"
    videos.mkdir(exist_ok=True)
    call("mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", videos)
    world_of = {"workers": 1, "latency": "0.1..0.3", "sim": ["--schema", "yes"],
                "settings": {"TRANSFERS_MAX": "3"}}
    with World(**world_of) as world:
        world.wait_events(send(world, "first"), 30)
        size = max(p.stat().st_size for p in visible(world))
        tap.note(f"a video has up to {size} bytes")
        for left in (0, BLOCK, size // 2, size - BLOCK, size + size // 2, 3 * size):
            full(world, left, min(p.stat().st_size for p in visible(world)))
        nearly_full(world)
        read_only(world)
        check_left(world)
    call("umount", videos)

    image = TMP / "disk.img"
    with open(image, "wb") as file:
        file.truncate(192 << 20)
    call("mkfs.ext4", "-q", "-m", "0", image)
    call("mount", "-o", "loop", image, videos)
    (videos / "lost+found").rmdir()
    try:
        with World(**world_of) as world:
            hung(world)
            check_left(world)
    finally:
        call("umount", "-l", videos)
        if in_chroot():
            call("umount", "-l", TMP)


tap.run(main)
