#!/usr/bin/env python3
"""No circles: a source, with its header, stands on the files whose headers it includes and
on those whose functions it names; none of them stands on it. A header that declares the
functions of several sources hides a circle from a look at includes alone."""

import os
import re
from pathlib import Path

import tap

ROOT = Path(os.environ["TEST_ROOT"])
NOT_CODE = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)
INCLUDE = re.compile(r'^ *# *include "([^"]+)"', re.MULTILINE)
TAG = re.compile(r"\b(struct|enum|union)\s+\w+")
# A definition begins in the first column, and so does the brace of its body.
DEFINITION = re.compile(r"^(?!static\b|typedef\b|#)[A-Za-z_][^;{}=#]*?\b(\w+)\([^;{}]*\)\s*\n\{", re.MULTILINE)
STATIC = re.compile(r"^static\b[^;{}=#]*?\b(\w+)\(", re.MULTILINE)
# Called, or handed on under a name of two words; no field of that name.
NAMED = re.compile(r"(?<![\w.>])([A-Za-z]\w*)(?=\()|(?<![\w.>])([a-z0-9]+_\w+)\b")


def unit(path):
    return path.relative_to(ROOT).with_suffix("").as_posix()


def arrows(folders):
    """What each unit stands on, and by which names: {unit: {unit: {name}}}."""
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.[ch]"))]
    texts = {file: file.read_text() for file in files}
    code = {file: TAG.sub(" ", NOT_CODE.sub(" ", text)) for file, text in texts.items()}
    defined = {}
    for file in files:
        for name in DEFINITION.findall(code[file]):
            defined.setdefault(name, set()).add(unit(file))
    found = {unit(file): {} for file in files}
    for file in files:
        here = unit(file)
        for path in INCLUDE.findall(texts[file]):
            for at in (ROOT / "lib" / path, ROOT / path, file.parent / path):
                if at in texts:
                    found[here].setdefault(unit(at), set()).add(path)
        own = set(STATIC.findall(code[file]))
        for name in {a or b for a, b in NAMED.findall(code[file])} - own if file.suffix == ".c" else ():
            for to in defined.get(name, ()):
                # Of two programs' functions of one name only its own can be meant.
                if len(defined[name]) == 1 or to.rpartition("/")[0] == here.rpartition("/")[0]:
                    found[here].setdefault(to, set()).add(name)
        found[here].pop(here, None)
    return found


def circles(found):
    """The units that reach themselves, in sets that reach each other (Tarjan)."""
    seen, low, line, out = {}, {}, [], []

    def visit(at):
        seen[at] = low[at] = len(seen)
        line.append(at)
        for to in found[at]:
            if to not in seen:
                visit(to)
                low[at] = min(low[at], low[to])
            elif to in line:
                low[at] = min(low[at], seen[to])
        if low[at] == seen[at]:
            circle = line[line.index(at):]
            del line[line.index(at):]
            if len(circle) > 1:
                out.append(sorted(circle))

    for at in sorted(found):
        if at not in seen:
            visit(at)
    return out


def in_words(found, circle):
    """Each arrow of a circle, with the names that it carries."""
    return [f"{at} -> {to}: {', '.join(sorted(found[at][to]))}"
            for at in circle for to in circle if to in found[at]]


def main():
    found = arrows(["lib", "cmd"])
    tap.check(len(found) > 250 and sum(map(len, found.values())) > 1000,
              f"{len(found)} files were looked at")
    for circle in circles(found):
        tap.check(False, "no circle: " + ", ".join(circle), *in_words(found, circle))
    tap.equal(len(circles(found)), 0, "no file stands on one that stands on it")
    known = {"a": {"b": {"x"}}, "b": {"c": {"y"}}, "c": {"b": {"z"}}, "d": {"a": {"w"}}}
    tap.equal(circles(known), [["b", "c"]], "a circle would be found")


tap.run(main)
