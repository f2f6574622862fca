"""Two PostgreSQL servers of a test's own, one of them the other's synchronous standby
behind a line that can be cut. Both end with the test."""

import os
import signal
from pathlib import Path

import psycopg

from pgbouncer import Relay
from record import RECORD
from world import TMP, Postgres, Program, free_port, parts, wait_for


def children(pid):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except (OSError, ValueError):
            pass  # it has ended meanwhile
    return found


class Node:
    """A server in a folder of data that is there; its port never changes."""

    def __init__(self, name, data, port):
        self.name, self.data, self.port = name, data, port
        self.program = None

    def start(self):
        command = [parts("parts_postgres_bin") + "/postgres", "-D", str(self.data)]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                       "--pdeathsig=KILL", *command]
        self.program = Program(f"postgres-{self.name}", command)

    def kill(self):
        """As its machine would go: the server and all its sessions at once."""
        if self.program and self.program.alive():
            # Standing still it begins no session that would not be among those.
            self.program.process.send_signal(signal.SIGSTOP)
            pids = [self.program.pid, *children(self.program.pid)]
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.program.process.wait()
            wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 20,
                     "its processes are gone")


class Pair:
    """`both` is the connection string of both, `url` the primary's; `primary` and
    `standby` say who is what."""

    def __init__(self):
        first = Postgres("fsync = off")
        info = psycopg.conninfo.conninfo_to_dict(first.url)
        self.account = {k: info[k] for k in ("user", "password", "dbname")}
        place = Path(os.path.realpath(first.folder))
        first.halt()
        RECORD.injected("PostgreSQL crashed", -1)  # that was none
        self.primary = Node("a", place / "data", int(info["port"]))
        self.standby = Node("b", place / "standby", free_port())
        self.both = self.conninfo(f"{self.primary.port},{self.standby.port}")
        self.relay = None
        self.primary.start()
        wait_for(lambda: self.answers(self.primary), 30, "the primary")
        self.attach()

    @property
    def url(self):
        return self.conninfo(self.primary.port)

    def conninfo(self, port):
        hosts = ",".join(["127.0.0.1"] * len(str(port).split(",")))
        return psycopg.conninfo.make_conninfo(host=hosts, port=port, **self.account)

    def ask(self, node, sql):
        with psycopg.connect(self.conninfo(node.port), autocommit=True,
                             connect_timeout=10) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def answers(self, node):
        try:
            return self.ask(node, "SELECT true")
        except psycopg.OperationalError:
            return None

    def attach(self):
        """The standby anew, as a copy of the primary, and commits wait for it."""
        self.relay = Relay(self.conninfo(self.primary.port))
        source = psycopg.conninfo.make_conninfo(self.relay.url, application_name="standby")
        parts('rm -rf "$2" && parts_postgres_as "$(parts_postgres_bin)/pg_basebackup" -d "$1"'
              ' -w -D "$2" -X stream -c fast -R --no-sync && echo "port = $3"'
              ' >>"$2/postgresql.auto.conf"', source, self.standby.data, self.standby.port)
        self.standby.start()
        self.ask(self.primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.ask(self.primary, "SELECT pg_reload_conf()")
        wait_for(lambda: self.ask(self.primary, "SELECT true FROM pg_stat_replication"
                                                " WHERE sync_state = 'sync'"), 30,
                 "the standby is synchronous")

    def cut(self):
        """The standby loses the primary, for good; commits there wait from now on."""
        RECORD.injected("synchronous standby cut off")
        self.relay.end()

    def promote(self):
        """The standby takes writes when this returns; it waits for no standby."""
        RECORD.injected("PostgreSQL's standby promoted")
        self.ask(self.standby, "SELECT pg_promote()")
        wait_for(lambda: self.ask(self.standby, "SELECT NOT pg_is_in_recovery()") == [(True,)],
                 30, "the standby is promoted")
        self.primary, self.standby = self.standby, self.primary

    def stop(self):
        self.relay.end()
        for node in (self.primary, self.standby):
            node.kill()
        parts('parts_postgres_stop "$1"', TMP / "postgres")
