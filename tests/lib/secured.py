"""One node of Apache Kafka as people have it: TLS, logins, rights.

    with secured.Secured() as kafka:
        kafka.brokers                   # PLAINTEXT, for the test itself
        kafka.login("SCRAM-SHA-512")    # settings of a worker that logs in
        kafka.certificate()             # of one that shows a certificate

The listener LOGIN is SASL_SSL with all mechanisms, CERTIFICATE is SSL and wants a
client's certificate. Tokens are JWTs that an issuer of the test's own has signed.
"""

import base64
import json
import os
import re
import subprocess
import time

from confluent_kafka.admin import (AdminClient, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialUpsertion)

from languages import one_at_a_time
from world import BIN, ROOT, TMP, Kafka, free_port, parts

USER, PASSWORD = "worker", "canary-password"
REAUTH_MS = 4000  # so long a login with SCRAM-SHA-512 or a token holds
JAAS = "org.apache.kafka.common.security"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], check=True, input=data,
                          capture_output=True).stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Secured(Kafka):
    def __init__(self):
        self.certificates = TMP / "certificates"
        self.certificates.mkdir()
        self.make_certificates()
        self.make_issuer()
        self.login_port, self.certificate_port = free_port(), free_port()
        os.environ["PARTS_KAFKA_LISTENERS"] = (
            f"LOGIN://127.0.0.1:{self.login_port},"
            f"CERTIFICATE://127.0.0.1:{self.certificate_port}")
        os.environ["JAVA_TOOL_OPTIONS"] = (
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.jwks.as_uri()} "
            "-XX:TieredStopAtLevel=1")
        try:
            super().__init__(*self.properties(), jars=self.jars_of())
        finally:
            del os.environ["PARTS_KAFKA_LISTENERS"], os.environ["JAVA_TOOL_OPTIONS"]
        self.users = {}
        for mechanism in MECHANISMS[1:3]:
            self.set_password(mechanism, PASSWORD)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @staticmethod
    def jars_of():
        """Kafka 4 refuses the SCRAM of a librdkafka before 2.6.1, whatever the password
        (librdkafka's #4895); Kafka 3.9 takes it."""
        told = subprocess.run([BIN / "pixverse-worker", "version"], check=True,
                              capture_output=True, text=True).stdout
        version = tuple(map(int, re.search(r"librdkafka (\d+)\.(\d+)\.(\d+)", told).groups()))
        if version >= (2, 6, 1):
            return ROOT / "build/parts/kafka/lib"
        folder = ROOT / "build/parts/kafka-3.9"
        with one_at_a_time("kafka-3.9"):  # its first step takes away what is there
            parts('parts_kafka_fetch "$@"', folder, "3.9.1")
        return folder / "lib"

    # --- what the node has ----------------------------------------------------

    def path(self, name):
        return self.certificates / name

    def make_certificates(self):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 30, "-subj",
                "/CN=test CA", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))
        for name, more in (("broker", "subjectAltName=IP:127.0.0.1"),
                           ("client", "extendedKeyUsage=clientAuth")):
            openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))
            self.path(f"{name}.ext").write_text(more)
            openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA",
                    self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial",
                    "-days", 30, "-extfile", self.path(f"{name}.ext"), "-out",
                    self.path(f"{name}.pem"))
        self.path("keys.pem").write_text(self.path("broker.key").read_text() +
                                         self.path("broker.pem").read_text())
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 30, "-subj",
                "/CN=nobody's CA", "-keyout", self.path("other.key"), "-out",
                self.path("other.pem"))

    def make_issuer(self):
        openssl("genrsa", "-out", self.path("issuer.key"), 2048)
        modulus = openssl("rsa", "-in", self.path("issuer.key"), "-noout", "-modulus")
        number = bytes.fromhex(modulus.decode().strip().split("=")[1])
        self.jwks = self.path("jwks.json")
        self.jwks.write_text(json.dumps({"keys": [{
            "kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256",
            "n": base64url(number), "e": "AQAB"}]}))

    def properties(self):
        login = "listener.name.login."
        bearer = login + "oauthbearer.sasl."
        return (
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "LOGIN:SASL_SSL,CERTIFICATE:SSL",
            "ssl.keystore.type=PEM", f"ssl.keystore.location={self.path('keys.pem')}",
            "ssl.truststore.type=PEM", f"ssl.truststore.location={self.path('ca.pem')}",
            "listener.name.certificate.ssl.client.auth=required",
            f"{login}sasl.enabled.mechanisms={','.join(MECHANISMS)}",
            f"{login}plain.sasl.jaas.config={JAAS}.plain.PlainLoginModule required "
            f'user_{USER}="{PASSWORD}" user_poor="{PASSWORD}";',
            *(f"{login}{mechanism.lower()}.sasl.jaas.config="
              f"{JAAS}.scram.ScramLoginModule required;" for mechanism in MECHANISMS[1:3]),
            f"{login}scram-sha-512.connections.max.reauth.ms={REAUTH_MS}",
            f"{login}oauthbearer.connections.max.reauth.ms={REAUTH_MS}",
            f"{bearer}jaas.config={JAAS}.oauthbearer.OAuthBearerLoginModule required;",
            f"{bearer}server.callback.handler.class="
            f"{JAAS}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            f"sasl.oauthbearer.jwks.endpoint.url={self.jwks.as_uri()}",
            "sasl.oauthbearer.expected.audience=kafka",
            # Kafka 4.1.0's default believes any token (CVE-2026-33557).
            "sasl.oauthbearer.jwt.validator.class="
            f"{JAAS}.oauthbearer.BrokerJwtValidator",
            "authorizer.class.name="
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found=true",
            "super.users=User:ANONYMOUS",
        )

    def set_password(self, mechanism, password):
        """Of USER; existing logins hold until they have to be repeated."""
        kind = ScramMechanism.SCRAM_SHA_256 if mechanism.endswith("256") else \
            ScramMechanism.SCRAM_SHA_512
        admin = AdminClient({"bootstrap.servers": self.brokers})
        for future in admin.alter_user_scram_credentials([UserScramCredentialUpsertion(
                USER, ScramCredentialInfo(kind, 4096), password.encode())]).values():
            future.result(20)

    # --- what a worker is told ------------------------------------------------

    def login(self, mechanism, **more):
        """Settings of a user and a password; more by property names, _ for dots."""
        return {
            "KAFKA_BROKERS": f"127.0.0.1:{self.login_port}",
            "KAFKA_CONF_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_CONF_SASL_MECHANISM": mechanism,
            "KAFKA_CONF_SASL_USERNAME": USER,
            "KAFKA_CONF_SASL_PASSWORD": PASSWORD,
            "KAFKA_CONF_SSL_CA_LOCATION": str(self.path("ca.pem")),
            **more,
        }

    def certificate(self, **more):
        return {
            "KAFKA_BROKERS": f"127.0.0.1:{self.certificate_port}",
            "KAFKA_CONF_SECURITY_PROTOCOL": "SSL",
            "KAFKA_CONF_SSL_CA_LOCATION": str(self.path("ca.pem")),
            "KAFKA_CONF_SSL_CERTIFICATE_LOCATION": str(self.path("client.pem")),
            "KAFKA_CONF_SSL_KEY_LOCATION": str(self.path("client.key")),
            **more,
        }

    def bearer(self, file, **more):
        return {
            "KAFKA_BROKERS": f"127.0.0.1:{self.login_port}",
            "KAFKA_TOKENS_FROM": file.as_uri(),
            "KAFKA_CONF_SSL_CA_LOCATION": str(self.path("ca.pem")),
            **more,
        }

    def token(self, life_s=600, audience="kafka"):
        now = time.time()
        parts = [base64url(json.dumps(part).encode()) for part in (
            {"alg": "RS256", "kid": "one", "typ": "JWT"},
            {"sub": USER, "aud": audience, "iss": "https://issuer.example",
             "iat": int(now), "exp": now + life_s, "scope": "kafka"})]
        signed = ".".join(parts).encode()
        return signed.decode() + "." + base64url(openssl(
            "dgst", "-sha256", "-sign", self.path("issuer.key"), data=signed))

    def write_token(self, file, **more):
        """As a secret that is mounted changes: another file under the name."""
        new = file.with_suffix(".new")
        new.write_text(self.token(**more) + "\n")
        new.rename(file)
