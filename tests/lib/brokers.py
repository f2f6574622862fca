"""Two nodes of Apache Kafka of a test's own, and a line to them that lies.

    with brokers.Cluster() as cluster:
        cluster.second.kill()       # kill -9
        cluster.second_again()      # and back, with its log
        cluster.lie(45)             # the next answer to an event says error 45

Each node has two listeners: `brokers` is the honest one, `crooked` goes through a
proxy of ours, which passes everything on and answers falsely when ordered to.
"""

import re
import socket
import struct
import subprocess
import threading

from confluent_kafka import KafkaException
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry,
                                   ConfigResource, ResourceType)

from world import ROOT, TMP, Program, free_port, parts, wait_for

PRODUCE, INIT_PRODUCER_ID = 0, 22
FLEXIBLE = 9  # from this version of Produce on: compact arrays and tagged fields
CUT = "cut"

QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # to start

PROPERTIES = (
    "auto.create.topics.enable=false",
    "offsets.topic.replication.factor=2",
    "offsets.topic.num.partitions=2",
    "broker.session.timeout.ms=2000",
    "broker.heartbeat.interval.ms=300",
    "replica.lag.time.max.ms=2000",
    # Each partition goes back to its first replica by itself, so that the second
    # node leads half of them whenever it is there.
    "leader.imbalance.check.interval.seconds=1",
    "leader.imbalance.per.broker.percentage=0",
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found=true",
    "listener.security.protocol.map="
    "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CROOKED:PLAINTEXT",
)


class Liar:
    """A proxy before one node. Answers to Produce can be made to say an error, after
    the node has done what it was asked; or they never come."""

    def __init__(self, cluster, listen, to):
        self.cluster = cluster
        self.to = to
        self.server = socket.create_server(("127.0.0.1", listen))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to), timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            asked = {}  # correlation id -> kind and version of a request
            for source, sink, each in ((near, far, self.request),
                                       (far, near, self.reply)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pipe, args=(source, sink, each, asked),
                                 daemon=True).start()

    @staticmethod
    def pipe(source, sink, each, asked):
        try:
            with source.makefile("rb") as stream:
                while len(head := stream.read(4)) == 4:
                    body = bytearray(stream.read(struct.unpack(">i", head)[0]))
                    if each(body, asked) == CUT:
                        break
                    sink.sendall(head + body)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def request(self, body, asked):
        kind, version, correlation = struct.unpack_from(">hhi", body)
        asked[correlation] = kind, version
        if kind == INIT_PRODUCER_ID:
            self.cluster.producers += 1

    def reply(self, body, asked):
        kind, version = asked.pop(struct.unpack_from(">i", body)[0], (None, None))
        if kind != PRODUCE:
            return None
        name, at = self.first_answer(body, version)
        return self.cluster.falsify(name, body, at)

    @staticmethod
    def first_answer(body, version):
        """The topic that an answer begins with, and where its error is."""
        if version >= FLEXIBLE:  # lengths below 127 take one byte
            length = body[6] - 1
            return bytes(body[7:7 + length]).decode(), 7 + length + 1 + 4
        length = struct.unpack_from(">h", body, 8)[0]
        return bytes(body[10:10 + length]).decode(), 10 + length + 4 + 4


