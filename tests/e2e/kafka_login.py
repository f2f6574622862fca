#!/usr/bin/env python3
# tests/run: postgres timeout=400
"""Kafka as people have it: each way to log in, what `check` says of each way to fail,
what is wrong with settings, a password that was changed, tokens that expire."""

import base64
import concurrent.futures
import hashlib
import hmac
import http.server
import json
import socket
import struct
import subprocess
import threading
import time
from urllib.parse import parse_qsl, quote, urlsplit

from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType,
                                   AdminClient, ResourcePatternType, ResourceType)

import secured
import tap
from mounts import bound
from world import BIN, TMP, Database, World, fetch, free_port, wait_for

CANARY = secured.PASSWORD
KEY_ID, KEY, SESSION = "AKIATESTTESTTEST", "test/secret+of/nobody", "session/of+nobody="


def run(world, settings, *words):
    """(exit status, all that it said) of a command."""
    done = world.command(*words, env=world.environment(**settings), timeout=90)
    return done.returncode, done.stdout + done.stderr


# --- each way in ----------------------------------------------------------------

def check_ways_in(world, kafka, pool):
    """Every kind of client: check has producers and consumers, migrate makes topics,
    pixverse-ctl reads and counts."""
    token = TMP / "token"
    kafka.write_token(token)
    ways = {
        "PLAIN": kafka.login("PLAIN"),
        "SCRAM-SHA-256": kafka.login("SCRAM-SHA-256"),
        "SCRAM-SHA-512": kafka.login("SCRAM-SHA-512"),
        "a token in a file": kafka.bearer(token),
        "a client's certificate": kafka.certificate(),
    }
    secret = TMP / "password"
    secret.write_text(CANARY + "\n")
    for name, settings in ways.items():
        if "KAFKA_CONF_SASL_PASSWORD" in settings:
            del settings["KAFKA_CONF_SASL_PASSWORD"]
            settings["KAFKA_CONF_SASL_PASSWORD_FILE"] = str(secret)
    commands = (("pixverse-worker", "check"), ("pixverse-worker", "migrate"),
                ("pixverse-ctl", "rejected", "list"))
    runs = {(name, words[-1]): pool.submit(run, world, settings, *words)
            for name, settings in ways.items() for words in commands}
    for (name, command), future in runs.items():
        status, said = future.result()
        tap.check(status == 0 and CANARY not in said and "fault" not in
                  said.replace("0 faults", ""),
                  f"{name}: {command} gets in", status, said)
    rewound = run(world, ways["a token in a file"], "pixverse-ctl", "rewind", "--to",
                  "2020-01-01T00:00:00Z", "--dry-run")
    tap.check("authenticat" not in rewound[1].lower() and "SASL" not in rewound[1] and
              rewound[0] in (0, 1), "rewind gets in", *rewound)


# --- each way to fail -----------------------------------------------------------

def deny(kafka, topic):
    """That user may not write there."""
    admin = AdminClient({"bootstrap.servers": kafka.brokers})
    acls = [AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL,
                       principal, "*", operation, kind)
            for principal, operation, kind in
            (("User:*", AclOperation.ALL, AclPermissionType.ALLOW),
             ("User:poor", AclOperation.WRITE, AclPermissionType.DENY))]
    for future in admin.create_acls(acls).values():
        future.result(20)


