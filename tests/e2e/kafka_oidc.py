#!/usr/bin/env python3
# tests/run: postgres kafka timeout=120
"""OIDC for Kafka, by librdkafka: the token of an endpoint comes to the broker; where
librdkafka was built without it (Debian 12), the start says so and names another way.
`image/trixie` runs it on Debian 13's, which has it."""

import base64
import http.server
import json
import threading
import time

import tap
from kafka_login import Broker, run
from world import World

SECRET = "s3cret-of-nobody"


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Gives tokens for a client's id and secret."""

    told = []
    gave = []  # tokens: each client asks for its own, and not all are shown in time
    refuses = False

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        self.told.append((login, body))
        now = int(time.time())
        token = ".".join((part({"alg": "RS256", "typ": "JWT"}),
                          part({"sub": "worker", "iat": now, "exp": now + 600}), "c2lnbmVk"))
        if not self.refuses:
            self.gave.append(token)
        answer = ({"error": "invalid_client"} if self.refuses else
                  {"access_token": token, "token_type": "Bearer", "expires_in": 600})
        text = json.dumps(answer).encode()
        self.send_response(401 if self.refuses else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def check_with(world, settings):
    with Broker(["OAUTHBEARER"]) as broker:
        status, said = run(world, {**settings, "KAFKA_BROKERS": broker.address},
                           "pixverse-worker", "check")
        tap.check(status == 1 and "not today" in said and SECRET not in said,
                  "check logs in with a token, and tells the broker's refusal", status, said)
        tap.check(any(b"auth=Bearer " + token.encode() in told for told in broker.told
                      for token in Endpoint.gave),
                  "the broker was shown the endpoint's token", broker.told)
        tap.check(Endpoint.told and Endpoint.told[0][0] == f"me:{SECRET}"
                  and "grant_type=client_credentials" in Endpoint.told[0][1]
                  and "scope=kafka" in Endpoint.told[0][1],
                  "which was asked with id, secret and scope", Endpoint.told)
    Endpoint.refuses = True
    with Broker(["OAUTHBEARER"]) as broker:  # another: that one may still hear of the first
        status, said = run(world, {**settings, "KAFKA_BROKERS": broker.address},
                           "pixverse-worker", "check")
        tap.check(status == 1 and "fault    Kafka: token: " in said and SECRET not in said
                  and not broker.told, "an endpoint that refuses is told as one", status, said)


def check_without(world, settings):
    for words in (("pixverse-worker", "run"), ("pixverse-worker", "check"), ("pixverse-ctl", "list")):
        status, said = run(world, settings, *words)
        tap.check(status == 2 and "depends on libcurl" in said and SECRET not in said
                  and "KAFKA_TOKENS_FROM=file:///" in said and said.count("KAFKA_TOKENS_FROM") == 1,
                  f"{words[1]}: no OIDC here, and what goes instead", status, said)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    named = "KAFKA_CONF_SASL_OAUTHBEARER_"
    settings = {"KAFKA_CONF_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "KAFKA_CONF_SASL_MECHANISM": "OAUTHBEARER", named + "METHOD": "oidc",
                named + "CLIENT_ID": "me", named + "CLIENT_SECRET": SECRET, named + "SCOPE": "kafka",
                named + "TOKEN_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}/token"}
    with World(workers=0) as world:
        _, said = run(world, {**settings, "KAFKA_BROKERS": "127.0.0.1:1"}, "pixverse-ctl", "list")
        if "not supported in this build" in said:
            check_without(world, settings)
        else:
            check_with(world, settings)
    server.shutdown()


if __name__ == "__main__":
    tap.run(main)
