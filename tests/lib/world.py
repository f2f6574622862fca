"""The world of an end-to-end test: the commands, the simulated provider, a
database, topics of its own on the run's Apache Kafka, and a folder for videos.

    with world.World(workers=2, latency="0.5..1") as w:
        w.send({"request_id": "a", "request": {"prompt": "x"}})
        event = w.event("a")

Everything that a World starts, it ends. Waiting is always for a condition, with
a limit; what a program printed is in <name>.log in $TEST_TMP.
"""

import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlparse

import confluent_kafka
import psycopg
from confluent_kafka.admin import AdminClient, NewTopic

import s3_server
from idempotency import key_of
from record import ACCEPTED, RECORD, judge_events, judge_purchases

ROOT = Path(os.environ["TEST_ROOT"])
BIN = Path(os.environ["TEST_BIN"])
TMP = Path(os.environ["TEST_TMP"])

STALL = "pixverse_loop_longest_turn_seconds"
# What never answers holds up a loop that waits for it for longer than this; a busy
# machine does not.
HELD_UP_S = 4
TOPICS = ("requests", "events", "progress", "rejected")
PROBES = ".pixverse-worker/"  # what a probe of S3 writes, below the prefix


class Late(Exception):
    """What was waited for did not come."""


PATIENCE = 2  # limits are those of a quiet machine


def wait_for(condition, limit_s, what):
    """Call condition() until it gives something true, and return that."""
    limit_s *= PATIENCE
    end = time.monotonic() + limit_s
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise Late(f"{what}: not within {limit_s} s")
        time.sleep(0.02)


def fetch(url, method="GET", body=None, timeout=10, tries=5):
    """(status, body) of one HTTP exchange; a loop that comes late is asked again."""
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        said = error.code, error.read()
    late = said == (503, b"the loop does not answer\n")  # within its second
    return fetch(url, method, body, timeout, tries - 1) if late and tries > 1 else said


def sha256_of(path):
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_on_s3():
    """Whether this is the item's second time, as …@s3."""
    return os.environ.get("TEST_STORAGE") == "s3"


def file_of(uri):
    """The path of a file:// URI, or of what S3's server keeps of an s3:// URI."""
    if uri.startswith("s3:"):
        return s3_server.object_of(uri)
    return Path(unquote(urlparse(uri).path))


def seat(name):
    """A member's name that outlives its worker, so that the next one has its
    partitions at once; workers of other hosts can't have it."""
    return f"{socket.gethostname()}-{name}"


def die_with_parent(libc=ctypes.CDLL(None)):  # once: no child of a thread looks it up
    """A test, or a thread, that ends leaves no program behind."""
    pr_set_pdeathsig = 1
    libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


