#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=300
"""A worker whose network is cut, one way and both, for longer than its lease; names
that nobody resolves; a line that is slow and breaks. The worker lives in a network
namespace that the test makes, as root, and all goes on when the line is back."""

import os
import random
import re
import socket
import subprocess
import threading
import time

import tap
from mounts import bound
from world import HELD_UP_S, TMP, World, free_port, wait_for

BATCH = 120
# Of this process alone: another run may be on the same machine.
NET = f"10.213.{os.getpid() % 256}"
HOST, GUEST = f"{NET}.1", f"{NET}.2"
WIRE = f"pxv-{os.getpid()}"  # 15 characters with its end


def call(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True,
                          timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, args))}: {done.stderr}")
    return done.stdout


class Line:
    """Forwards one TCP port; may be slow, and may break at random."""

    def __init__(self, listen, to):
        self.to = to
        self.delay_s = 0
        self.loss = 0.0  # the chance that a piece breaks its connection
        self.broken = 0
        self.server = socket.create_server(listen)
        self.random = random.Random(1)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.to, timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pipe, args=(one, other), daemon=True).start()

    def pipe(self, source, sink):
        try:
            while data := source.recv(65536):
                if self.delay_s:
                    time.sleep(self.delay_s)
                if self.loss and self.random.random() < self.loss:
                    self.broken += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Namespace:
    """A network of its own with one wire to us; our loopback's ports are reached
    there under their own numbers."""

    def __init__(self, ports):
        self.name = "pixverse-" + re.sub(r"\W", "", TMP.parent.parent.name)
        self.ports = ",".join(map(str, ports))
        # "ip netns exec" would mount things, which it can't in a chroot.
        self.enter = ["nsenter", f"--net=/run/netns/{self.name}"]
        call("ip", "netns", "add", self.name)
        try:
            self.wire(ports)
        except BaseException:
            self.remove()
            raise

    def wire(self, ports):
        call("ip", "link", "add", f"{WIRE}-h", "type", "veth", "peer", "name", f"{WIRE}-g",
             "netns", self.name)
        call("ip", "addr", "add", f"{HOST}/24", "dev", f"{WIRE}-h")
        call("ip", "link", "set", f"{WIRE}-h", "up")
        for words in (f"ip addr add {GUEST}/24 dev {WIRE}-g", f"ip link set {WIRE}-g up",
                      "ip link set lo up",
                      "sysctl -qw net.ipv4.conf.all.route_localnet=1",
                      f"iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp -m multiport "
                      f"--dports {self.ports} -j DNAT --to-destination {HOST}",
                      f"iptables -t nat -A POSTROUTING -o {WIRE}-g -j MASQUERADE"):
            self.inside(*words.split())
        self.lines = {port: Line((HOST, port), ("127.0.0.1", port)) for port in ports}

    def inside(self, *args):
        return call(*self.enter, *args)

    def cut(self, ways, on):
        """Drop what leaves (out), what comes (in), or both."""
        for chain, side in (("OUTPUT", "dports"), ("INPUT", "sports")):
            if {"OUTPUT": "out", "INPUT": "in"}[chain] in ways:
                self.inside("iptables", "-A" if on else "-D", chain, "-p", "tcp", "-m",
                            "multiport", f"--{side}", self.ports, "-j", "DROP")

    def remove(self):
        for line in getattr(self, "lines", {}).values():
            line.server.close()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=30)
        subprocess.run(["ip", "link", "del", f"{WIRE}-h"], capture_output=True, timeout=30)


def send(world, name):
    ids = [f"{name}-{n}" for n in range(BATCH)]
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()
    return ids


def check_once(world, name, ids):
    world.wait_events(ids, 90)
    world.pump(0.5)
    tap.equal([i for i in ids if world.events[i][0]["status"] != "completed"], [],
              f"{name}: all are completed")
    tap.equal([i for i in ids if len({e.raw for e in world.events[i]}) != 1], [],
              f"{name}: each request has one end")
    bought = [t["request"]["prompt"] for t in world.ledger()["tasks"]
              if t["request"]["prompt"].startswith(name + "-")]
    tap.equal(sorted(bought), sorted(ids), f"{name}: each is bought once")


