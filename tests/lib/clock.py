"""Clocks that are wrong, or jump on, for the processes that are started with
Clock().environment() (tests/lib/jump_clock.c); and the day's end."""

import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from record import RECORD
from world import ROOT


def clear_of_midnight(seconds):
    """Where days are counted, in UTC: what takes so long begins and ends in one."""
    left = 86400 - time.time() % 86400
    if left < seconds:
        time.sleep(left + 1)


class Clock:
    """The shim, built, and how far the clocks are ahead. Where PostgreSQL's user can
    read it, too."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="pixverse-clock-"))
        self.folder.chmod(0o755)
        self.shim = self.folder / "jump_clock.so"
        self.file = self.folder / "ahead"
        self.ahead_s = 0
        self.jump(0)
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.shim,
                        ROOT / "tests/lib/jump_clock.c", "-ldl"], check=True)

    def jump(self, seconds):
        self.ahead_s += seconds
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("=q", self.ahead_s * 1000000000))
        if seconds:
            RECORD.injected("a clock jumps")

    def environment(self):
        return {"LD_PRELOAD": str(self.shim), "CLOCK_JUMP": str(self.file)}

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