class Program:
    """One of the three commands in the background."""

    def __init__(self, name, args, env=None, log=None):
        self.name = name
        self.injures = ""  # a worker: what its end by force is called in the record
        self.before_end = lambda: None
        self.frozen = False
        self.jumps = "CLOCK_JUMP" in (env or os.environ)  # its clock does
        self.log = TMP / f"{log or name}.log"
        # A name may come again: only what this one prints is its own.
        self.began = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(a) for a in args], env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def text(self):
        return self.log.read_bytes()[self.began:].decode(errors="replace")

    def line(self, start, limit_s=20):
        """The first line of the log that begins with start."""
        def find():
            for line in self.text().splitlines():
                if line.startswith(start):
                    return line
            if not self.alive():
                raise Late(f"{self.name} ended early:\n{self.text()[-2000:]}")
            return None
        return wait_for(find, limit_s, f"{self.name}: a line {start!r}")

    def signal(self, number):
        if number == STOP:
            self.frozen = True
            RECORD.injected("SIGSTOP of a " + self.name.rstrip("0123456789"))
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL: no farewell."""
        if self.injures and self.alive():
            RECORD.injected(self.injures)
        self.process.kill()
        self.process.wait()

    def stop(self, limit_s=70):
        """SIGTERM; the exit status, or None if it had to be killed."""
        if self.alive():
            self.before_end()
            self.process.terminate()
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


def parts(script, *values):
    """Run a script over deploy/lib/parts.sh; what it prints."""
    done = subprocess.run(
        ["bash", "-c", f'PARTS_PORT_OWNER={os.getpid()}; . "$TEST_ROOT/deploy/lib/parts.sh"; '
         + script, "parts", *map(str, values)], capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise RuntimeError(f"{script}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


class Database:
    """One more empty database on the run's server, for a World beside others."""

    def __init__(self, name):
        url = os.environ["TEST_DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            name = f"{connection.info.dbname}_{name}"
            connection.execute(f'CREATE DATABASE "{name}"')
        self.url = psycopg.conninfo.make_conninfo(url, dbname=name)


class Postgres:
    """A server of the test's own, to be halted at will."""

    def __init__(self, *settings):
        self.folder = TMP / "postgres"
        self.url = parts('parts_postgres_start "$@" && echo "$PARTS_DATABASE_URL"',
                         self.folder, *settings)

    def halt(self):
        RECORD.injected("PostgreSQL crashed")
        parts('parts_postgres_halt "$1"', self.folder)

    def again(self):
        parts('parts_postgres_again "$1"', self.folder)

    def backup(self):
        """A base backup of what it is at this moment, beside its data."""
        parts('place=$(cd -P "$1" && pwd) && rm -rf "$place/backup" &&'
              ' parts_postgres_as "$(parts_postgres_bin)/pg_basebackup" -d "$2" -w'
              ' -D "$place/backup" -X stream -c fast', self.folder, self.url)

    def restore(self):
        """The backup in place of the data; up again on the same port."""
        RECORD.injected("PostgreSQL restored from a backup")
        self.halt()
        parts('place=$(cd -P "$1" && pwd) && rm -rf "$place/data" &&'
              ' mv "$place/backup" "$place/data"', self.folder)
        self.again()

    def stop(self):
        parts('parts_postgres_stop "$1"', self.folder)


class Kafka:
    """A node of the test's own, to be halted at will."""

    def __init__(self, *properties, jars=ROOT / "build/parts/kafka/lib"):
        self.folder = TMP / "kafka"
        self.jars = jars
        self.brokers = parts('parts_kafka_start "$@" && echo "$PARTS_KAFKA_BROKERS"',
                             self.folder, self.jars, *properties)

    def halt(self):
        RECORD.injected("Kafka crashed")
        parts('parts_kafka_halt "$1"', self.folder)

    def again(self):
        parts('parts_kafka_again "$@"', self.folder, self.jars)

    def stop(self):
        parts('parts_kafka_stop "$1"', self.folder)


class World:
    """Simulator, database, topics, videos and workers of one test.

    settings    more environment for every command
    sim         more arguments of pixverse-sim api
    latency     seconds from acceptance to the end, MIN..MAX
    workers     how many are started; more with start_worker()
    partitions  of the request topic
    postgres    a Postgres instead of the run's, which the caller stops; or a Database
    kafka       a Kafka instead of the run's; the caller stops it
    outside     whether the provider lies about keys: what it sells twice is told
                as detected, and is no violation
    name        of a World beside others: of its logs and of its folder of videos
    topics      more configuration of its topics
    set_back    whether its database is restored from a backup: an end that is told
                twice may then speak of other times
    on_s3       whether its videos go into S3; otherwise as the item's second time says

    Videos go into a folder, or into the run's S3 where an item runs as …@s3; `videos`
    is where the files are either way.
    """

    def __init__(self, workers=1, latency="0.2..0.6", sim=(), settings=None,
                 partitions=4, postgres=None, kafka=None, outside=False, name="",
                 topics=None, on_s3=None, set_back=False):
        self.programs = []
        self.workers = []
        self.worker_count = workers
        self.sim_args = ["--latency", latency, *sim]
        self.settings = settings or {}
        self.partitions = partitions
        self.topic_config = {"max.message.bytes": "3145728", **(topics or {})}
        self.prefix = os.environ["TEST_PREFIX"] + os.urandom(3).hex() + "-"
        self.brokers = kafka.brokers if kafka else os.environ["TEST_KAFKA_BROKERS"]
        self.database_url = postgres.url if postgres else os.environ["TEST_DATABASE_URL"]
        self.label = name + "-" if name else ""
        self.videos = TMP / (self.label + "videos")
        self.storage = {"STORAGE_URL": f"file://{self.videos}"}
        if is_on_s3() if on_s3 is None else on_s3:
            key = f"{self.prefix}{self.label}videos"
            self.videos = s3_server.folder() / key
            self.storage = {"STORAGE_URL": s3_server.storage_url(key), **s3_server.keys()}
        self.events = {}  # request id -> every event that came, in order
        self.accepted, self.seen_events = {}, 0  # the same of accepted; both
        self.sent_ids = set()
        self.outside = outside
        self.forgotten = set()  # keys of requests that IDS_DAYS took
        self.set_back = set_back

    # --- life ---------------------------------------------------------------

    def __enter__(self):
        try:
            self.videos.mkdir(parents=True, exist_ok=True)
            self.start_sim()
            self.make_topics()
            self.migrate()
            self.producer = confluent_kafka.Producer(
                {"bootstrap.servers": self.brokers, "linger.ms": 2,
                 "message.max.bytes": 2097152})
            self.event_reader = self.reader("events")
            for _ in range(self.worker_count):
                self.start_worker()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def migrate(self):
        self.command("pixverse-worker", "migrate", "--no-topics", check=True)
        self.query("DELETE FROM account_url RETURNING 1")  # our port is another one

    def __exit__(self, *_):
        for worker in reversed(self.workers):
            try:
                worker.injures = ""
                worker.stop(30)
            except ProcessLookupError:
                pass
        self.tell()
        for program in reversed(self.programs):
            if program not in self.workers:
                try:
                    program.kill()
                except ProcessLookupError:
                    pass
        if hasattr(self, "event_reader"):
            self.event_reader.close()

    def start_sim(self, listen="127.0.0.1:0"):
        self.sim = Program("sim", [BIN / "pixverse-sim", "api", "--listen", listen,
                                   *self.sim_args], log=self.label + "sim")
        self.programs.append(self.sim)
        self.sim_url = self.sim.line("listening on ").split()[2].rstrip("/")
        return self.sim

    def make_topics(self):
        admin = AdminClient({"bootstrap.servers": self.brokers})
        made = admin.create_topics([NewTopic(self.topic(name), self.partitions, 1,
                                             config=self.topic_config) for name in TOPICS])
        for future in made.values():
            future.result(60)

    def topic(self, name):
        return self.prefix + name

    def environment(self, **more):
        """What a command finds in its environment; admin port 0 picks one."""
        return {
            "PATH": os.environ["PATH"],
            **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")},
            "KAFKA_BROKERS": self.brokers,
            "KAFKA_GROUP": self.prefix + "workers",
            **{f"KAFKA_{key}_TOPIC": self.topic(name) for key, name in
               (("REQUEST", "requests"), ("EVENT", "events"),
                ("REJECTED", "rejected"), ("PROGRESS", "progress"))},
            "DATABASE_URL": self.database_url,
            "APIMART_BASE_URL": self.sim_url,
            "APIMART_API_KEY": "sk-test",
            **self.storage,
            "DOWNLOAD_PRIVATE": "1",
            "POLL_INTERVAL_MS": "200",
            "LOG_FORMAT": "text",
            **self.settings,
            **more,
        }

    def command(self, name, *args, check=False, timeout=60, env=None):
        """Run a command to its end; its CompletedProcess."""
        done = subprocess.run(
            [str(BIN / name), *map(str, args)], env=env or self.environment(),
            capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"{name} {' '.join(map(str, args))}: exit status "
                               f"{done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ctl(self, *args, **options):
        return self.command("pixverse-ctl", *args, **options)

    def start_worker(self, wait=True, folder=BIN, before=(), **settings):
        """Another worker, ready unless wait is false: that of a folder of commands,
        its command line behind the words of another command."""
        number = len(self.workers)
        port = free_port()
        worker = Program(
            f"worker{number}", [*before, folder / "pixverse-worker", "run"],
            self.environment(**{"ADMIN_LISTEN": f"127.0.0.1:{port}", **settings}),
            log=f"{self.label}worker{number}")
        worker.admin = f"http://127.0.0.1:{port}"
        worker.injures = "kill -9 of a worker"
        worker.before_end = lambda: self.note_stall(worker)
        self.programs.append(worker)
        self.workers.append(worker)
        if wait:
            self.wait_ready(worker)
        return worker

    @staticmethod
    def wait_ready(worker, limit_s=30):
        def ready():
            if not worker.alive():
                raise Late(f"{worker.name} ended early:\n{worker.text()[-3000:]}")
            try:
                return fetch(worker.admin + "/readyz")[0] == 200
            except OSError:
                return False
        wait_for(ready, limit_s, f"{worker.name} is ready")

    # --- messages -----------------------------------------------------------

    def send(self, message, key=None, headers=None, produced_ms=0):
        """One message on the request topic: a dict, or bytes as they are; 0: now."""
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        if key is None and isinstance(message, dict):
            key = message.get("request_id")
        if isinstance(message, dict) and "request_id" in message:
            self.sent_ids.add(message["request_id"])
        while True:
            try:
                self.producer.produce(self.topic("requests"), value, key, headers=headers,
                                      timestamp=produced_ms)
                self.producer.poll(0)
                return
            except BufferError:
                self.producer.poll(0.1)

    def flush(self, limit_s=30):
        if self.producer.flush(limit_s * PATIENCE):
            raise Late("Kafka did not take every request")

    def reader(self, topic):
        """A consumer that reads a topic from its beginning."""
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.brokers, "group.id": self.prefix + "test",
            "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        consumer.assign([confluent_kafka.TopicPartition(self.topic(topic), p, 0)
                         for p in range(self.partitions)])
        return consumer

    def pump(self, limit_s=0.05):
        """Take what the event topic has now into self.events."""
        for message in self.event_reader.consume(1000, limit_s):
            if message.error():
                raise RuntimeError(message.error())
            event = Event(message)
            told = self.accepted if event.type == ACCEPTED else self.events
            told.setdefault(event.key, []).append(event)
            self.seen_events += 1

    def event(self, request_id, limit_s=60):
        """The first event of a request."""
        def come():
            self.pump()
            return self.events.get(request_id)
        return wait_for(come, limit_s, f"an event of {request_id}")[0]

    def wait_events(self, request_ids, limit_s=120):
        """Until each of these has at least one event."""
        missing = set(request_ids)

        def come():
            self.pump(0.2)
            missing.difference_update(self.events)
            return not missing
        wait_for(come, limit_s, f"{len(missing)} events")

    # --- looking ------------------------------------------------------------

    def ledger(self):
        """What the simulated provider accepted and billed."""
        status, body = fetch(self.sim_url + "/sim/ledger", timeout=60)
        if status != 200:
            raise RuntimeError(f"/sim/ledger: {status} {body[:200]}")
        return json.loads(body)

    def faults(self, faults):
        """Order faults of the simulated provider."""
        status, body = fetch(self.sim_url + "/sim/faults", "POST",
                             json.dumps(faults).encode())
        if status not in (200, 204):
            raise RuntimeError(f"/sim/faults: {status} {body[:400]}")

    def query(self, sql, *values):
        """Rows of a query, as tuples."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql, values).fetchall()

    def uploads(self):
        """Keys of the videos whose uploads in parts nobody has ended; on S3 only. Those
        of a probe that was cut off are no video's: a sweep takes them when they are old."""
        folder = self.videos.name + "/"
        return [key for key in s3_server.uploads_of(folder)
                if not key.startswith(folder + PROBES)]

    def metric(self, worker, name):
        """The sum over a metric's series, or None if there is none."""
        values = [float(line.rsplit(" ", 1)[1])
                  for line in fetch(worker.admin + "/metrics")[1].decode().splitlines()
                  if line.startswith(name) and line[len(name):len(name) + 1] in ("{", " ")]
        if values and name == STALL and not worker.frozen and not worker.jumps:
            RECORD.stalled(max(values))
        return sum(values) if values else None

    # --- the record: tests/lib/record.py -----------------------------------

    @staticmethod
    def injected(kind, n=1):
        """Count faults that the test itself injects, by a kind in words."""
        RECORD.injected(kind, n)

    @staticmethod
    def took_over(seconds):
        """From a worker's death to the first poll of one of its tasks elsewhere."""
        RECORD.took_over.append(seconds)

    def note_stall(self, worker):
        """The longest turn of a living worker's loop since it was last asked."""
        if worker.alive() and not worker.frozen:
            try:
                self.metric(worker, STALL)
            except (OSError, ValueError):
                pass  # it is ending, or has no admin port

    def tell(self):
        """What came of this world, into the record."""
        where = os.environ["TEST_PREFIX"].rstrip("-").split("-", 1)[-1]
        where = f"{where} {self.label}".rstrip(" -")
        RECORD.add(requests=len(self.sent_ids))
        try:
            self.tell_events(where)
            self.tell_purchases(where)
        except Exception as error:  # what the test killed can't be looked at
            RECORD.add(unseen=1)
            print(f"# unseen at the end of a world: {error!r}"[:300], flush=True)

    def tell_events(self, where):
        end = time.monotonic() + 3
        seen = -1
        while seen != self.seen_events and time.monotonic() < end:
            seen = self.seen_events
            self.pump(0.4)
        judge_events(self.events, where, not self.set_back, self.accepted)

    def keys(self, *request_ids, submissions=range(4), attempts=range(1)):
        """The idempotency keys of all requests, or of those named."""
        salt = self.query("SELECT salt FROM meta")[0][0]
        return {key_of(salt, request_id, content, n, attempt) for request_id, content in
                self.query("SELECT request_id, content FROM request WHERE cardinality(%s::text[]) = 0"
                           " OR request_id = ANY(%s)", list(request_ids), list(request_ids))
                for n in submissions for attempt in attempts}

    def tell_purchases(self, where):
        status, body = fetch(self.sim_url + "/sim/ledger?sha256=0", timeout=30)
        tasks = json.loads(body)["tasks"]
        RECORD.add(billed=sum(1 for task in tasks if task["billed"]))
        faults = json.loads(fetch(self.sim_url + "/sim/faults")[1])
        for fault in faults if isinstance(faults, list) else faults["faults"]:
            RECORD.injected("provider: " + fault["order"]["kind"], fault["hits"])
        ids = list(self.sent_ids)
        judge_purchases(tasks, self.keys(attempts=range(4)) | self.forgotten, self.outside, where)
        doubtful = self.query(
            "SELECT count(DISTINCT r.id) FROM request r JOIN (SELECT id, doubt, sends, kind"
            " FROM task UNION ALL SELECT id, doubt, sends, kind FROM closed) t USING (id)"
            " WHERE (t.doubt OR t.sends > 1 OR t.kind = 7) AND r.request_id = ANY(%s)", ids)
        RECORD.add(doubtful=doubtful[0][0])


class Event:
    """One message of the event topic."""

    def __init__(self, message):
        self.key = (message.key() or b"").decode()
        self.raw = message.value()
        self.headers = {k: (v or b"").decode() for k, v in message.headers() or []}
        self.value = json.loads(self.raw)
        self.at_ms, self.offset = message.timestamp()[1], message.offset()

    def __getitem__(self, name):
        return self.value[name]

    @property
    def type(self):
        return self.headers.get("ce_type")


def free_port():
    """A free port of the loopback, reserved like those of deploy/lib/parts.sh."""
    return int(parts("parts_port"))


STOP, CONTINUE = signal.SIGSTOP, signal.SIGCONT
