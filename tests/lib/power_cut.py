#!/usr/bin/env python3
"""A disk whose power is cut: every write and every flush of it is kept in order.

    power_cut.py FOLDER ext4|bare|xfs CUTS SEED

Makes that file system on the disk (bare: an ext4 without a journal), mounts it as FOLDER/there,
prints "ready" and waits. What is written to FOLDER/disk/mark stands in the same order:
"begins NAME SHA256" and "durable NAME". When the standard input ends, the power is cut CUTS times,
at places that SEED draws: a new disk has all that was flushed by then, and of what wasn't, nothing,
all or some. It is mounted, which replays the journal, and judged: what was said to be durable is
there, and what has a name is whole. A line a fault, then "N cuts, N names, N faults".

The disk is a file of a FUSE of our own, below a loop device; as root, in a namespace of mounts that
ends with whoever began it."""

import ctypes
import errno
import hashlib
import os
import random
import stat
import struct
import subprocess
import sys
import threading
from pathlib import Path

PAGE = 4096
MAX_WRITE = 1 << 20
MIB = 1 << 20
BYTES = {"ext4": 96 * MIB, "bare": 96 * MIB, "xfs": 320 * MIB}
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-J", "size=4"],
        "bare": ["mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-O", "^has_journal"],
        "xfs": ["mkfs.xfs", "-q", "-f", "-K"]}
# Names reach the journal's disk while bytes are still on their way, if they may.
OPTIONS = {"ext4": "loop,commit=1", "bare": "loop", "xfs": "loop"}
OWN = {".incoming", ".probes", "lost+found"}
ROOT, DISK, MARK = 1, 2, 3
(LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR,
 READDIR, RELEASEDIR, FSYNCDIR, INTERRUPT, DESTROY, BATCH_FORGET) = (
     1, 2, 3, 4, 14, 15, 16, 17, 18, 20, 25, 26, 27, 28, 29, 30, 36, 38, 42)
UNANSWERED = {FORGET, INTERRUPT, BATCH_FORGET}
libc = ctypes.CDLL(None, use_errno=True)


class Image:
    """A sparse disk."""

    def __init__(self, pages=None):
        self.pages = dict(pages or {})

    def read(self, at, size):
        out = bytearray()
        while len(out) < size:
            n, off = divmod(at + len(out), PAGE)
            out += self.pages.get(n, bytes(PAGE))[off:off + size - len(out)]
        return bytes(out)

    def write(self, at, data):
        done = 0
        while done < len(data):
            n, off = divmod(at + done, PAGE)
            piece = data[done:done + PAGE - off]
            if len(piece) < PAGE:
                page = bytearray(self.pages.get(n, bytes(PAGE)))
                page[off:off + len(piece)] = piece
                piece = bytes(page)
                self.pages[n] = piece
                done += PAGE - off
                continue
            self.pages[n] = bytes(piece)
            done += PAGE


class Disk:
    """The FUSE: one file is the disk, others are what a cut left of it."""

    def __init__(self, folder, size):
        self.folder, self.size = folder, size
        self.images = {DISK: Image()}
        self.log = []  # ("write", at, bytes), ("flush",), ("mark", text)
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40755,user_id=0,group_id=0"
        if libc.mount(b"power_cut", str(folder).encode(), b"fuse.power_cut", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "can't mount a FUSE: this test needs to be root")
        threading.Thread(target=self.serve, daemon=True).start()

    def attributes(self, node):
        mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o644
        size = self.size if node in self.images else 0
        return struct.pack("=6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0,
                           PAGE, 0)

    def node_of(self, name):
        nodes = {"disk": DISK, "mark": MARK}
        node = nodes.get(name) or (int(name[3:]) if name.startswith("cut") else 0)
        return node if node in self.images or node == MARK else 0

    def one(self, op, node, body):
        """An answer's bytes, or an errno."""
        if op == INIT:
            flags = 1 << 5 | 1 << 22  # big writes, and how many pages they may have
            return struct.pack("=4I2H2I2H8I", 7, 31, MAX_WRITE, flags, 16, 12, MAX_WRITE, 1,
                               MAX_WRITE // PAGE, 0, *[0] * 8)
        if op == LOOKUP:
            found = self.node_of(body.rstrip(b"\0").decode())
            if not found:
                return errno.ENOENT
            return struct.pack("=4Q2I", found, 0, 60, 60, 0, 0) + self.attributes(found)
        if op in (GETATTR, SETATTR):
            return struct.pack("=Q2I", 60, 0, 0) + self.attributes(node)
        if op in (OPEN, OPENDIR):
            return struct.pack("=Q2I", 0, 0, 0)
        if op == READ:
            at, size = struct.unpack_from("=QI", body, 8)
            size = max(0, min(size, self.size - at))
            return self.images[node].read(at, size) if node in self.images else b""
        if op == WRITE:
            at, size = struct.unpack_from("=QI", body, 8)
            data = body[40:40 + size]
            if node == MARK:
                self.log.append(("mark", data.decode()))
            else:
                self.images[node].write(at, data)
            if node == DISK:
                self.log.append(("write", at, data))
            return struct.pack("=2I", size, 0)
        if op == STATFS:
            return struct.pack("=5Q10I", 1 << 20, 1 << 20, 1 << 20, 1000, 1000, PAGE, 255, PAGE,
                               *[0] * 7)
        if op == FSYNC and node == DISK:
            self.log.append(("flush",))
        if op in (FSYNC, FLUSH, RELEASE, RELEASEDIR, FSYNCDIR, READDIR, DESTROY):
            return b""
        return errno.ENOSYS

    def serve(self):
        while True:
            try:
                message = os.read(self.fd, MAX_WRITE + PAGE)
            except OSError as why:
                if why.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return  # unmounted
            _, op, unique, node = struct.unpack_from("=2I2Q", message)
            answer = self.one(op, node, message[40:])
            if op in UNANSWERED:
                continue
            code, answer = (-answer, b"") if isinstance(answer, int) else (0, answer)
            try:
                os.write(self.fd, struct.pack("=IiQ", 16 + len(answer), code, unique) + answer)
            except OSError as why:
                if why.errno != errno.ENOENT:  # nobody waits for it any more
                    raise


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout.strip()}")