def ways_to_fail(world, kafka):
    """Settings, and the step and advice that check names."""
    plain = {"KAFKA_BROKERS": kafka.brokers}
    foreign, expired = TMP / "foreign", TMP / "expired"
    kafka.write_token(foreign, audience="others")
    kafka.write_token(expired, life_s=-60)
    login, port = kafka.login, kafka.login_port
    ca = {"KAFKA_CONF_SSL_CA_LOCATION": str(kafka.path("other.pem"))}
    return {
        "no such name": (login("PLAIN", KAFKA_BROKERS="no-such-host.invalid:9093"),
                         "name resolution: ", "advertised.listeners"),
        "nobody listens": (login("PLAIN", KAFKA_BROKERS=f"127.0.0.1:{free_port()}"),
                           "TCP connection: ", "nothing listens"),
        "no TLS there": (login("PLAIN", **plain), "TLS handshake: ", "without TLS"),
        "TLS there": ({"KAFKA_BROKERS": f"127.0.0.1:{port}"}, "security protocol: ",
                      "KAFKA_CONF_SECURITY_PROTOCOL"),
        "another CA": (login("PLAIN", **ca), "broker's certificate: ",
                       "KAFKA_CONF_SSL_CA_LOCATION"),
        "another name": (login("PLAIN", KAFKA_BROKERS=f"localhost:{port}"),
                         "broker's certificate: ", "KAFKA_"),
        "no certificate": ({k: v for k, v in kafka.certificate().items()
                            if "CERTIFICATE" not in k and "KEY" not in k},
                           "client certificate: ", "KAFKA_CONF_SSL_KEY_LOCATION"),
        "a stranger's certificate": (kafka.certificate(
            KAFKA_CONF_SSL_CERTIFICATE_LOCATION=str(kafka.path("other.pem")),
            KAFKA_CONF_SSL_KEY_LOCATION=str(kafka.path("other.key"))),
            "client certificate: ", "truststore"),
        "wrong password, PLAIN": (login("PLAIN", KAFKA_CONF_SASL_PASSWORD="wrong-" + CANARY),
                                  "credentials: ", "KAFKA_CONF_SASL_PASSWORD_FILE"),
        "wrong password, SCRAM": (login("SCRAM-SHA-256",
                                        KAFKA_CONF_SASL_PASSWORD="wrong-" + CANARY),
                                  "credentials: ", "this very mechanism"),
        "unknown user": (login("SCRAM-SHA-512", KAFKA_CONF_SASL_USERNAME="nobody"),
                         "credentials: ", "KAFKA_CONF_SASL_USERNAME"),
        "a token for others": (kafka.bearer(foreign), "credentials: ", "audience"),
        "an expired token": (kafka.bearer(expired), "token: ", "expired"),
        "no token": (kafka.bearer(TMP / "nowhere"), "token: ", "No such file"),
        "no right to write": (login("PLAIN", KAFKA_CONF_SASL_USERNAME="poor"),
                              "Topic authorization failed", "kafka-acls.sh"),
    }


def check_name_of_two(world, kafka):
    """A name with two addresses, of which one refuses again and again: what lasts is told
    all the same."""
    hosts = TMP / "hosts"
    hosts.write_text("::1 localhost\n127.0.0.1 localhost\n")
    done = subprocess.run(
        [*bound({"/etc/hosts": hosts}), BIN / "pixverse-worker", "check"],
        env=world.environment(**kafka.login(
            "PLAIN", KAFKA_BROKERS=f"localhost:{kafka.login_port}")),
        capture_output=True, text=True, timeout=90)
    lines = [line for line in done.stdout.splitlines() if line.startswith("fault ")]
    tap.check(done.returncode == 1 and len(lines) == 1 and "broker's certificate: " in lines[0],
              "another name of two addresses: check says broker's certificate", done)


def check_failures(world, kafka, pool):
    check_name_of_two(world, kafka)
    deny(kafka, world.topic("events"))
    ways = ways_to_fail(world, kafka)
    runs = {name: pool.submit(run, world, way[0], "pixverse-worker", "check")
            for name, way in ways.items()}
    for name, (_, step, advice) in ways.items():
        status, said = runs[name].result()
        lines = [line for line in said.splitlines() if line.startswith("fault ")]
        tap.check(status == 1 and len(lines) == 1 and step in lines[0] and
                  advice in lines[0] and CANARY not in said,
                  f"{name}: check says {step.strip(' :')}, and what to do", status, said)


def check_mechanism(world, kafka):
    """One that the listener hasn't: only MSK's is none of this Kafka's."""
    with Broker(["PLAIN"]) as broker:
        status, said = run(world, {**kafka.login("SCRAM-SHA-512"),
                                   "KAFKA_BROKERS": broker.address,
                                   **without_tls()}, "pixverse-worker", "check")
        tap.check(status == 1 and "fault    Kafka: SASL mechanism: " in said and
                  "mechanisms: PLAIN" in said,
                  "check names the mechanisms that the broker offers", said)


def without_tls():
    return {"KAFKA_CONF_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_CONF_SSL_CA_LOCATION": ""}


# --- settings -------------------------------------------------------------------

