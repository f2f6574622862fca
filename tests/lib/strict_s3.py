#!/usr/bin/env python3
"""A small S3 that is strict: it checks every signature, of heads, chunks and trailers, every
hash and every checksum, keeps what it is given in memory, and refuses what it is told to.

    strict_s3.py [--path /storage/v1/s3] [word…]

It prints its address and serves until its standard input ends. The key is AKIATEST, the secret
"secret". Words, also to be changed by POST /-/refuse with words as the body:

    frames=HOW      bodies in frames; HOW: 501, InvalidArgument, XAmzContentSHA256Mismatch,
                    SignatureDoesNotMatch, early (501 and a reset before the body is read),
                    keep (stored with their frames), once (501, the first one only)
    large=HOW       the same of those over 100,000 bytes
    plain=HOW       bodies that aren't signed
    sums=HOW        x-amz-checksum-sha256, x-amz-checksum-algorithm
    conditions=HOW  If-None-Match; HOW may be ignore too
    ends=HOW        the same where parts are completed
    parts=HOW       uploads in parts
    reading=HOW     GET
    deleting=HOW    DELETE of an object

GET /-/log gives one line a request: method, path, status, payload word."""

import base64
import hashlib
import hmac
import socket
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ID, SECRET = "AKIATEST", "secret"
EMPTY = hashlib.sha256(b"").hexdigest()
lock = threading.Lock()
state = {"refuse": {}, "path": "", "objects": {}, "made": {}, "uploads": {}, "log": [], "count": 0}


class Refused(Exception):
    """status, code"""


def mac(key, text):
    return hmac.new(key, text.encode() if isinstance(text, str) else text, hashlib.sha256).digest()


def refuses(what):
    how = state["refuse"].get(what)
    if how == "once":
        del state["refuse"][what]
        how = "501"
    return how


def refuse(what):
    how = refuses(what)
    if how in (None, "keep", "ignore"):
        return how
    if how in ("501", "early"):
        raise Refused(501, "NotImplemented")
    raise Refused(403 if how in ("SignatureDoesNotMatch", "AccessDenied") else 400, how)


class Signed:
    """The signature of one request, and what chunks go on from."""

    def __init__(self, method, path, query, headers):
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        parts = dict(p.strip().split("=", 1) for p in rest.split(",") if "=" in p)
        if scheme != "AWS4-HMAC-SHA256" or not parts.get("Credential", "").startswith(ID + "/"):
            raise Refused(403, "InvalidAccessKeyId")
        self.scope = parts["Credential"].split("/", 1)[1]
        self.date = headers["x-amz-date"]
        names = parts["SignedHeaders"].split(";")
        for name in headers:
            if (name.startswith("x-amz-") or name in ("host", "content-type")) and name not in names:
                raise Refused(403, "AccessDenied")
        pairs = [p.partition("=") for p in query.split("&") if p]
        text = "&".join(f"{n}={v}" for n, _, v in sorted(pairs))
        canonical = "\n".join([
            method, path, text, *(f"{n}:{' '.join(headers[n].split())}" for n in names), "",
            ";".join(names), headers["x-amz-content-sha256"]])
        self.key = ("AWS4" + SECRET).encode()
        for word in self.scope.split("/"):
            self.key = mac(self.key, word)
        self.last = parts["Signature"]
        wanted = self.sign("AWS4-HMAC-SHA256", [hashlib.sha256(canonical.encode()).hexdigest()],
                           seed=False)
        if wanted != self.last:
            raise Refused(403, "SignatureDoesNotMatch")

    def sign(self, kind, hashes, seed=True):
        lines = [kind, self.date, self.scope, *([self.last] if seed else []), *hashes]
        return mac(self.key, "\n".join(lines)).hex()

    def go_on(self, kind, hashes, given):
        wanted = self.sign(kind, hashes)
        if given != wanted:
            raise Refused(403, "SignatureDoesNotMatch")
        self.last = wanted