class Judge:
    def __init__(self, disk, kind, there, base):
        self.disk, self.kind, self.there = disk, kind, there
        self.log = list(disk.log)
        self.kept, self.kept_to = Image(base), 0
        self.sums = {}
        for entry in self.log:
            words = entry[1].split() if entry[0] == "mark" else [""]
            if words[0] == "begins":
                self.sums[words[1]] = words[2]
        self.cuts = self.names = 0
        self.faults = []

    def places(self, count, draw):
        """Behind every word that something is durable, and anywhere else."""
        said = [i + 1 for i, entry in enumerate(self.log)
                if entry[0] == "mark" and entry[1].startswith("durable")]
        most = min(len(said), count // 2)
        return sorted(draw.sample(said, most) +
                      [draw.randrange(len(self.log) + 1) for _ in range(count - most)])

    def cut(self, at, draw):
        flushed = max((i for i in range(self.kept_to, at) if self.log[i][0] == "flush"),
                      default=self.kept_to)
        for entry in self.log[self.kept_to:flushed]:
            if entry[0] == "write":
                self.kept.write(*entry[1:])
        self.kept_to = flushed
        chance = draw.choice((0, 0, 0.5, 0.9, 1))
        image = Image(self.kept.pages)
        for entry in self.log[flushed:at]:
            if entry[0] == "write" and draw.random() < chance:
                image.write(*entry[1:])
        self.cuts += 1
        node = 10 + self.cuts
        self.disk.images[node] = image
        try:
            run("mount", "-t", "xfs" if self.kind == "xfs" else "ext4", "-o", "loop",
                self.disk.folder / f"cut{node}", self.there)
        except RuntimeError as why:
            self.faults.append(f"cut at {at}: {why}")
            return
        try:
            self.judge(at)
        finally:
            run("umount", self.there)
            del self.disk.images[node]

    def judge(self, at):
        durable = {entry[1].split()[1] for entry in self.log[:at]
                   if entry[0] == "mark" and entry[1].startswith("durable")}
        found = set()
        for path in self.there.rglob("*"):
            name = str(path.relative_to(self.there))
            if path.is_file() and not OWN & set(path.parts):
                found.add(name)
                if hashlib.sha256(path.read_bytes()).hexdigest() != self.sums.get(name):
                    self.faults.append(f"cut at {at}: {name} is torn, {path.stat().st_size} bytes")
        self.names += len(found)
        for name in sorted(durable - found):
            self.faults.append(f"cut at {at}: {name} was durable and is gone")


def main(folder, kind, count, seed):
    os.nice(-5) if os.geteuid() == 0 else None  # who waits for the disk waits for us
    folder = Path(folder)
    there, files = folder / "there", folder / "disk"
    there.mkdir()
    files.mkdir()
    disk = Disk(files, BYTES[kind])
    run(*MAKE[kind], files / "disk")
    base = dict(disk.images[DISK].pages)
    disk.log.clear()
    run("mount", "-t", "xfs" if kind == "xfs" else "ext4", "-o", OPTIONS[kind], files / "disk", there)
    print("ready", flush=True)
    sys.stdin.read()
    run("umount", there)
    draw = random.Random(int(seed))
    judge = Judge(disk, kind, there, base)
    for at in judge.places(int(count), draw):
        judge.cut(at, draw)
    run("umount", "-l", files)  # whoever looks at new loop devices may hold the last one still
    for fault in judge.faults:
        print(fault)
    print(f"{judge.cuts} cuts, {judge.names} names, {len(judge.faults)} faults", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
