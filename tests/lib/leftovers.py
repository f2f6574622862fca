"""What lies in a storage and is no video."""

import os
import time
from pathlib import Path


def files_below(folder):
    """os.walk passes by what vanishes under it, where rglob would raise."""
    return [Path(at) / name for at, _, names in os.walk(folder) for name in names]


def half_files(folder, is_half=lambda path: path.suffix != ".mp4", limit_s=20):
    """Those that stay. Each half a minute a worker's sweep makes one for a moment, which
    shows it what time it is there, and waits for the disk with it."""
    end = time.monotonic() + limit_s
    left = set(filter(is_half, files_below(folder)))
    while left and time.monotonic() < end:
        time.sleep(0.2)
        left &= set(files_below(folder))
    return sorted(map(str, left))
