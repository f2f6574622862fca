#!/usr/bin/env python3
# tests/run: postgres kafka timeout=300
"""The five modes on other ways to PostgreSQL: over TLS with the server's certificate
verified, and through PgBouncer in session mode. A certificate of somebody else, or of
another host, is refused in words."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import tap
from pgbouncer import PgBouncer
from world import ROOT, TMP, Database, Postgres, World

FOLDER = Path(tempfile.mkdtemp(suffix="-pixverse-tls", dir="/var/tmp"))


def openssl(*words):
    subprocess.run(["openssl", *words], cwd=FOLDER, check=True, capture_output=True)


def make_certificates():
    """A CA, a server's certificate for localhost, and a CA that signed nothing."""
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
                f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost", "-keyout", "server.key", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days",
            "30", "-copy_extensions", "copy", "-out", "server.pem")
    (FOLDER / "server.key").chmod(0o600)
    if os.getuid() == 0:
        for path in (FOLDER, FOLDER / "server.key"):
            shutil.chown(path, "postgres")


def five_modes(name, url):
    """They run beside, with their own words."""
    folder = TMP / name
    folder.mkdir(parents=True)
    return subprocess.Popen(
        [sys.executable, "-u", ROOT / "tests/e2e/five_modes.py"], stdin=subprocess.DEVNULL,
        stdout=open(folder / "said", "wb"), stderr=subprocess.STDOUT,
        env={**os.environ, "TEST_DATABASE_URL": url, "TEST_TMP": str(folder),
             "TEST_PREFIX": os.environ["TEST_PREFIX"] + name + "-"})


def finished(name, process):
    status = process.wait(200)
    sys.stdout.write((TMP / name / "said").read_text())
    sys.stdout.flush()
    tap.equal(status, 0, f"the five modes: {name}")


def refused(world, url, words, text):
    done = world.command("pixverse-worker", "check",
                         env=world.environment(DATABASE_URL=url))
    said = done.stdout + done.stderr
    tap.check(done.returncode == 1 and re.search(words, said), text, said)


def main():
    make_certificates()
    server = Postgres("fsync = off", "ssl = on", "log_connections = on",
                      f"ssl_cert_file = '{FOLDER}/server.pem'",
                      f"ssl_key_file = '{FOLDER}/server.key'")
    pooler = PgBouncer(os.environ["TEST_DATABASE_URL"], "five")

    def over_tls(host, ca):
        return psycopg.conninfo.make_conninfo(server.url, host=host, sslmode="verify-full",
                                              sslrootcert=FOLDER / f"{ca}.pem")
    try:
        tls = five_modes("tls", over_tls("localhost", "ca"))
        session = five_modes("pgbouncer", pooler.url)
        with World(workers=0, postgres=Database("check")) as world:
            refused(world, over_tls("localhost", "other"), "certificate verify failed",
                    "a server of somebody else's CA is refused")
            refused(world, over_tls("127.0.0.1", "ca"), "does not match host name",
                    "a server of another name is refused")
        finished("tls", tls)
        finished("pgbouncer", session)
        log = (server.folder / "log").read_text()
        came = [line for line in log.splitlines() if "connection authorized" in line
                and "database=pixverse" in line]
        tap.check(len([line for line in came if "SSL enabled" in line]) > 4
                  and all("SSL enabled" in line for line in came[1:]),
                  "every session was encrypted", "\n".join(came[:8]))
    finally:
        server.stop()
        pooler.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)


tap.run(main)
