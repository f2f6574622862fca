"""What a transfer costs: the memory of a hundred at once, and CPU beside a pipeline
of curl and sha256sum that does the same."""

import ctypes
import hashlib
import hmac
import json
import os
import re
import resource
import statistics
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlencode, urlparse

from measure import Pinned, cpu_s
from world import Late, fetch, file_of, wait_for

BUCKET = os.environ["TEST_S3_BUCKET"]
FOLDER = Path(os.environ["TEST_S3_FOLDER"]) / BUCKET
CA = os.environ["TEST_S3_CA"]
ENDPOINT = {"http": os.environ["TEST_S3_ENDPOINT"],
            "https": os.environ["TEST_S3_TLS_ENDPOINT"]}

MEMORY_MAX_MB = 160
AT_ONCE = 100
KEY_TEMPLATE = "{request_id}/{index}.mp4"


def store(scheme, **query):
    """Environment of a worker whose videos go into the bucket."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    if scheme == "https":
        more += f"&ca={CA}"
    return {"STORAGE_URL": f"s3://{BUCKET}?endpoint={ENDPOINT[scheme]}{more}",
            "AWS_ACCESS_KEY_ID": os.environ["TEST_S3_KEY"],
            "AWS_SECRET_ACCESS_KEY": os.environ["TEST_S3_SECRET"],
            "KEY_TEMPLATE": KEY_TEMPLATE}


def place(event):
    """Where the bytes of an event's video are: the server's buckets are folders."""
    uri = event["videos"][0]["uri"]
    return file_of(uri) if uri.startswith("file:") else FOLDER / uri.split("/", 3)[3]


def status_mb(pid, field):
    """A line in kB of /proc/PID/status, in MB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1]) / 1024


class Eater(threading.Thread):
    """Takes the events, looks whether each video is as long as it should be, and
    removes it: the disk never holds them all."""

    def __init__(self, w, wanted, bytes_each):
        super().__init__(daemon=True)
        self.w, self.wanted, self.bytes_each = w, wanted, bytes_each
        self.hashes, self.faults = {}, []
        self.start()

    def run(self):
        while len(self.hashes) < self.wanted:
            self.w.pump(0.1)
            for name, events in list(self.w.events.items()):
                if name not in self.hashes:
                    self.eat(name, events[0])

    def eat(self, name, event):
        self.hashes[name] = None
        if event["status"] != "completed":
            self.faults.append(f"{name}: {event.value}")
            return
        path = place(event)
        if path.stat().st_size != self.bytes_each:
            self.faults.append(f"{name}: {path.stat().st_size} bytes")
        self.hashes[name] = event["videos"][0]["sha256"]
        path.unlink()


def send(w, prefix, n):
    for i in range(n):
        w.send({"request_id": f"{prefix}-{i}", "request": {"prompt": f"{prefix}-{i}"}})
    w.flush()


# --- a hundred at once -------------------------------------------------------


def memory(table, into, settings, megabytes):
    size = megabytes * 1000000
    settings = {**settings, "TRANSFERS_MAX": str(AT_ONCE), "SUBMITS_MAX": "100"}
    with Pinned("memory", latency="1..1", sim=("--video-bytes", str(size)),
                settings=settings) as w:
        worker = w.start_pinned()
        idle_mb = status_mb(worker.pid, "VmHWM")
        began, cpu = time.monotonic(), cpu_s(worker.pid)
        eater = Eater(w, AT_ONCE, size)
        send(w, "m", AT_ONCE)
        most = 0

        def over():
            nonlocal most
            time.sleep(0.2)
            most = max(most, under_way(worker.pid, w.sim_url))
            return not eater.is_alive()
        wait_for(over, 600, f"{AT_ONCE} videos")
        seconds, cpu = time.monotonic() - began, cpu_s(worker.pid) - cpu
        peak_mb = status_mb(worker.pid, "VmHWM")
        if eater.faults:
            raise Late("; ".join(eater.faults)[:500])
        what = f"{AT_ONCE} x {megabytes} MB at once into {into}: "
        gigabytes = AT_ONCE * size / 1e9
        table.add("storage", what + "peak memory", peak_mb, f"{peak_mb:.0f} MB",
                  f"<= {MEMORY_MAX_MB} MB", peak_mb <= MEMORY_MAX_MB)
        table.add("storage", what + "memory before", idle_mb, f"{idle_mb:.0f} MB")
        table.add("storage", what + "connections to the provider", most, f"{most}")
        table.add("storage", what + "MB/s", gigabytes / seconds * 1e3,
                  f"{gigabytes / seconds * 1e3:,.0f}")
        table.add("storage", what + "CPU a GB", cpu / gigabytes,
                  f"{cpu / gigabytes:.2f} s")


