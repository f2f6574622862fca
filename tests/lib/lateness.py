"""By how much a busy machine is late by itself, for tests with a limit of seconds."""

import threading
import time

import psycopg

PROMPT_S = 0.5  # a commit, and the pause behind it
MOST_S = 5  # more is no excuse: what we do may be what makes the server slow


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
