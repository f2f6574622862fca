"""Guards of ours are taken away in a copy of the sources, one at a time, and a test
has to notice: tests/fault/mutants.py has the table.

The copy is below build/mutants, and built there: only what a mutant changes is
compiled again. tests/fault/caught says which test has caught a mutant before: that
one alone is run first, and the whole program only where it doesn't catch it (any
more)."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tap

ROOT = Path(os.environ.get("TEST_ROOT", Path(__file__).parents[2]))
HOME = ROOT / "build" / "mutants"
TREE = HOME / "tree"
BUILD = HOME / "build"
CAUGHT = ROOT / "tests/fault/caught"
LIMIT_S = 60  # a test that hangs has noticed, too
HANGS_S = 15  # one test alone: that, or ten times as long as it takes unchanged
WHOLE_S = 300  # unchanged, on a busy machine


def copy_tree():
    """Bring the copy up to date; files that are the same keep their times."""
    wanted = set()
    for folder in ("lib", "sql", "tests", "cmd"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in (".c", ".h", ".sql", ".mp4", ".mov",
                                                  ".cmake", ".json",
                                                  ".jsonl"):
                wanted.add(path.relative_to(ROOT))
    wanted.add(Path("CMakeLists.txt"))
    wanted.add(Path("tests/CMakeLists.txt"))
    for name in wanted:
        source, target = ROOT / name, TREE / name
        text = source.read_bytes()
        if not target.is_file() or target.read_bytes() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)
    for path in list(TREE.rglob("*")):
        if path.is_file() and path.relative_to(TREE) not in wanted:
            path.unlink()


def target_of(program):
    part, name = program.split("/")
    return f"{part}_test_{name}"


def build(programs):
    """None: all is built; else what the compiler said."""
    done = subprocess.run(
        ["ninja", "-C", BUILD, *map(target_of, programs)],
        capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout[-2000:]


def fails(program, test=None, limit_s=LIMIT_S):
    """None: it passes; else which test failed first, "" if it is not known."""
    part, name = program.split("/")
    # A new one each time: what a test that was ended has left may still write into its.
    where = Path(tempfile.mkdtemp(prefix="work-", dir=os.environ.get("TEST_TMP", HOME)))
    where.chmod(0o755)
    more = {"TESTS_ONLY": test} if test else {"UNTIL_FAILED": "yes"}
    try:
        done = subprocess.run(
            [BUILD / "tests" / part / f"test_{name}"], cwd=TREE,
            env=os.environ | more | {"SEEDS": "100", "TEST_TMP": str(where),
                                     "CMOCKA_MESSAGE_OUTPUT": "TAP"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, timeout=limit_s, check=False)
        said = done.stderr
        if done.returncode == 0:
            return None
    except subprocess.TimeoutExpired as end:
        said = end.stderr or b""
    finally:
        shutil.rmtree(where, ignore_errors=True)
    names = re.findall(rb"^running (.*)$", said, re.MULTILINE)
    return names[-1].decode() if names else ""


class Caught:
    """Which test caught which mutant the last time it was noted."""

    def __init__(self):
        lines = CAUGHT.read_text().splitlines() if CAUGHT.is_file() else []
        self.by = {mutant: (program, test) for mutant, program, test
                   in (line.split("\t") for line in lines)}

    def of(self, mutant):
        program, test = self.by.get(mutant[0], (None, None))
        return (program, test) if program in mutant[4] else None

    def note(self, mutant, program, test):
        self.by.pop(mutant[0], None)
        if test:
            self.by[mutant[0]] = (program, test)

    def write(self, names):
        CAUGHT.write_text("".join(
            "\t".join((name, *self.by[name])) + "\n" for name in names if name in self.by))


def changed(mutant, programs):
    """Whether the copy has the mutant in it and these of its programs are built."""
    name, file, before, after, _ = mutant
    path = TREE / file
    text = path.read_text()
    if not tap.check(text.count(before) == 1, f"{name}: its place is there",
                     f"{text.count(before)} times in {file}: {before}"):
        return False
    path.write_text(text.replace(before, after))
    said = build(programs)
    return not said or tap.check(False, f"{name}: builds", said)


def restore(mutant):
    """The next one is often of the same file, which is then compiled once."""
    (TREE / mutant[1]).write_bytes((ROOT / mutant[1]).read_bytes())


def by_one_test(mutants, caught):
    """Tries each that a test caught before; those that are left. A test that does not
    pass by itself says nothing: its program, whole, has to."""
    limits = {}
    hints = {caught.of(one) for one in mutants if caught.of(one)}
    for hint in hints:
        began = time.monotonic()
        if fails(*hint) is None:
            limits[hint] = max(HANGS_S, 10 * (time.monotonic() - began))
    tap.note(f"{len(limits)} of {len(hints)} tests that caught a mutant pass unchanged")
    left = []
    for mutant in mutants:
        hint = caught.of(mutant)
        if hint not in limits:
            left.append(mutant)
            continue
        if changed(mutant, [hint[0]]):
            if fails(*hint, limits[hint]) is None:
                tap.note(f"{mutant[0]}: is not caught by {' '.join(hint)}")
                left.append(mutant)
            else:
                tap.check(True, f"{mutant[0]}: is caught by {' '.join(hint)}")
        restore(mutant)
    return left


def by_programs(mutants, caught):
    """Tries each against its programs, whole."""
    if not mutants:
        return
    programs = sorted({program for one in mutants for program in one[4]})
    said = build(programs)
    if not tap.check(not said, "the sources as they are build", said):
        return
    sound = [program for program in programs
             if tap.check(fails(program, None, WHOLE_S) is None, f"unchanged, {program} passes")]
    for mutant in mutants if sound == programs else ():
        if changed(mutant, mutant[4]):
            ends = ((program, fails(program)) for program in mutant[4])
            program, test = next((end for end in ends if end[1] is not None),
                                 (None, None))
            tap.check(program, f"{mutant[0]}: is caught by {program or mutant[4]}")
            caught.note(mutant, program, test)
        restore(mutant)


def main(table):
    words = [word for word in sys.argv[1:] if word != "--note"]
    noting = "--note" in sys.argv[1:]
    mutants = [one for one in table
               if not words or any(word in one[0] or word in one[1] for word in words)]
    mutants.sort(key=lambda one: one[1])
    HOME.mkdir(parents=True, exist_ok=True)
    lock = open(HOME / "lock", "w", encoding="ascii")
    fcntl.flock(lock, fcntl.LOCK_EX)
    copy_tree()
    subprocess.run(
        ["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-DTESTS=ON",
         "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0"], check=True,
        stdout=subprocess.DEVNULL)
    programs = sorted({program for one in mutants for program in one[4]})
    said = build(programs)
    if not tap.check(not said, "the sources as they are build", said):
        return
    caught = Caught()
    left = mutants if noting else by_one_test(mutants, caught)
    by_programs(left, caught)
    if noting:
        caught.write([one[0] for one in table])