def check_loop(world, worker, name):
    longest = world.metric(worker, "pixverse_loop_longest_turn_seconds")
    tap.check(longest is not None and longest < HELD_UP_S,
              f"{name}: the loop never stood still", longest)


def cut(world, space, guest, name, ways):
    """Longer than the lease: the other worker takes over, the cut one comes back."""
    ids = send(world, name)
    wait_for(lambda: world.pump() or any(i in world.events for i in ids), 60,
             f"{name}: the first ends")
    space.cut(ways, True)
    try:
        world.pump(6)
    finally:
        space.cut(ways, False)
    check_once(world, name, ids)
    wait_for(lambda: world.query("SELECT count(*) FROM lease WHERE NOT dead")[0][0] == 2,
             60, f"{name}: it is back")
    world.wait_ready(guest, 60)
    tap.check(guest.alive(), f"{name}: the worker stays")
    check_loop(world, guest, name)


def bad_line(world, space, guest, name, **how):
    ids = send(world, name)
    for line in space.lines.values():
        line.__dict__.update(how)
    world.pump(8)
    broken = sum(line.broken for line in space.lines.values())
    for line in space.lines.values():
        line.delay_s, line.loss = 0, 0.0
    tap.note(f"{name}: {broken} connections were broken")
    check_once(world, name, ids)
    world.wait_ready(guest, 60)
    check_loop(world, guest, name)


def ports_of(world):
    """Kafka's, PostgreSQL's and the provider's."""
    found = [world.brokers, world.database_url, world.sim_url]
    return [int(re.search(r":(\d+)(/|$)", url.split("@")[-1].split("://")[-1])[1])
            for url in found]


def names(world, resolv):
    """A provider whose name nobody answers for, then somebody does."""
    hosts = TMP / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    port = ports_of(world)[2]
    resolv.write_text(f"nameserver {NET}.99\noptions timeout:5 attempts:2\n")
    for worker in world.workers:
        worker.stop()
    before = bound({"/etc/resolv.conf": resolv, "/etc/hosts": hosts})
    url = f"http://provider.internal:{port}"
    moved = world.ctl("account", "move", "default", "--url", url)
    tap.equal(moved.returncode, 0, "names: the account is at another URL now", moved.stderr)
    worker = world.start_worker(before=before, APIMART_BASE_URL=url)
    ids = send(world, "names")
    slowest, end = 0, time.monotonic() + 8
    while time.monotonic() < end:
        began = time.monotonic()
        world.metric(worker, "pixverse_tasks")
        slowest = max(slowest, time.monotonic() - began)
        world.pump(0.1)
    check_loop(world, worker, "names")
    tap.check(slowest < HELD_UP_S, "names: the worker answers all the while", slowest)
    tap.equal([i for i in ids if i in world.events], [], "names: nothing ends")
    # In place: the mount is of this very file.
    hosts.write_text("127.0.0.1 localhost\n127.0.0.1 provider.internal\n")
    check_once(world, "names", ids)
    tap.equal(worker.stop(), 0, "names: the worker drains with status 0")


def main():
    with World(workers=1, latency="1..3", sim=["--schema", "yes"],
               settings={"LEASE_MS": "2000", "TASKS_MAX": "300"}) as world:
        space = Namespace(ports_of(world))
        try:
            port = free_port()
            guest = world.start_worker(
                wait=False, before=space.enter,
                ADMIN_LISTEN=f"{GUEST}:{port}")
            guest.admin = f"http://{GUEST}:{port}"
            world.wait_ready(guest, 40)
            cut(world, space, guest, "cut-both", ("in", "out"))
            cut(world, space, guest, "cut-out", ("out",))
            cut(world, space, guest, "cut-in", ("in",))
            bad_line(world, space, guest, "slow", delay_s=0.15)
            # Not more: a submission and its three replays are not to be lost one and all.
            bad_line(world, space, guest, "lossy", loss=0.01)
            tap.equal(guest.stop(), 0, "the cut worker drains with status 0",
                      guest.text()[-2000:])
        finally:
            space.remove()
        names(world, TMP / "resolv")


tap.run(main)
