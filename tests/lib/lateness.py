"""By how much a busy machine is late by itself, for tests with a limit of seconds."""

import collections
import itertools
import threading
import time

import psycopg

PROMPT_S = 0.5  # a commit, and the pause behind it
MOST_S = 5  # more is no excuse: what we do may be what makes the server slow
LEASE_MS = 5000  # where nothing else is said
BEAT_MS = LEASE_MS // 5
SEEN_MS = 200  # by so much a gap may be longer to the worker than to us
LATE_MAX_MS = 3000  # of beats that don't count anew: a loop that stands still is no excuse


class Bystander:
    """Commits beside the workers, and knows by how much it was late with that."""

    def __init__(self, url):
        self.url = url
        self.late_s = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection = None
        while not self.over.is_set():
            began = time.monotonic()
            try:
                connection = connection or psycopg.connect(self.url, autocommit=True,
                                                           connect_timeout=10)
                connection.execute("SELECT pg_current_xact_id()")
            except psycopg.OperationalError:
                connection = None
            time.sleep(0.05)
            self.late_s += max(0, time.monotonic() - began - PROMPT_S)

    def end(self):
        """Seconds to be added to a limit, MOST_S at most."""
        self.over.set()
        self.thread.join()
        return min(self.late_s, MOST_S)


class Beats:
    """When each lease was seen to be renewed: by how much a busy machine was late."""

    def __init__(self, url):
        self.url = url
        self.seen = collections.defaultdict(list)  # lease -> milliseconds since 1970
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        counters = {}
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.over.wait(0.1):
                rows = connection.execute("SELECT id, counter FROM lease").fetchall()
                for lease, counter in rows:
                    if counters.get(lease) != counter:
                        self.seen[lease].append(time.time() * 1000)
                counters = dict(rows)

    def close(self):
        self.over.set()
        self.thread.join()

    def counts_from(self, lease, since_ms, until_ms):
        """Since when that worker could count the stillness of others without a break, and
        by how much it was late from there on: the product's own rules for late beats."""
        late_ms = 0
        for before, at in itertools.pairwise(self.seen[lease]):
            gap_ms = at - before
            if before >= until_ms:
                break
            if gap_ms > LEASE_MS - SEEN_MS and at + LEASE_MS > since_ms:  # a newcomer again
                since_ms, late_ms = at + LEASE_MS, 0
            elif at <= since_ms or gap_ms < BEAT_MS * 1.25:
                continue
            elif gap_ms > LEASE_MS / 2 - SEEN_MS:
                since_ms, late_ms = at, 0
            else:
                late_ms += gap_ms - BEAT_MS
        return since_ms + min(late_ms, LATE_MAX_MS)
