#!/usr/bin/env python3
"""The C files are as .clang-format wants them, whatever formatter the machine has: the
tests bring their own. Headings stand on one line: /* ---- QUEUED ---- */."""

import os
import re
import subprocess
import sys
from pathlib import Path

import tap

ROOT = Path(os.environ["TEST_ROOT"])
FORMATTER = Path(sys.executable).parent / "clang-format"
HEADING = re.compile(r"^/\* ?-{2,}.*", re.MULTILINE)
RIGHT = re.compile(r"^/\* ---- \S.*\S ---- \*/$|^/\* ---- \S ---- \*/$")


def files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
         "*.c", "*.h"], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({name for name in listed.stdout.split() if (ROOT / name).is_file()})


def main():
    names = files()
    done = subprocess.run([FORMATTER, "--dry-run", "-Werror", *names], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    odd = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error", done.stderr, re.MULTILINE)))
    tap.equal(odd, [], "every C file is formatted (clang-format -i FILE, version 14)")
    tap.check(len(names) > 300, f"and {len(names)} were looked at")
    headings = [f"{name}: {line}" for name in names
                for line in HEADING.findall((ROOT / name).read_text(errors="replace"))
                if not RIGHT.match(line)]
    tap.equal(headings, [], "headings stand on one line")


tap.run(main)
