#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=600
"""The programs of deploy/contract/snippets, each in its language, against a worker:
they send, hear, know a repeated event again, and send nothing that breaks its schema."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import languages
import tap
from world import ROOT, World, wait_for

SNIPPETS = ROOT / "deploy/contract/snippets"
TMP = Path(os.environ["TEST_TMP"])
LANGUAGES = ("python", "node", "go", "java")


def command_of(language):
    """(words of the command, its folder, environment), all that it needs in place."""
    source = SNIPPETS / language
    if language == "python":  # the tests' own Python has both packages
        return [sys.executable, source / "pixverse.py"], TMP, dict(os.environ)
    if language == "node":
        folder, env = languages.node_modules("snippet", source / "package.json")
        shutil.copy(source / "pixverse.mjs", folder)
        return ["node", folder / "pixverse.mjs"], folder, env
    if language == "go":
        return [languages.go_program("snippet", source)], TMP, dict(os.environ)
    return languages.java_program("snippet", source, "Pixverse.java"), TMP, dict(os.environ)


class Snippet:
    def __init__(self, world, language):
        self.world, self.language = world, language
        self.words, self.folder, env = command_of(language)
        self.env = {**env, **{k: v for k, v in world.environment().items()
                              if k.startswith("KAFKA_")},
                    "CONTRACT": str(ROOT / "deploy/contract")}
        self.seen = TMP / f"seen.{language}"
        self.ids = [f"{language}.first", f"{language}.second"]
        self.groups = 0

    def run(self, *words, status=0):
        done = subprocess.run([*map(str, self.words), *map(str, words)], env=self.env,
                              cwd=self.folder, capture_output=True, text=True, timeout=180,
                              check=False)
        tap.equal(done.returncode == 0, status == 0, f"{self.language}: {words[0]} ends so",
                  done.stdout[-500:] + done.stderr[-1500:])
        return done

    def send(self, name, **more):
        request = {"request_id": name, "request": {"prompt": f"a {self.language}", **more}}
        path = TMP / f"{name}.json"
        path.write_text(json.dumps(request))
        return path

    def hear(self, *ids):
        """What it prints, as (ce_id, request id, status)."""
        self.groups += 1
        self.env["KAFKA_GROUP"] = f"{self.world.prefix}{self.language}{self.groups}"
        out = self.run("hear", *ids, "--seen", self.seen).stdout
        return [tuple(line.split()) for line in out.splitlines()]


def check(world, snippet):
    language = snippet.language
    first, second = snippet.ids
    bad = snippet.run("send", snippet.send(f"{language}.bad", duration=99), status=1)
    tap.check("duration" in bad.stdout + bad.stderr,
              f"{language}: what breaks the schema is not sent, and named", bad.stderr[-500:])
    snippet.run("send", snippet.send(first))
    world.sent_ids.update(snippet.ids)
    world.event(first)
    # It is told once more only when it is known to have been told.
    wait_for(lambda: not world.query("SELECT 1 FROM task"), 30, f"{language}: it is closed")
    world.ctl("announce", first, "--yes", check=True)  # a repeated delivery
    snippet.run("send", snippet.send(second))
    wait_for(lambda: world.pump() or {first, second} <= set(world.accepted)
             and second in world.events, 60, f"{language}: all is told")
    told = [line for line in snippet.hear(second) if line[1] in snippet.ids]
    # It hears until the second's end. What is told accepted behind that is heard by those
    # that get it in one batch with the end, and by none other.
    end = world.events[second][0].offset
    every = {(e.headers["ce_id"], e.key, e["status"]): e.offset <= end
             for kind in (world.accepted, world.events) for i in snippet.ids
             for e in kind[i][:1]}
    behind = [line for line, before in every.items() if not before]
    tap.equal(sorted(line for line in told if line not in behind),
              sorted(line for line, before in every.items() if before),
              f"{language}: each event is heard once")
    again = [line for line in snippet.hear(first, second) if line[1] in snippet.ids
             and (line in told or line not in behind)]
    tap.equal(again, [], f"{language}: what was heard is known, read from the start again")
    tap.check(len(world.events[first]) > 1, f"{language}: it was told twice",
              len(world.events[first]))


def main():
    # One partition: what is told of the first stands before what is of the second.
    with World(settings={"ACCEPTED_EVENTS": "1"}, partitions=1) as world, \
            ThreadPoolExecutor(len(LANGUAGES)) as pool:
        # What each needs is fetched and built beside the others.
        for coming in [pool.submit(Snippet, world, language) for language in LANGUAGES]:
            check(world, coming.result())
        tap.check(not [i for i in {*world.events, *world.accepted} if i.endswith(".bad")],
                  "nothing that breaks the schema has come in")


tap.run(main)
