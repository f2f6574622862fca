#!/usr/bin/env python3
"""deploy/SETTINGS.md is what the table of settings says, by way of pixverse-worker --help.

tests/deploy/settings.py --write PROGRAM writes it anew."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("TEST_ROOT") or Path(__file__).parents[2])
PAGE = ROOT / "deploy/SETTINGS.md"
HEAD = """# Settings

All come from the environment; `NAME_FILE` names a file to read `NAME` from (for secrets). A wrong one stops the start,
with all faults at once. What each means to the letter is in [CONTRACT](contract/CONTRACT.md#settings-environment-name_file-reads-any-of-them-from-a-file-pixverse-worker---help-prints-them-all).

<!-- made of the table in lib/base/settings.h: tests/deploy/settings.py --write build/release/pixverse-worker -->

| name | default | allowed | |
|---|---|---|---|
"""


def settings(program):
    """(name, help, default, allowed) of each that --help lists."""
    text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    found = []
    for line in text.partition("\nSettings (")[2].splitlines()[1:]:
        name = re.match(r"  ([A-Z][A-Z0-9_*]+) +(\S.*)", line)
        default = re.match(r" +default: (.*?)(?:, allowed: (.*))?$", line)
        if name:
            found.append([name[1], name[2], "", ""])
        elif default:
            found[-1][2:] = [default[1], default[2] or ""]
        elif line.strip():
            found[-1][1] += " " + line.strip()
    return found


def cell(text):
    text = text.replace("|", " · ")
    return text if text in ("", "empty", "none, required") else f"`{text}`"


def page(program):
    rows = [f"| `{name}` | {cell(default)} | {cell(allowed)} | {words.replace('|', chr(92) + '|')} |"
            for name, words, default, allowed in settings(program)]
    return HEAD + "\n".join(rows) + "\n"


def main():
    found = settings(BIN / "pixverse-worker")
    names = re.findall(r'\bX\(\w+,(?:[^"]*?)"([A-Z][A-Z0-9_]+)"',
                       (ROOT / "lib/base/settings.h").read_text())
    tap.equal(sorted(name for name, *_ in found if name != "KAFKA_CONF_*"), sorted(names),
              "--help has every setting of the table")
    tap.equal(PAGE.read_text(), page(BIN / "pixverse-worker"),
              "deploy/SETTINGS.md is what the table says", "tests/deploy/settings.py --write")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        PAGE.write_text(page(sys.argv[2]))
    else:
        import tap
        from world import BIN
        tap.run(main)
