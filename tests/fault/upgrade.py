#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=1200
"""Two releases on one database: the newer one's migration runs while the older one
works, both work side by side and take over from each other, and a schema that has
been contracted keeps the older one out. Nothing is lost, nothing is bought twice."""

import re
import shutil
import subprocess

import tap
from world import BIN, ROOT, TMP, World, wait_for

BATCH = 120
BUILD_S = 900  # beside other items, on a machine with few cores

# What a release adds: to tables that are read with every turn, too.
EXPAND = """
ALTER TABLE task ADD COLUMN shade text;
ALTER TABLE closed ADD COLUMN shade text;
ALTER TABLE request ADD COLUMN origin text DEFAULT 'kafka';
ALTER TABLE waiting ADD COLUMN weight integer NOT NULL DEFAULT 1;
ALTER TABLE lease ADD COLUMN host text;
ALTER TABLE hold ADD COLUMN who text;
CREATE TABLE extra (id bigint PRIMARY KEY);
UPDATE meta SET number = {number}, program_min = {program};
"""


def newest():
    """The number of this tree's newest migration."""
    return max(int(p.name[:4]) for p in (ROOT / "sql/schema").glob("[0-9]*.sql"))


def program():
    """The number of this tree's program."""
    text = (ROOT / "lib/edge/schema.h").read_text()
    return int(re.search(r"#define PROGRAM_NUMBER (\d+)", text)[1])


def raised(text, name):
    """#define NAME N -> N + 1"""
    return re.sub(rf"(#define {name} )(\d+)",
                  lambda found: found[1] + str(int(found[2]) + 1), text)


def next_release(number):
    """The folder of the worker of a release whose schema has this number."""
    tree = TMP / "tree"
    for name in ("cmd", "lib", "sql"):
        shutil.copytree(ROOT / name, tree / name)
    shutil.copy(ROOT / "CMakeLists.txt", tree)
    (tree / f"sql/schema/{number:04}_expand.sql").write_text(
        EXPAND.format(number=number, program=program()))
    header = tree / "lib/edge/schema.h"
    header.write_text(raised(raised(header.read_text(), "SCHEMA_NUMBER"),
                             "PROGRAM_NUMBER"))
    build = TMP / "build"
    for command in (["cmake", "-S", tree, "-B", build, "-G", "Ninja",
                     "-DCMAKE_BUILD_TYPE=Debug"],
                    ["ninja", "-C", build, "pixverse-worker"]):
        done = subprocess.run([str(c) for c in command], capture_output=True,
                              text=True, timeout=BUILD_S)
        if done.returncode != 0:
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
    return build


def send(world, name):
    ids = [f"{name}-{n}" for n in range(BATCH)]
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()
    return ids


def ended(world, ids):
    return sum(1 for i in ids if i in world.events)


def exit_status(world, folder, command):
    """Of a command of a folder, and what it printed."""
    done = subprocess.run([str(folder / "pixverse-worker"), command],
                          env=world.environment(ADMIN_LISTEN="127.0.0.1:0"),
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def check_all(world, ids):
    world.wait_events(ids, 120)
    world.pump(1)
    tap.equal([i for i in ids if world.events[i][0]["status"] != "completed"], [],
              "all are completed")
    tap.equal([i for i in ids if len({e.raw for e in world.events[i]}) != 1], [],
              "each request has one end")
    bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]]
    tap.equal(sorted(bought), sorted(ids), "each is bought once")


def taken_over(world, dead, ids, text):
    """Once in the middle of the work, one dies; the others end it all."""
    wait_for(lambda: world.pump() or ended(world, ids) >= 10, 60, f"{text}: the first end")
    dead.kill()
    world.wait_events(ids, 90)
    tap.check(True, f"{text}: all end")


def side_by_side(world, new):
    """Migration under load, then old and new beside each other."""
    old = world.workers[:2]
    ids = send(world, "before")
    wait_for(lambda: world.pump() or ended(world, ids) >= 5, 60, "the first end")
    status, text = exit_status(world, new, "run")
    tap.equal(status, 3, "the new release does not run on the old schema", text)
    tap.check("pixverse-worker migrate" in text, "it says what mends that", text)
    status, text = exit_status(world, new, "migrate")
    tap.equal(status, 0, "the new release migrates while the old one works", text)
    world.wait_events(ids, 90)
    # What a statement answers is what it was prepared for, whatever was added.
    ids += (more := send(world, "migrated"))
    world.wait_events(more, 90)
    lost = [line for w in old for line in w.text().splitlines() if "cached plan" in line]
    tap.equal(lost, [], "the old release works on over the same connections")

    young = world.start_worker(folder=new)
    ids += (more := send(world, "old-dies"))
    taken_over(world, old[0], more, "an old one dies")
    ids += (more := send(world, "new-dies"))
    taken_over(world, young, more, "the new one dies")
    again = world.start_worker()
    tap.check(again.alive(), "the old release starts on the new schema")
    world.start_worker(folder=new)
    old[1].stop()
    ids += send(world, "after")
    shown = world.ctl("show", ids[0])
    tap.equal(shown.returncode, 0, "the old release's ctl shows a task", shown.stderr)
    check_all(world, ids)


def main():
    number = newest() + 1
    new = next_release(number)
    with World(workers=2, latency="1..3", sim=["--schema", "yes"],
               settings={"LEASE_MS": "2000", "TASKS_MAX": "150"}) as world:
        side_by_side(world, new)
        for worker in world.workers:
            if worker.alive():
                tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0")
        # What the release after the next does: the columns of the old one go.
        world.query("UPDATE meta SET number = number + 1, program_min = program_min + 1"
                    " RETURNING 1")
        status, text = exit_status(world, BIN, "run")
        tap.equal(status, 3, "on a contracted schema the old release does not run", text)
        tap.check("newer release" in text, "it says what mends that", text)
        tap.equal(exit_status(world, new, "check")[0], 0, "the new one finds it fit")
        young = world.start_worker(folder=new)
        ids = send(world, "contracted")
        world.wait_events(ids, 60)
        tap.equal(young.stop(), 0, "and works on it")


tap.run(main)