def under_way(pid, sim_url):
    """Connections between a process and the simulator, idle ones too."""
    port = f"{urlparse(sim_url).port:04X}"
    mine = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            mine.add(os.readlink(entry.path))
        except OSError:
            continue
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if (f := line.split())[2].endswith(":" + port)
               and f"socket:[{f[9]}]" in mine)


# --- beside curl and sha256sum -----------------------------------------------


def presigned(scheme, key):
    """A URL to which a stranger may PUT: SigV4 in the query, unsigned payload."""
    endpoint = urlparse(ENDPOINT[scheme])
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    path = quote(f"/{BUCKET}/{key}")
    query = urlencode(sorted({
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{os.environ['TEST_S3_KEY']}/{scope}",
        "X-Amz-Date": now, "X-Amz-Expires": "3600",
        "X-Amz-SignedHeaders": "host"}.items()), quote_via=quote, safe="")
    asked = f"PUT\n{path}\n{query}\nhost:{endpoint.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n" + hashlib.sha256(
        asked.encode()).hexdigest()
    sign = ("AWS4" + os.environ["TEST_S3_SECRET"]).encode()
    for part in (*scope.split("/"), text):
        sign = hmac.digest(sign, part.encode(), "sha256")
    return (f"{endpoint.scheme}://{endpoint.netloc}{path}?{query}"
            f"&X-Amz-Signature={sign.hex()}")


SHA256SUM, OPENSSL = "sha256sum", "openssl dgst -sha256 -r"
PIPELINE = r"""curl -sf "$1" | tee >($6 >"$4") |
    curl -sf --cacert "$5" -T - -H "Content-Length: $3" -H 'Transfer-Encoding:' \
    -H 'Expect:' "$2" """
PR_SET_CHILD_SUBREAPER = 36


