"""What an item injected and what came of it: one line `# record {json}` at its
end, which tests/fault/report adds up.

    faults      how many of each kind were injected, the simulator's included
    requests    distinct ids that were put on the topic
    billed      purchases in the simulator's ledger
    doubtful    requests with a send that brought no answer: replayed, settled as
                submit_unknown, or in doubt at the end
    repeated    events that came once more, with the same id and bytes
    took_over   seconds from a worker's death to the first poll of each orphan
    stall_s     the longest turn of a loop, of workers that are not frozen and
                whose clocks don't jump
    violations  what must never be, in words
    detected    purchases under a key that a lying provider sold twice
"""

import atexit
import collections
import json
import sys
import threading
import uuid


class Record:
    """The sums of one process, of all its threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.faults = collections.Counter()
        self.counts = collections.Counter()
        self.took_over = []
        self.stall_s = 0.0
        self.violations = []

    def injected(self, kind, n=1):
        if n:
            with self.lock:
                self.faults[kind] += n

    def stalled(self, seconds):
        self.stall_s = max(self.stall_s, seconds)

    def add(self, **counts):
        with self.lock:
            self.counts.update(counts)

    def violation(self, text):
        self.violations.append(text)

    def line(self):
        return "# record " + json.dumps({
            "faults": dict(sorted(self.faults.items())), **self.counts,
            "took_over": [round(s, 3) for s in self.took_over],
            "stall_s": round(self.stall_s, 4), "violations": self.violations[:20],
            "violated": len(self.violations)})


RECORD = Record()


def purchases(tasks):
    """How often each key was sold."""
    return collections.Counter(task["key"] for task in tasks)


def judge_purchases(tasks, stored_keys, outside, where):
    """Each key at most once, and none that the database doesn't know."""
    for key, n in purchases(tasks).items():
        if key is None:
            RECORD.violation(f"{where}: bought without a key")
        elif n > 1 and outside:
            RECORD.add(detected=n - 1)
        elif n > 1:
            RECORD.violation(f"{where}: {key} bought {n} times")
    if stored_keys is not None:
        for key in {task["key"] for task in tasks} - {None} - stored_keys:
            RECORD.violation(f"{where}: {key} was bought for nobody")


LEAVES_OPEN = {"timed_out", "submit_unknown", "task_lost"}


def submission_of(event):
    """Which submission an event ends, as its id says: 0, or that of the operator."""
    for n in range(10):
        name = f"{event.type}/{event.key}" + (f"/{n}" if n else "")
        if event.headers.get("ce_id") == str(uuid.uuid5(uuid.NAMESPACE_URL, name)):
            return n
    return None


ACCEPTED = "video.generation.accepted"


def judge_accepted(accepted, where):
    """That a request was taken in is told in the same bytes each time."""
    for request_id, same in accepted.items():
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{ACCEPTED}/{request_id}")
        RECORD.add(repeated=len(same) - 1)
        if len({e.raw for e in same}) > 1 or same[0].headers["ce_id"] != str(name):
            RECORD.violation(f"{where}: {request_id} is told accepted in two ways")


def judge_events(events, where, same_bytes=True, accepted=None):
    """One end a submission; one that leaves payment open may have a late success."""
    judge_accepted(accepted or {}, where)
    for request_id, ends in events.items():
        told = collections.defaultdict(list)  # (submission, type) -> its deliveries
        for event in ends:
            told[submission_of(event), event.type].append(event)
        for (submission, _), same in told.items():
            RECORD.add(repeated=len(same) - 1)
            if submission is None:
                RECORD.violation(f"{where}: {request_id} has an end with an id of no kind")
            if same_bytes and len({e.raw for e in same}) > 1:
                RECORD.violation(f"{where}: {request_id} has one end in different bytes")
        for submission in {n for n, _ in told}:
            done = told.get((submission, "video.generation.completed"))
            failed = told.get((submission, "video.generation.failed"))
            if done and failed and not (
                    done[0].value.get("late")
                    and failed[0].value["error"]["kind"] in LEAVES_OPEN):
                RECORD.violation(f"{where}: {request_id} ended both ways")


@atexit.register
def tell():
    if RECORD.counts or RECORD.faults:
        # In one piece: librdkafka, which writes to the same log when its broker is gone,
        # would come between print()'s two.
        sys.stdout.write(RECORD.line() + "\n")
        sys.stdout.flush()
