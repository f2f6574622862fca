"""PgBouncer before the run's PostgreSQL, and a bystander: another program that runs
short transactions through the same pool."""

import atexit
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import psycopg

from world import Program, free_port, wait_for


class PgBouncer:
    """Of the test's own, in front of a database's URL; `url` is the way through it.

    name      of its log
    settings  of pgbouncer.ini
    """

    def __init__(self, target, name="pool", **settings):
        to = psycopg.conninfo.conninfo_to_dict(target)
        self.port = free_port()
        # Where another user can read it: PgBouncer refuses to be root.
        self.folder = Path(tempfile.mkdtemp(suffix="-pixverse-pgbouncer", dir="/var/tmp"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        users = self.folder / "users"
        users.write_text(f'"{to["user"]}" "{to["password"]}"\n')
        lines = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "",
                 "auth_type": "plain", "auth_file": users, "pool_mode": "session",
                 "default_pool_size": 20, "max_client_conn": 200, **settings}
        ini = self.folder / "ini"
        ini.write_text(
            f"[databases]\n{to['dbname']} = host={to['host']} port={to['port']}\n[pgbouncer]\n"
            + "".join(f"{k} = {v}\n" for k, v in lines.items()))
        command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", str(ini)]
        if os.getuid() == 0:
            for path in (self.folder, users, ini):
                shutil.chown(path, "postgres")
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                       "--pdeathsig=KILL", *command]
        self.program = Program(f"pgbouncer-{name}", command)
        self.url = psycopg.conninfo.make_conninfo(target, host="127.0.0.1", port=self.port)
        wait_for(self.answers, 20, "pgbouncer")

    def answers(self):
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self):
        self.program.kill()


class Relay:
    """A line to a server whose connections can be cut, both halves at once; `url` is
    the way over it. What the server says comes so many seconds late."""

    def __init__(self, target, late_s=0):
        self.late_s = late_s
        to = psycopg.conninfo.conninfo_to_dict(target)
        self.to = (to["host"], int(to["port"]))
        self.server = socket.create_server(("127.0.0.1", free_port()))
        self.url = psycopg.conninfo.make_conninfo(
            target, host="127.0.0.1", port=self.server.getsockname()[1])
        self.pairs = []
        self.ended = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.ended:
            try:
                near = self.server.accept()[0]
            except OSError:
                return
            try:
                far = socket.create_connection(self.to)
            except OSError:
                near.close()  # nobody is there now
                continue
            self.pairs.append((near, far))
            for ends in ((near, far, 0), (far, near, self.late_s)):
                threading.Thread(target=self.pipe, args=ends, daemon=True).start()

    @staticmethod
    def pipe(source, sink, late_s):
        try:
            while block := source.recv(65536):
                time.sleep(late_s)
                sink.sendall(block)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        while self.pairs:
            for end in self.pairs.pop():
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def end(self):
        """Cut, and nobody is let in again."""
        self.ended = True
        try:
            self.server.shutdown(socket.SHUT_RDWR)  # it may wait in accept()
        except OSError:
            pass
        self.server.close()
        self.cut()


class Bystander:
    """Threads that run transactions through a URL, over connections that they use for
    some time only. What was lost is in `lost`, in words."""

    def __init__(self, url, threads=3, first=()):
        self.url, self.first = url, first
        self.done, self.lost = 0, []
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.ending.is_set():
            try:
                with psycopg.connect(self.url, prepare_threshold=None,
                                     application_name="bystander") as connection:
                    for sql in self.first:
                        connection.execute(sql)
                    connection.commit()
                    for _ in range(8):
                        connection.execute("SELECT 1")
                        connection.execute("SELECT pg_sleep(0.02)")
                        connection.commit()
                        with self.lock:
                            self.done += 1
            except psycopg.Error as error:
                with self.lock:
                    self.lost.append(str(error))

    def wait(self, more, limit_s=60):
        """Until it has run so many transactions more."""
        want = self.done + more
        wait_for(lambda: self.done >= want or self.lost, limit_s, f"{more} transactions")

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
        return self.lost
