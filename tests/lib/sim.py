"""The simulated provider, run by itself and asked."""

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

SIM = Path(os.environ.get("TEST_BIN") or os.environ["PIXVERSE_BIN"]) / "pixverse-sim"
KEY = {"Authorization": "Bearer sk-one"}
GENERATIONS = "/v1/videos/generations"
IMAGE = "https://example.com/a.jpg"
STATUSES = ["submitted", "pending", "processing", "completed"]
FIRST_BYTE_S = 10  # for what begins to answer at once, on a busy machine
OVER_S = 30


class Sim:
    def __init__(self, *flags):
        self.process = subprocess.Popen(
            [SIM, "api", "--listen", "127.0.0.1:0", *flags],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.line = line
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.status = self.process.wait(30)

    def call(self, method, path, body=None, headers=KEY, timeout=10):
        """(status, headers, body) of one exchange on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body).encode()
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=KEY):
        status, _, text = self.call(method, path, body, headers)
        return status, json.loads(text)

    def submit(self, key=None, headers=KEY, **body):
        more = {"Idempotency-Key": key} if key else {}
        return self.json("POST", GENERATIONS,
                         {"model": "pixverse-v6", "prompt": "a cat", **body}, {**headers, **more})

    def made(self, **body):
        return self.submit(**body)[1]["data"][0]["task_id"]

    def slow(self):
        """A task that still runs when a busy machine asks for it."""
        self.order(on="submit", kind="slow_job", delay_ms=6000)
        return self.made()

    def poll(self, task, headers=KEY):
        return self.json("GET", f"/v1/tasks/{task}", headers=headers)

    def over(self, task, headers=KEY):
        """The task's data once it is over."""
        end = time.monotonic() + OVER_S
        while time.monotonic() < end:
            data = self.poll(task, headers)[1]["data"]
            if data["status"] in ("completed", "failed", "cancelled"):
                return data
            time.sleep(0.01)
        raise AssertionError(f"{task} is never over")

    def ledger(self):
        return self.json("GET", "/sim/ledger")[1]

    def order(self, **fault):
        status, told = self.json("POST", "/sim/faults", [fault])
        if status != 200:
            raise AssertionError(told)

    def clear(self):
        self.json("DELETE", "/sim/faults")

    def raw(self, data, timeout=5, first=FIRST_BYTE_S):
        """All bytes that come for these, and how it ended: the first within so many
        seconds, each other within the timeout after the one before; and not one more
        before it has answered something else, which a machine that stands still delays."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=first) as conn:
            conn.sendall(data)
            got = b""
            alive = False
            while True:
                try:
                    part = conn.recv(65536)
                except ConnectionResetError:
                    return got, "reset"
                except TimeoutError:
                    if alive:
                        return got, "open"
                    self.call("GET", "/sim/stats", timeout=FIRST_BYTE_S)
                    alive = True
                    conn.settimeout(0.3)
                    continue
                if not part:
                    return got, "closed"
                got += part
                alive = False
                conn.settimeout(timeout)

    def raw_submit(self, timeout=5, first=FIRST_BYTE_S):
        body = json.dumps({"model": "pixverse-v6", "prompt": "raw"}).encode()
        return self.raw(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-one\r\n"
                        b"Content-Length: %d\r\n\r\n%s"
                        % (GENERATIONS.encode(), len(body), body), timeout, first)


def boxes(data):
    """Top-level MP4 boxes as (type, bytes); they must tile the file."""
    at = 0
    found = []
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if size == 1:
            size = struct.unpack(">Q", data[at + 8:at + 16])[0]
        if size < 8:
            raise AssertionError(f"box of {size} bytes at {at}")
        found.append((kind.decode(), size))
        at += size
    if at != len(data):
        raise AssertionError(f"boxes end at {at} of {len(data)}")
    return found
