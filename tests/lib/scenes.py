"""Scenes that are played side by side, each in a World of its own.

    def lost_reply(world):
        world.send({"request_id": "a", "request": {"prompt": "x"}})
        event = yield until(lambda: came(world, "a"), 30, "an end")
        tap.equal(event["status"], "completed", "it is made")

    scenes.play([Scene(lost_reply, "lost", settings={"SUBMIT_DOUBT": "replay"})])

A scene is a generator: it yields what it waits for, and meanwhile the others go on.
One that fails or waits in vain is one failed check, and the others are still played.
"""

import contextlib
import time
import traceback

import tap
from world import PATIENCE, Database, Late, World, fetch


class Scene:
    """What is played, and the world that it is played in.

    play     a generator function that is given the World
    name     of its world, in letters
    args     more arguments of play
    workers  that are ready when it begins
    world    more arguments of World
    """

    def __init__(self, play, name, *args, workers=1, **world):
        self.play = play
        self.name = name
        self.args = args
        self.worker_count = workers
        self.world_args = world
        self.steps = None
        self.wait = None

    def open(self, stack):
        self.world_args.setdefault("postgres", None)
        if not self.world_args["postgres"]:
            self.world_args["postgres"] = Database(self.name)
        self.world = stack.enter_context(
            World(workers=0, name=self.name, **self.world_args))
        for _ in range(self.worker_count):
            self.world.start_worker(wait=False)
        self.steps = self.begin()

    def begin(self):
        for worker in list(self.world.workers):
            yield ready(worker)
        yield from self.play(self.world, *self.args)

    def go(self, value=None):
        """On to the next wait; false when it is over."""
        try:
            self.wait = self.steps.send(value)
            return True
        except StopIteration:
            return False

    def turn(self):
        """Look whether what it waits for is there; false when it is over."""
        try:
            if self.wait is None:
                return self.go()
            got = self.wait.condition()
            if got:
                return self.go(got)
            if time.monotonic() > self.wait.end:
                raise Late(self.wait.late())
            return True
        except Exception:  # noqa: BLE001  whatever it was, it is shown
            tap.check(False, f"{self.name}: runs to its end", traceback.format_exc())
            return False


class until:  # noqa: N801  reads as a word
    """A wait: condition() is called until it gives something true; missing() tells
    what is not there yet."""

    def __init__(self, condition, limit_s, what, missing=None):
        self.condition = condition
        self.missing = missing
        self.limit_s = limit_s * PATIENCE
        self.what = what
        self.end = time.monotonic() + self.limit_s

    def late(self):
        missing = f"\n{self.missing()}" if self.missing else ""
        return f"{self.what}: not within {self.limit_s} s{missing}"


def ready(worker, limit_s=40):
    """Until the worker's /readyz says so."""
    def is_ready():
        if not worker.alive():
            raise Late(f"{worker.name} ended early:\n{worker.text()[-3000:]}")
        try:
            return fetch(worker.admin + "/readyz")[0] == 200
        except OSError:
            return False
    return until(is_ready, limit_s, f"{worker.name} is ready")


def came(world, *request_ids):
    """The first event of the last of these, once each has one."""
    world.pump(0)
    if all(i in world.events for i in request_ids):
        return world.events[request_ids[-1]][0]
    return None


def passed(seconds):
    """Until that time has passed: where nothing must happen meanwhile."""
    end = time.monotonic() + seconds
    return until(lambda: time.monotonic() >= end, seconds + 5, f"{seconds} s")


def play(scenes):
    """Open every world, play all scenes, close the worlds."""
    with contextlib.ExitStack() as stack:
        for scene in scenes:
            scene.open(stack)
        waiting = list(scenes)
        while waiting:
            waiting = [scene for scene in waiting if scene.turn()]
            time.sleep(0.02)
        for scene in scenes:  # all at once: the worlds' own ends only wait for them
            for worker in scene.world.workers:
                if worker.alive() and not worker.frozen:
                    worker.before_end()
                    worker.process.terminate()
