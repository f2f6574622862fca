#!/usr/bin/env python3
# tests/run: postgres kafka sanitized
"""The commands as an operator meets them: exit statuses, faults told all at once,
probes in words."""

import json
import os
import re
import sys

import psycopg

import tap
from world import World, fetch, wait_for


def check_usage(world):
    done = world.command("pixverse-worker", "--help")
    tap.equal(done.returncode, 0, "--help ends with status 0")
    for name in ("KAFKA_BROKERS", "GENERATIONS_MAX", "SUBMIT_DOUBT", "DOWNLOAD_PRIVATE",
                 "LEASE_MS", "LOG_FORMAT", "KEY_TEMPLATE"):
        tap.check(name in done.stdout, f"--help tells {name}")
    done = world.command("pixverse-worker", "version")
    tap.check(done.returncode == 0 and "pixverse-worker 1." in done.stdout,
              "version tells the version", done.stdout)
    done = world.command("pixverse-worker", "juggle")
    tap.equal(done.returncode, 2, "an unknown command ends with status 2")
    tap.check("juggle" in done.stderr and "migrate" in done.stderr,
              "it names the word and what is allowed", done.stderr)


def check_settings(world):
    wrong = world.environment(TASKS_MAX="many", POLL_INTERVAL_MS="1",
                              SUBMIT_DOUBT="maybe", STORAGE_URL="ftp://x",
                              KEY_TEMPLATE="{index}.mp4", ADMIN_LISTEN="here",
                              APIMART_API_KEY="", LOG_FORMAT="json")
    done = world.command("pixverse-worker", "run", env=wrong)
    tap.equal(done.returncode, 2, "wrong settings end with status 2")
    told = [json.loads(line) for line in done.stderr.splitlines()]
    tap.check(all(l["level"] in ("error", "warn") for l in told), "all it says is a log in JSON")
    done = world.command("pixverse-worker", "run", env={**wrong, "LOG_FORMAT": "text"})
    tap.check(all(re.match(r"\S+Z (ERROR|WARN ) ", l)
                  for l in done.stderr.splitlines()),
              "or in text, if that is asked for", done.stderr)
    done = world.command("pixverse-worker", "check", env=wrong)
    tap.check(any(l.startswith("TASKS_MAX") for l in done.stderr.splitlines()),
              "a command for people says it plainly", done.stderr)
    for name in ("TASKS_MAX", "POLL_INTERVAL_MS", "SUBMIT_DOUBT", "STORAGE_URL",
                 "KEY_TEMPLATE", "ADMIN_LISTEN", "APIMART_API_KEY"):
        lines = [l for l in told if l["message"].startswith(name)]
        tap.equal(len(lines), 1, f"{name} is named once, with the others", done.stderr)
    learns = [({"GENERATIONS_MIN": "5"}, "is more than GENERATIONS_MAX (0: no limit), allowed:"),
              ({"GENERATIONS_MIN": "5", "GENERATIONS_MAX": "4"}, "than GENERATIONS_MAX (4), allow"),
              ({"GENERATIONS_MIN": "5", "GENERATIONS_MAX": "9", "APIMART_API_KEY": "",
                "APIMART_ACCOUNTS": '[{"name":"a","key":"k"}]'}, "and slots_min of each account")]
    for settings, said in learns:
        done = world.command("pixverse-worker", "run", env=world.environment(**settings))
        tap.check(done.returncode == 2 and "GENERATIONS_MIN: value 5" in done.stderr
                  and said in done.stderr, f"what can't be learnt is refused: {said}", done.stderr)


def check_schema(world):
    name = "empty_" + os.urandom(4).hex()
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = world.database_url.rsplit("/", 1)[0] + "/" + name
    empty = world.environment(DATABASE_URL=url)
    done = world.command("pixverse-worker", "run", env=empty)
    tap.equal(done.returncode, 3, "run without a schema ends with status 3", done.stderr)
    tap.check("pixverse-worker migrate" in done.stderr,
              "it names the command that mends it", done.stderr)
    done = world.command("pixverse-worker", "check", env=empty)
    tap.equal(done.returncode, 1, "check finds the missing schema", done.stdout)
    done = world.command("pixverse-worker", "migrate", env=empty)
    tap.equal(done.returncode, 0, "migrate ends with status 0", done.stderr)
    done = world.command("pixverse-worker", "migrate", env=empty)
    tap.equal(done.returncode, 0, "migrate again changes nothing", done.stderr)
    done = world.command("pixverse-worker", "check", env=empty)
    tap.equal(done.returncode, 0, "check finds no fault", done.stdout + done.stderr)
    check_sequences(world, url, empty)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE meta SET program_min = 99, number = 99")
    done = world.command("pixverse-worker", "run", env=empty)
    tap.equal(done.returncode, 3, "run on a later schema ends with status 3", done.stderr)