def check_settings(world, kafka, pool):
    """What is wrong with them is said at the start, before anything is tried."""
    bad = TMP / "bad.pem"
    bad.write_text("no key: " + CANARY)
    login, certificate = kafka.login, kafka.certificate
    wrong = {
        "KAFKA_CONF_SSL_CA_LOCATION": login(
            "PLAIN", KAFKA_CONF_SSL_CA_LOCATION="/nowhere/ca.pem"),
        "ssl.ca.location": login("PLAIN", KAFKA_CONF_SSL_CA_LOCATION=str(bad)),
        "ssl.key.location": certificate(KAFKA_CONF_SSL_KEY_LOCATION=str(bad)),
        "makes no client of them": certificate(  # a key of another certificate
            KAFKA_CONF_SSL_KEY_LOCATION=str(kafka.path("other.key"))),
        "KAFKA_CONF_SASL_USERNAME": login("PLAIN", KAFKA_CONF_SASL_USERNAME=""),
        "KAFKA_CONF_SASL_MECHANISM": login("NTLM"),
        "knows no property no.such": login("PLAIN", KAFKA_CONF_NO_SUCH=CANARY),
        "KAFKA_CONF_LINGER_MS": {"KAFKA_CONF_LINGER_MS": CANARY},
        "KAFKA_TOKENS_FROM": {"KAFKA_TOKENS_FROM": CANARY},
        "KAFKA_CONF_SASL_PASSWORD_FILE": login(
            "PLAIN", KAFKA_CONF_SASL_PASSWORD="",
            KAFKA_CONF_SASL_PASSWORD_FILE="/nowhere/password"),
    }
    for words in (("pixverse-worker", "run"), ("pixverse-ctl", "list")):
        runs = {name: pool.submit(run, world, settings, *words)
                for name, settings in wrong.items()}
        for name, future in runs.items():
            status, said = future.result()
            tap.check(status == 2 and name in said and CANARY not in said,
                      f"{words[0]} ends with 2, and names {name}", status, said)


# --- what changes while it runs ---------------------------------------------------

def readiness(worker):
    try:
        status, body = fetch(worker.admin + "/readyz")
    except OSError:
        return 0, ""
    return status, body.decode()


def wait_unready(worker, words, what):
    return wait_for(lambda: (found := readiness(worker))[0] == 503 and
                    all(word in found[1] for word in words) and found[1], 60, what)


def check_rotation(world, kafka):
    """The broker has another password, the worker hasn't."""
    worker = world.start_worker(**kafka.login("SCRAM-SHA-512"))
    world.send({"request_id": "before", "request": {"prompt": "a film"}})
    world.event("before")
    kafka.set_password("SCRAM-SHA-512", "another")
    said = wait_unready(worker, ["invalid credentials", "SCRAM-SHA-512"],
                        "/readyz tells the broker's words on the password")
    tap.check(CANARY not in said and "SASL authentication error" in said,
              "a password that was changed shows in /readyz, with the broker's reason",
              said)
    kafka.set_password("SCRAM-SHA-512", CANARY)
    wait_for(lambda: readiness(worker)[0] == 200, 60, "the old password is good again")
    world.send({"request_id": "after", "request": {"prompt": "a film"}})
    tap.equal(world.event("after")["status"], "completed",
              "and requests go on when it fits again")
    tap.equal(worker.stop(), 0, "drained")
    tap.check(CANARY not in worker.text(), "no password in its log")


def check_tokens(world, kafka):
    """Tokens of 8 s, replaced in time; then not; then again."""
    file = TMP / "short"
    stop = threading.Event()

    def rotate():
        while not stop.is_set():
            kafka.write_token(file, life_s=8)
            stop.wait(2)
    kafka.write_token(file, life_s=8)
    rotating = threading.Thread(target=rotate, daemon=True)
    rotating.start()
    worker = world.start_worker(**kafka.bearer(file))
    began, number = time.monotonic(), 0
    while time.monotonic() - began < 20:  # two lives of a token, and more
        world.send({"request_id": f"token-{number}", "request": {"prompt": "a film"}})
        tap.equal(world.event(f"token-{number}")["status"], "completed",
                  f"{number}: completed {time.monotonic() - began:.0f} s after the start")
        number += 1
        world.pump(1)
    stop.set()
    rotating.join()
    said = wait_unready(worker, ["expired", str(file)],
                        "/readyz says that the token has expired")
    tap.check(kafka.token()[:20] not in said, "no piece of a token in it")
    kafka.write_token(file, life_s=600)
    wait_for(lambda: readiness(worker)[0] == 200, 60, "ready again with a fresh token")
    world.send({"request_id": "token-last", "request": {"prompt": "a film"}})
    tap.equal(world.event("token-last")["status"], "completed", "and on it goes")
    tap.equal(worker.stop(), 0, "drained")
    tap.check("eyJ" not in worker.text(), "no token in its log")


# --- Amazon MSK -------------------------------------------------------------------