def unframe(body, signed, headers, chained):
    """The data of a body in frames, each checked; and the trailer."""
    data, at = b"", 0
    while True:
        end = body.index(b"\r\n", at)
        size, _, given = body[at:end].decode().partition(";chunk-signature=")
        size = int(size, 16)
        piece = body[end + 2:end + 2 + size]
        if chained:
            signed.go_on("AWS4-HMAC-SHA256-PAYLOAD",
                         [EMPTY, hashlib.sha256(piece).hexdigest()], given)
        at = end + 2 + size
        if size == 0:
            break
        if body[at:at + 2] != b"\r\n":
            raise Refused(400, "InvalidRequest")
        at += 2
        data += piece
    lines = [line for line in body[at:].decode().split("\r\n") if line]
    trailer = dict(line.split(":", 1) for line in lines)
    name = headers.get("x-amz-trailer")
    if not name or name not in trailer:
        raise Refused(400, "MalformedTrailerError")
    if chained:
        text = f"{name}:{trailer[name]}\n"
        signed.go_on("AWS4-HMAC-SHA256-TRAILER", [hashlib.sha256(text.encode()).hexdigest()],
                     trailer["x-amz-trailer-signature"])
    if len(data) != int(headers["x-amz-decoded-content-length"]):
        raise Refused(400, "IncompleteBody")
    if trailer[name] != base64.b64encode(hashlib.sha256(data).digest()).decode():
        raise Refused(400, "BadDigest")
    return data


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and its body leave one after the other

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def is_framed(self, headers):
        return headers.get("x-amz-content-sha256", "").startswith("STREAMING-")

    def early(self, headers):
        """A refusal before the body is read, and a reset behind it."""
        if self.command != "PUT" or not self.is_framed(headers):
            return False
        if state["refuse"].get("frames") != "early":
            return False
        self.wfile.write(b"HTTP/1.1 501 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        state["log"].append(f"{self.command} {self.path} early {headers['x-amz-content-sha256']}")
        return True

    def body_of(self, headers, signed, body):
        word = headers["x-amz-content-sha256"]
        if self.is_framed(headers):
            how = refuse("frames")
            if int(headers.get("x-amz-decoded-content-length", 0)) > 100000:
                refuse("large")
            if how == "keep":
                return body
            return unframe(body, signed, headers, "AWS4-HMAC" in word)
        if word == "UNSIGNED-PAYLOAD":
            refuse("plain")
        elif word != hashlib.sha256(body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch")
        if "x-amz-checksum-sha256" in headers:
            refuse("sums")
            wanted = base64.b64encode(hashlib.sha256(body).digest()).decode()
            if headers["x-amz-checksum-sha256"] != wanted:
                raise Refused(400, "BadDigest")
        return body

    def condition(self, what, headers, key):
        if "if-none-match" in headers and refuse(what) != "ignore" and key in state["objects"]:
            raise Refused(412, "PreconditionFailed")

    def upload(self, key, query, headers, data):
        refuse("parts")
        if "uploads" in query:
            if "x-amz-checksum-algorithm" in headers:
                refuse("sums")
            state["count"] += 1
            state["uploads"][str(state["count"])] = (key, {})
            return 200, f"<R><UploadId>{state['count']}</UploadId></R>", {}
        name = query["uploadId"]
        if name not in state["uploads"]:
            raise Refused(404, "NoSuchUpload")
        parts = state["uploads"][name][1]
        if self.command == "PUT":
            parts[int(query["partNumber"])] = data
            return 200, "", {"ETag": f'"{hashlib.md5(data).hexdigest()}"'}
        if self.command == "POST":
            self.condition("ends", headers, key)
            state["objects"][key] = (b"".join(parts[n] for n in sorted(parts)), {})
            state["made"][key] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        del state["uploads"][name]
        return (200, "<R/>", {}) if self.command == "POST" else (204, "", {})

    def listed(self, query):
        ours = [(n, k) for n, (k, _) in sorted(state["uploads"].items())
                if k.startswith(query.get("prefix", ""))]
        return 200, "<R>" + "".join(
            f"<Upload><Key>{k}</Key><UploadId>{n}</UploadId>"
            "<Initiated>2013-05-24T00:00:00.000Z</Initiated></Upload>" for n, k in ours) + "</R>", {}

    def listed_objects(self, query):
        """Two to a page; the next one begins behind the last name."""
        ours = [k for k in sorted(state["objects"])
                if k.startswith(query.get("prefix", "")) and k > query.get("continuation-token", "")]
        text = "".join(f"<Contents><Key>{k}</Key><LastModified>{state['made'][k]}</LastModified>"
                       "</Contents>" for k in ours[:2])
        more = f"<NextContinuationToken>{ours[1]}</NextContinuationToken>" if ours[2:] else ""
        return 200, f"<R><IsTruncated>{'true' if more else 'false'}</IsTruncated>{text}{more}</R>", {}

    def serve(self, path, query_text, headers, body):
        signed = Signed(self.command, path, query_text, headers)
        query = dict(urllib.parse.parse_qsl(query_text, keep_blank_values=True))
        if not path.startswith(state["path"] + "/"):
            raise Refused(404, "NoSuchKey")
        bucket, _, key = urllib.parse.unquote(path[len(state["path"]) + 1:]).partition("/")
        if bucket != "videos":
            raise Refused(404, "NoSuchBucket")
        data = self.body_of(headers, signed, body)
        if self.command == "GET" and "uploads" in query:
            return self.listed(query)
        if self.command == "GET" and "list-type" in query:
            return self.listed_objects(query)
        if "uploads" in query or "uploadId" in query:
            return self.upload(key, query, headers, data)
        if self.command == "PUT":
            self.condition("conditions", headers, key)
            kept = {n.replace("-", "_"): headers[n] for n in ("content-encoding", "content-type")
                    if n in headers}
            state["objects"][key] = (data, kept)
            state["made"][key] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
            return 200, "", {"ETag": '"e"'}
        if self.command == "DELETE":
            refuse("deleting")
            state["objects"].pop(key, None)
            return 204, "", {}
        if self.command == "GET":
            refuse("reading")
        if key not in state["objects"]:
            raise Refused(404, "NoSuchKey")
        return 200, *state["objects"][key]

    def aside(self, body):
        """The test's own questions."""
        if self.path == "/-/refuse":
            state["refuse"] = dict(word.split("=", 1) for word in body.decode().split())
        elif self.path == "/-/forget":
            state["log"].clear()
        elif self.path == "/-/upload":
            state["count"] += 1
            state["uploads"][str(state["count"])] = (body.decode(), {})
        elif self.path == "/-/object":  # name and when it was made
            key, made = body.decode().split()
            state["objects"][key], state["made"][key] = (b"", {}), made
        elif self.path == "/-/uploads":
            return "\n".join(k for k, _ in state["uploads"].values())
        elif self.path == "/-/objects":
            return "\n".join(f"{k} {len(v[0])} {v[1].get('content_encoding', '-')}"
                             for k, v in sorted(state["objects"].items()))
        return "\n".join(state["log"])

    def handle_any(self):
        headers = {n.lower(): v for n, v in self.headers.items()}
        if self.early(headers):
            return
        length = int(headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # broken off: nobody is there to be told
            self.close_connection = True
            return
        with lock:
            if self.path.startswith("/-/"):
                self.answer(200, self.aside(body))
                return
            path, _, query = self.path.partition("?")
            try:
                status, text, more = self.serve(path, query, headers, body)
            except Refused as why:
                status, code = why.args
                text, more = f"<Error><Code>{code}</Code><Message>no</Message></Error>", {}
            except (KeyError, ValueError, IndexError):
                status, text, more = 400, "<Error><Code>InvalidRequest</Code></Error>", {}
            word = headers.get("x-amz-content-sha256", "-")
            guard = " guarded" if "if-none-match" in headers else ""
            state["log"].append(f"{self.command} {self.path} {status} {word}{guard}")
            self.answer(status, text, **more)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any


def main(words):
    if words[:1] == ["--path"]:
        state["path"] = words[1]
        words = words[2:]
    state["refuse"] = dict(word.split("=", 1) for word in words)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