def check_database_url(world):
    """Judged at the start, with the other settings, and never shown."""
    canary = "Qx7canary"
    for url in (f"postgresql://app:{canary}%q@127.0.0.1:5432/pixverse", f"{canary}",
                f"postgres+asyncpg://app:{canary}@127.0.0.1/x",
                f"'postgresql://app:{canary}@127.0.0.1/x'",
                f"postgresql://app:x@{canary}@127.0.0.1/x",
                f"postgresql://app:x/{canary}@127.0.0.1/x"):
        wrong = world.environment(DATABASE_URL=url, POLL_INTERVAL_MS="-1")
        for command in ("pixverse-worker run", "pixverse-worker check",
                        "pixverse-worker migrate", "pixverse-ctl list"):
            done = world.command(*command.split(), env=wrong)
            said = done.stdout + done.stderr
            tap.check(done.returncode == 2 and "DATABASE_URL: value (not shown)" in said
                      and "POLL_INTERVAL_MS" in said and canary not in said,
                      f"{command}: DATABASE_URL at fault is told with the others", said)


def check_encoding(world):
    name = "latin_" + os.urandom(4).hex()
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C'"
                           " TEMPLATE template0")
    latin = world.environment(DATABASE_URL=world.database_url.rsplit("/", 1)[0] + "/" + name)
    for command, status in {"migrate": 1, "check": 1, "run": 3}.items():
        done = world.command("pixverse-worker", command, env=latin)
        said = done.stdout + done.stderr
        tap.equal(done.returncode, status, f"{command}: LATIN1 ends with {status}", said)
        tap.check("LATIN1" in said and "UTF8 is needed" in said, f"{command}: says why", said)