def pipeline(source, target, length, sums, hasher):
    """CPU of all its processes, those too that bash does not wait for."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            os.sched_setaffinity(0, {0})
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
            good = subprocess.run(["bash", "-o", "pipefail", "-c", PIPELINE, "p", source,
                                   target, str(length), sums, CA, hasher]
                                  ).returncode == 0
            try:
                while True:
                    os.wait()
            except ChildProcessError:
                pass
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            os.write(writing, str(used.ru_utime + used.ru_stime).encode())
        finally:
            os._exit(0 if good else 1)
    os.close(writing)
    with os.fdopen(reading) as file:
        used = file.read()
    if os.waitpid(pid, 0)[1]:
        raise Late("the pipeline of curl failed")
    return float(used)


class Beside:
    """One way to store, with a worker and a world of its own.

    each    CPU a GB of the worker, one number a round
    curl    the same of the pipeline, by what it hashes with; empty: none is run
    """

    def __init__(self, name, settings, scheme=None, hashers=()):
        self.name, self.scheme, self.rounds = name, scheme, 0
        self.each, self.curl = [], {hasher: [] for hasher in hashers}
        self.settings = {**settings, "TRANSFERS_MAX": "1",
                         "POLL_INTERVAL_MS": "1000"}

    def begin(self, index, size):
        self.size = size
        self.world = Pinned(f"beside{index}", latency="0.1..0.1",
                            sim=("--video-bytes", str(size)), settings=self.settings)
        self.world.__enter__()
        self.worker = self.world.start_pinned()

    def end(self):
        self.world.__exit__(None, None, None)

    def round(self, n, sums):
        """The worker moves n videos, then the pipeline the same ones."""
        self.rounds += 1
        prefix, w = f"r{self.rounds}", self.world
        began = cpu_s(self.worker.pid)
        send(w, prefix, n)
        ids = [f"{prefix}-{i}" for i in range(n)]
        w.wait_events(ids, 120)
        used = cpu_s(self.worker.pid) - began
        told = {}
        for name in ids:
            event = w.events[name][0]
            if event["status"] != "completed":
                raise Late(f"{self.name}: {event.value}")
            told[event["provider_task_id"]] = event["videos"][0]["sha256"]
            place(event).unlink()
        gigabytes = n * self.size / 1e9
        self.each.append(used / gigabytes)
        for hasher, used in self.curl.items():
            used.append(self.by_curl(told, sums, hasher) / gigabytes)

    def by_curl(self, told, sums, hasher):
        ledger = json.loads(fetch(self.world.sim_url + "/sim/ledger?sha256=0")[1])
        used = 0
        for task in ledger["tasks"]:
            if task["task_id"] not in told:
                continue
            target = presigned(self.scheme, "curl.mp4")
            used += pipeline(self.world.sim_url + urlparse(
                task["videos"][0]["url"]).path, target, self.size, sums, hasher)
            if Path(sums).read_text().split()[0] != told[task["task_id"]]:
                raise Late("the pipeline and the worker saw different bytes")
            if (FOLDER / "curl.mp4").stat().st_size != self.size:
                raise Late("the pipeline stored something else")
            (FOLDER / "curl.mp4").unlink()
        return used


def beside(table, quick, videos):
    size, n, rounds = 100000000, (2 if quick else 4), (3 if quick else 5)
    plain = {"STORAGE_URL": f"file://{videos}", "KEY_TEMPLATE": KEY_TEMPLATE}
    ways = [
        Beside("http, unsigned payload", store("http", checksum=0), "http",
               (SHA256SUM, OPENSSL)),
        Beside("http, checksum, signed chunks", store("http")),
        Beside("https, unsigned payload", store("https", checksum=0), "https",
               (SHA256SUM,)),
        Beside("https, checksum", store("https")),
        Beside("into a directory", plain),
    ]
    try:
        for index, way in enumerate(ways):
            way.begin(index, size)
            way.round(1, f"{videos}/sums")  # connections, caches, pages
            for numbers in (way.each, *way.curl.values()):
                numbers.clear()
        for _ in range(rounds):
            for way in ways:
                way.round(n, f"{videos}/sums")
    finally:
        for way in ways:
            if hasattr(way, "world"):
                way.end()
    for way in ways:
        tell(table, way)


def tell(table, way):
    middle = statistics.median
    table.add("storage", f"worker's CPU a GB, {way.name}", middle(way.each),
              f"{middle(way.each):.2f} s")
    for hasher, used in way.curl.items():
        words = f"the pipeline's, {way.scheme}, {hasher.split()[0]}"
        table.add("storage", words, middle(used), f"{middle(used):.2f} s")
        ratios = [theirs / ours for ours, theirs in zip(way.each, used)]
        held = hasher == SHA256SUM
        table.add("storage", f"worker's bytes a CPU-second beside {words}",
                  middle(ratios),
                  f"{middle(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})",
                  ">= 1" if held else None, not held or middle(ratios) >= 1)


def bench_storage(table, quick):
    megabytes = 20 if quick else 100
    videos = Path(os.environ["TEST_TMP"]) / "videos"
    parts = os.environ.get("STORAGE_PARTS", "memory beside").split()
    if "memory" in parts:
        memory(table, "S3", store("http"), megabytes)
        memory(table, "S3 over TLS", store("https"), megabytes)
        memory(table, "a directory", {"KEY_TEMPLATE": KEY_TEMPLATE}, megabytes)
    if "beside" in parts:
        beside(table, quick, videos)