class Keys(http.server.BaseHTTPRequestHandler):
    """The endpoint that gives a container its keys."""

    def do_GET(self):
        body = json.dumps({
            "AccessKeyId": KEY_ID, "SecretAccessKey": KEY, "Token": SESSION,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(
                time.time() + 3600))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Broker:
    """As much of one as it takes to be told a token."""

    def __init__(self, mechanisms):
        self.mechanisms = mechanisms
        self.told = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()

    def accept(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer, peer.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                request = stream.read(struct.unpack(">i", head)[0])
                kind, version, correlation = struct.unpack_from(">hhi", request)
                reply = struct.pack(">i", correlation) + self.answer(
                    kind, version, request)
                peer.sendall(struct.pack(">i", len(reply)) + reply)

    def answer(self, kind, version, request):
        if kind == 18:  # ApiVersions: none but version 0
            known = ((17, 0, 1), (18, 0, 0), (36, 0, 1), (3, 0, 4), (0, 3, 7), (1, 4, 11))
            return struct.pack(">hi", 35 if version else 0, len(known)) + b"".join(
                struct.pack(">hhh", *one) for one in known)
        if kind == 17:  # SaslHandshake
            wanted = any(request.endswith(name.encode()) for name in self.mechanisms)
            return struct.pack(">hi", 0 if wanted else 33, len(self.mechanisms)) + \
                b"".join(struct.pack(">h", len(name)) + name.encode()
                         for name in self.mechanisms)
        self.told.append(request)  # SaslAuthenticate
        why = b"not today"
        return struct.pack(">hh", 58, len(why)) + why + struct.pack(">iq", 0, 0)


def signature(query, region):
    """Of a presigned URL, computed from its other parts as AWS documents it."""
    fields = {name: value for name, value in query.items()
              if name not in ("X-Amz-Signature", "User-Agent")}
    canonical = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}"
                         for k, v in sorted(fields.items()))
    date, scope = fields["X-Amz-Date"], fields["X-Amz-Credential"].split("/", 1)[1]
    request = (f"GET\n/\n{canonical}\nhost:kafka.{region}.amazonaws.com\n\nhost\n"
               + hashlib.sha256(b"").hexdigest())
    text = "\n".join(("AWS4-HMAC-SHA256", date, scope,
                      hashlib.sha256(request.encode()).hexdigest()))
    key = ("AWS4" + KEY).encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def check_msk(world):
    """A token for MSK, made with keys of the container's endpoint."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys = f"http://127.0.0.1:{server.server_address[1]}/keys"
    settings = {"KAFKA_TOKENS_FROM": "aws-msk-iam", "AWS_REGION": "eu-west-1",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": keys, "HOME": str(TMP),
                "KAFKA_CONF_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
    with Broker(["OAUTHBEARER"]) as broker:
        status, said = run(world, {**settings, "KAFKA_BROKERS": broker.address},
                           "pixverse-worker", "check")
        tap.check(status == 1 and "fault    Kafka: credentials: " in said and
                  "not today" in said and KEY not in said and SESSION not in said,
                  "check says that the broker refused MSK's token", said)
        told = broker.told[0]
    token = told[told.index(b"auth=Bearer ") + 12:].split(b"\x01")[0]
    url = urlsplit(base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4)).decode())
    query = dict(parse_qsl(url.query))
    tap.equal((url.scheme, url.netloc, url.path, query["Action"], query["X-Amz-Expires"],
               query["X-Amz-Security-Token"], query["X-Amz-Credential"].split("/")[0]),
              ("https", "kafka.eu-west-1.amazonaws.com", "/", "kafka-cluster:Connect",
               "900", SESSION, KEY_ID), "the token is a URL presigned for MSK")
    tap.equal(query["X-Amz-Signature"], signature(query, "eu-west-1"),
              "its signature is the one that its parts give")
    server.shutdown()
    gone = {**settings, "AWS_CONTAINER_CREDENTIALS_FULL_URI":
            f"http://127.0.0.1:{free_port()}/keys"}
    status, said = run(world, {**gone, "KAFKA_BROKERS": "127.0.0.1:1"},
                       "pixverse-worker", "check")
    tap.check(status == 1 and "fault    Kafka: token: " in said and
              "no credentials for Kafka" in said, "no keys: check says so", said)


def main():
    with secured.Secured() as kafka, World(workers=0, kafka=kafka) as world, \
            World(workers=0, kafka=kafka, name="tokens", postgres=Database("tokens")) as other, \
            concurrent.futures.ThreadPoolExecutor(5) as pool:
        tokens = pool.submit(check_tokens, other, kafka)  # it mostly waits
        check_ways_in(world, kafka, pool)
        check_failures(world, kafka, pool)
        check_mechanism(world, kafka)
        check_settings(world, kafka, pool)
        check_msk(world)
        tokens.result()
        check_rotation(world, kafka)


if __name__ == "__main__":
    tap.run(main)