def check_sequences(world, url, environment):
    """As after a restore that forgot them: what check prints mends it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO request (request_id, content, mode, priority, warnings, "
            "received_ms) SELECT 'r-' || i, '', 0, 5, '[]', 1 "
            "FROM generate_series(1, 7) i")
        for sequence in ("request", "lease"):
            connection.execute(f"ALTER SEQUENCE {sequence}_id_seq RESTART")
        connection.execute("INSERT INTO lease (id, name, tasks_max, accounts) "
                           "OVERRIDING SYSTEM VALUE VALUES (5, 'w', 1, '{}')")
        done = world.command("pixverse-worker", "check", env=environment)
        commands = re.findall(r'psql "\$DATABASE_URL" -c "([^"]+)"', done.stdout)
        tap.equal((done.returncode, len(commands)), (1, 2),
                  "check finds sequences behind their tables", done.stdout)
        for command in commands:
            connection.execute(command)
        done = world.command("pixverse-worker", "check", env=environment)
        tap.check(done.returncode == 0 and "ok       sequences" in done.stdout,
                  "the command that check gives mends it", done.stdout)


def check_faults(world):
    wrong = world.environment(DATABASE_URL="host=127.0.0.1 port=1 dbname=x",
                              APIMART_BASE_URL="http://127.0.0.1:1",
                              STORAGE_URL="file:///proc/videos")
    done = world.command("pixverse-worker", "check", env=wrong, timeout=120)
    tap.equal(done.returncode, 1, "check with faults ends with status 1")
    for what in ("PostgreSQL", "provider", "storage"):
        tap.check(any(line.startswith("fault") and what in line
                      for line in done.stdout.splitlines()),
                  f"check names the fault of {what}", done.stdout)
    tap.check("sk-test" not in done.stdout + done.stderr, "no key is shown")


def check_probes(world):
    worker = world.workers[0]
    tap.equal(fetch(worker.admin + "/healthz")[0], 200, "/healthz answers")
    status, body = fetch(worker.admin + "/readyz")
    tap.equal((status, body.splitlines()[0]), (200, b"ready"), "/readyz is ready")
    scale = json.loads(fetch(worker.admin + "/scale")[1])
    tap.equal(sorted(scale), ["in_flight", "queued", "tasks_max", "workers"],
              "/scale has its four numbers", scale)
    tap.equal((scale["tasks_max"], scale["workers"]), (10000, 1), "/scale counts")
    text = fetch(worker.admin + "/metrics")[1].decode()
    for name in ("pixverse_tasks", "pixverse_polls_total", "pixverse_hold",
                 "pixverse_poll_lateness_seconds_bucket", "pixverse_fleet_workers"):
        tap.check(f"\n{name}" in text, f"/metrics has {name}")
    tap.equal(fetch(worker.admin + "/else")[0], 404, "another path is not found")
    tap.equal(fetch(worker.admin + "/healthz", "POST", b"{}")[0], 405,
              "another method is refused")


def health(world, *words, env):
    """Once more where the worker's loop, which has a second, came late, or all of the
    worker, which has three."""
    for _ in range(5):
        done = world.command("pixverse-worker", "health", *words, env=env)
        said = done.stdout + done.stderr
        if "the loop does not answer" not in said and "no answer from" not in said:
            break
    return done


def check_health(world):
    """health asks the worker that runs with the same settings."""
    port = world.workers[0].admin.rsplit(":", 1)[1]
    for listen in (f"127.0.0.1:{port}", f"0.0.0.0:{port}", f"[::]:{port}", f"localhost:{port}"):
        env = world.environment(ADMIN_LISTEN=listen)
        for words, path in (((), "/healthz"), (("--ready",), "/readyz")):
            done = health(world, *words, env=env)
            tap.check(done.returncode == 0 and f"{path}: 200 " in done.stdout,
                      f"{' '.join(('health', *words))} at {listen.replace(port, 'PORT')} finds it well",
                      done.stdout, done.stderr)
    env = {"ADMIN_LISTEN": f"0.0.0.0:{port}", "http_proxy": "http://127.0.0.1:1"}
    done = health(world, env=env)
    tap.equal(done.returncode, 0, "health needs no other setting, and no proxy", done.stderr)
    # An address of the loopback that nobody listens at.
    done = world.command("pixverse-worker", "health", env={"ADMIN_LISTEN": "127.0.0.9:1"})
    tap.check(done.returncode == 1 and "127.0.0.9:1/healthz" in done.stderr
              and "ADMIN_LISTEN" in done.stderr,
              "health without a worker ends with status 1 and says where it asked", done.stderr)
    done = world.command("pixverse-worker", "health", env={"ADMIN_LISTEN": "127.0.0.1:0"})
    tap.check(done.returncode == 2 and "ADMIN_LISTEN" in done.stderr,
              "health where the port is any ends with status 2", done.stderr)
    done = world.command("pixverse-worker", "health", "--alive")
    tap.check(done.returncode == 2 and "--ready" in done.stderr,
              "health names the flag that it takes", done.stderr)


def check_waiting(world):
    """run waits for what is away, says so, and /readyz names it."""
    worker = world.start_worker(
        wait=False, DATABASE_URL="host=127.0.0.1 port=1 dbname=x")

    def missing():
        try:
            status, body = fetch(worker.admin + "/readyz")
        except OSError:
            return None
        return body.decode() if status == 503 else None
    text = wait_for(missing, 20, "a worker that is not ready")
    tap.check("no PostgreSQL" in text, "/readyz says in words what is missing", text)
    tap.check(worker.alive(), "run waits for PostgreSQL")
    env = {"ADMIN_LISTEN": worker.admin.removeprefix("http://")}
    done = health(world, "--ready", env=env)
    tap.check(done.returncode == 1 and ": 503 " in done.stderr and "no PostgreSQL" in done.stderr,
              "health --ready ends with status 1 and says why", done.stderr)
    tap.equal(health(world, env=env).returncode, 0,
              "health alone finds nothing wrong with it")
    wait_for(lambda: "still waiting for PostgreSQL" in worker.text(), 20,
             "and says so from the start")
    tap.equal(worker.stop(), 0, "it drains at once where nothing is under way")


# Runs a command whose standard error is a pipe that is full after a line or two.
UNREAD = """
import fcntl, os, sys
read, write = os.pipe()
os.write(write, b"x" * (fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096) - 200))
os.set_inheritable(read, True)
os.dup2(write, 2)
os.execv(sys.argv[1], sys.argv[1:])
"""


def check_log(world):
    """Nobody reads its log: it works and drains all the same."""
    worker = world.start_worker(
        before=[sys.executable, "-c", UNREAD], LOG_LEVEL="debug")
    ids = [f"unread.{i}" for i in range(20)]
    for i in ids:
        world.send({"request_id": i, "request": {"prompt": "x"}})
    world.flush()
    world.wait_events(ids)
    tap.equal(len(world.events.keys() & set(ids)), 20, "a log that nobody reads stops nothing")
    tap.equal(worker.stop(), 0, "and it drains with status 0")


def main():
    with World() as world:
        check_usage(world)
        check_settings(world)
        check_schema(world)
        check_database_url(world)
        check_encoding(world)
        check_faults(world)
        check_probes(world)
        check_health(world)
        check_waiting(world)
        text = world.workers[0].text()
        tap.check("sk-test" not in text, "no key is in the log")
        tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0")
        check_log(world)


tap.run(main)
