"""The run's S3 server as a test looks at it: calls of our own making, signed by the
published rules, and the folder in which the server keeps its objects."""

import contextlib
import hashlib
import hmac
import os
import signal
import threading
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import quote, urlparse

SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def bucket():
    return os.environ["TEST_S3_BUCKET"]


def folder():
    """Of the bucket: its objects are files there, under their keys."""
    return Path(os.environ["TEST_S3_FOLDER"]) / bucket()


def storage_url(prefix, endpoint=None):
    """STORAGE_URL below a prefix."""
    return (f"s3://{bucket()}/{prefix}?endpoint="
            f"{endpoint or os.environ['TEST_S3_ENDPOINT']}")


def keys():
    """The credentials, as environment of a worker."""
    return {"AWS_ACCESS_KEY_ID": os.environ["TEST_S3_KEY"],
            "AWS_SECRET_ACCESS_KEY": os.environ["TEST_S3_SECRET"]}


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def call(method, path, query=None, endpoint=None, timeout=20):
    """(status, body) of one call with an empty body."""
    endpoint = endpoint or os.environ["TEST_S3_ENDPOINT"]
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    day = now[:8]
    text = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}"
                    for k, v in sorted((query or {}).items()))
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": urlparse(endpoint).netloc, "x-amz-content-sha256": empty,
               "x-amz-date": now}
    names = ";".join(sorted(headers))
    canonical = "\n".join([method, quote(path), text,
                           *(f"{k}:{headers[k]}" for k in sorted(headers)), "",
                           names, empty])
    scope = f"{day}/us-east-1/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope,
                         hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + os.environ["TEST_S3_SECRET"].encode()
    for word in (day, "us-east-1", "s3", "aws4_request"):
        key = mac(key, word)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={os.environ['TEST_S3_KEY']}/{scope}, "
        f"SignedHeaders={names}, Signature={mac(key, to_sign).hex()}")
    request = urllib.request.Request(f"{endpoint}{quote(path)}?{text}", method=method,
                                     headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def begin_upload(key):
    """An upload in parts that nobody goes on with."""
    status, body = call("POST", f"/{bucket()}/{key}", {"uploads": ""})
    if status != 200:
        raise RuntimeError(f"{key}: {status} {body[:300]}")


def list_uploads(query, limit_s=20):
    """One page. The server looks once more at each upload that it has found: one that ends
    in between is an error of its own, and it is asked again."""
    end = time.monotonic() + limit_s
    while True:
        status, body = call("GET", f"/{bucket()}", query)
        if status == 200:
            return ElementTree.fromstring(body)
        if time.monotonic() > end:
            raise RuntimeError(f"list of uploads: {status} {body[:300]}")
        time.sleep(0.05)


def uploads_of(prefix):
    """The keys of all uploads below a prefix that were neither completed nor aborted."""
    found = []
    query = {"uploads": "", "prefix": prefix}
    while True:
        page = list_uploads(query)
        space = SPACE if page.tag.startswith("{") else ""
        found += [u.findtext(space + "Key") for u in page.iter(space + "Upload")]
        if page.findtext(space + "IsTruncated") != "true":
            return found
        query["key-marker"] = page.findtext(space + "NextKeyMarker")
        query["upload-id-marker"] = page.findtext(space + "NextUploadIdMarker")


def object_of(uri):
    """Where the server keeps an object of an s3:// URI."""
    place = urlparse(uri)
    if place.scheme != "s3" or place.netloc != bucket():
        raise ValueError(f"{uri} is not in s3://{bucket()}")
    return folder() / place.path.lstrip("/")


class Server:
    """One more server for the test alone, to be ended, frozen and slowed at will; from
    here on it is the one that this module and every World speak of."""

    def __init__(self, program, port, home):
        self.program = program  # world.Program
        self.port = port
        self.home = home
        (home / bucket()).mkdir(parents=True)
        os.environ["TEST_S3_FOLDER"] = str(home)
        os.environ["TEST_S3_ENDPOINT"] = f"http://127.0.0.1:{port}"
        os.environ["ROOT_ACCESS_KEY"] = os.environ["TEST_S3_KEY"]
        os.environ["ROOT_SECRET_KEY"] = os.environ["TEST_S3_SECRET"]
        self.process = None
        self.start()

    def start(self):
        gateway = Path(os.environ["TEST_ROOT"]) / "build/parts/versitygw/versitygw"
        self.process = self.program("s3", [
            gateway, "--quiet", "--port", f"127.0.0.1:{self.port}", "posix", self.home],
            env=dict(os.environ))
        end = time.monotonic() + 60
        while True:
            try:
                return call("GET", f"/{bucket()}", {"uploads": ""})
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def kill(self):
        self.process.kill()

    def freeze(self):
        self.process.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def slow(self):
        """It works for a tenth of the time."""
        over = threading.Event()

        def halt_and_go():
            while not over.wait(0.01):
                self.freeze()
                over.wait(0.09)
                self.thaw()
        thread = threading.Thread(target=halt_and_go)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
