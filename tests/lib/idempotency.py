"""The idempotency key of a send, made a second time: nothing is taken from the
program but what CONTRACT says of it."""

import hashlib
import struct


def key_of(salt, request_id, content, submission=0, attempt=0):
    """SHA-256 over the parts, each behind its length; the last is the attempt."""
    parts = (salt, request_id.encode(), content, str(submission).encode(),
             str(attempt).encode())
    return hashlib.sha256(b"".join(struct.pack(">I", len(p)) + p for p in parts)).hexdigest()