class Cluster:
    """Node 1, which is the controller too, and node 2, which may go."""

    def __init__(self):
        self.folder = TMP / "kafka"
        self.jars = ROOT / "build/parts/kafka/lib"
        self.lies = []  # (part of a topic's name, error or CUT)
        self.producers = 0  # ids of producers that were asked for, through a proxy
        self.lock = threading.Lock()
        crooked = self.crooked_ports()
        self.brokers = parts('parts_kafka_start "$@" && echo "$PARTS_KAFKA_BROKERS"',
                             self.folder, self.jars, *PROPERTIES)
        self.readdress(crooked)
        self.crooked = f"127.0.0.1:{crooked[1]}"

    def __enter__(self):
        try:
            self.first_again()
            self.format(2)
            self.second_again()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in ("second", "third"):
            if hasattr(self, node):
                getattr(self, node).kill()
        parts('parts_kafka_stop "$1"', self.folder)

    # --- nodes --------------------------------------------------------------

    @staticmethod
    def crooked_ports():
        return free_port(), free_port()  # the listener's, and what it is told as

    def listeners(self, port, crooked, more=""):
        Liar(self, crooked[1], crooked[0])
        return (f"listeners=PLAINTEXT://127.0.0.1:{port},"
                f"CROOKED://127.0.0.1:{crooked[0]}{more}\n"
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{port},"
                f"CROOKED://127.0.0.1:{crooked[1]}\n")

    def readdress(self, crooked):
        """What the first node's file says of itself, with the second listener."""
        parts('parts_kafka_halt "$1"', self.folder)
        file = self.folder / "server.properties"
        text = file.read_text()
        port = self.brokers.rsplit(":", 1)[1]
        controller = re.search(r"CONTROLLER://[\d.:]+", text)[0]
        file.write_text(text + self.listeners(port, crooked, f",{controller}"))

    def first_again(self):
        parts('parts_kafka_again "$@"', self.folder, self.jars)

    def format(self, number):
        """A node like the first, without the controller; its honest address."""
        folder, port = TMP / f"kafka{number}", free_port()
        folder.mkdir()
        text = (self.folder / "server.properties").read_text()
        text += (f"process.roles=broker\nnode.id={number}\nlog.dirs={folder}/data\n"
                 + self.listeners(port, self.crooked_ports()))
        file = folder / "server.properties"
        file.write_text(text)
        meta = (self.folder / "data/meta.properties").read_text()
        cluster_id = re.search(r"cluster\.id=(\S+)", meta)[1]
        subprocess.run(["java", "-Xmx256m", *QUICK, "-cp", f"{self.jars}/*",
                        "kafka.tools.StorageTool", "format", "-t", cluster_id,
                        "-c", str(file)], check=True, capture_output=True, timeout=60)
        return f"127.0.0.1:{port}"

    def again(self, number):
        """Not from a thread that ends: the node would die with it."""
        node = Program(f"kafka{number}", [
            "java", "-Xmx384m", *QUICK, "-cp", f"{self.jars}/*", "kafka.Kafka",
            TMP / f"kafka{number}/server.properties"])
        wait_for(lambda: "Kafka Server started" in node.text(), 60,
                 f"node {number} starts")
        return node

    def second_again(self):
        self.second = self.again(2)

    def third_again(self):
        self.third = self.again(3)

    def admin(self):
        """A new one: librdkafka may go on asking a node that was the controller's
        mouth once and has died. To be kept until it is done."""
        return AdminClient({"bootstrap.servers": self.brokers})

    # --- topics -------------------------------------------------------------

    def partitions(self, prefix):
        """(topic, partition) -> its metadata, of topics with that prefix; none, where a
        busy node doesn't say."""
        try:
            topics = self.admin().list_topics(timeout=20).topics
        except KafkaException:
            return {}
        return {(name, p): topic.partitions[p] for name, topic in topics.items()
                if name.startswith(prefix) for p in topic.partitions}

    def await_leaders(self, prefix, holds, what, limit_s=40):
        """Until it holds for every partition."""
        return wait_for(lambda: (found := self.partitions(prefix)) and
                        all(map(holds, found.values())), limit_s, what)

    def await_both(self, prefix):
        """Until both nodes have everything, and each leads its half."""
        self.await_leaders(prefix, lambda p: len(p.isrs) == 2 and
                           p.leader == p.replicas[0], "both nodes lead")

    def configure(self, topic, **settings):
        """Settings of a topic, with _ for dots."""
        resource = ConfigResource(
            ResourceType.TOPIC, topic, incremental_configs=[
                ConfigEntry(name.replace("_", "."), str(value),
                            incremental_operation=AlterConfigOpType.SET)
                for name, value in settings.items()])
        admin = self.admin()
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(20)

        def taken():
            found = admin.describe_configs(
                [ConfigResource(ResourceType.TOPIC, topic)])
            now = list(found.values())[0].result(20)
            return all(now[name.replace("_", ".")].value == str(value)
                       for name, value in settings.items())
        wait_for(taken, 20, f"{topic} has its settings")

    # --- lies ---------------------------------------------------------------

    def lie(self, topic, error):
        """Once, to whoever puts something on that topic."""
        with self.lock:
            self.lies.append((topic, error))

    def falsify(self, topic, body, at):
        with self.lock:
            order = next((lie for lie in self.lies if lie[0] == topic), None)
            if order is None or struct.unpack_from(">h", body, at)[0] != 0:
                return None
            self.lies.remove(order)
        if order[1] == CUT:
            return CUT
        struct.pack_into(">h", body, at, order[1])
        return None

    def await_lies(self, limit_s=30):
        wait_for(lambda: not self.lies, limit_s, f"all lies are told: {self.lies}")
