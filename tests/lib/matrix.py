"""A matrix of faults of the provider: each case is one request on which one fault
strikes, and what must come of it. The simulator's ledger is the judge.

    matrix.run([Case("reset", {"kind": "rst_after_body"})], on="submit")
"""

import tap
from leftovers import half_files
from world import World, file_of, sha256_of, wait_for

# Of an answer to a submission. The simulator makes its largest ones while others wait:
# that is no doubt, after which a refusal would be none, on a busy machine either.
SUBMIT_MS = 8000


class Case:
    """One request, its fault and its end.

    fault      what the simulator is told, or several of them; on and match are filled in
    ends       completed, or the kind of its failure
    billed     of the event, if it matters
    retry_safe the same
    bought     how many purchases the ledger must show
    videos     how many files a completed one has
    served     whether the files must be those of the ledger
    """

    def __init__(self, name, *fault, ends="completed", billed=None, retry_safe=None,
                 bought=1, videos=1, served=True):
        self.name = name
        self.faults = fault
        self.ends = ends
        self.billed = billed
        self.retry_safe = retry_safe
        self.bought = bought
        self.videos = videos
        self.served = served

    @property
    def prompt(self):
        return f"case {self.name} ends"

    def orders(self, on):
        """Each fault as the simulator wants it."""
        return [{"on": on, "match": self.prompt, **fault} for fault in self.faults]

    def strikes_any(self):
        """Whether it strikes whom it meets."""
        return any(fault.get("match") == "" for fault in self.faults)

    def leaves_a_trap(self):
        """Its connection dies a moment after a whole answer: whose request has gone over it
        by then is in doubt, and has a replay less."""
        return any(fault["kind"] == "reply_then_rst" for fault in self.faults)

    def is_refused(self):
        """By a word that would be none after a doubt: one of another's making, too."""
        return self.bought == 0 and self.ends != "submit_unknown"


def end_of(event):
    return event.value.get("error", {}).get("kind", event["status"])


def check_event(case, event, tasks):
    """One check a case: its end, what it says of money, the ledger and the files."""
    faults = []
    if end_of(event) != case.ends:
        faults.append(f"ends as {end_of(event)}, not as {case.ends}")
    if case.billed and event.value.get("billed") != case.billed:
        faults.append(f"billed {event.value.get('billed')}, not {case.billed}")
    safe = event.value.get("error", {}).get("retry_safe")
    if case.retry_safe is not None and safe is not case.retry_safe:
        faults.append(f"retry_safe {safe}, not {case.retry_safe}")
    if len(tasks) != case.bought:
        faults.append(f"bought {len(tasks)} times, not {case.bought}")
    if event["status"] == "completed":
        faults += faults_of_files(case, event, tasks)
    tap.check(not faults, f"{case.name}: {case.ends}", *faults, event.value)


def faults_of_files(case, event, tasks):
    """What is stored is what was served: the event, the file and the ledger agree."""
    faults = []
    videos = event["videos"]
    if len(videos) != case.videos:
        faults.append(f"{len(videos)} videos, not {case.videos}")
    for video in videos:
        path = file_of(video["uri"])
        if not path.exists():
            faults.append(f"{video['uri']} is not there")
        elif (path.stat().st_size, sha256_of(path)) != (video["bytes"], video["sha256"]):
            faults.append(f"{video['uri']} is not what the event says")
    served = [v["sha256"] for t in tasks for v in t["videos"]]
    if case.served and sorted(v["sha256"] for v in videos) != sorted(served):
        faults.append(f"served was {served}")
    return faults


def waves(cases, on):
    """Who would strike others goes first and by itself; then, on connections that nobody
    ends for them and before there are large answers, those that must not be in doubt. Last,
    when nobody needs his replays any more, who leaves a connection that dies; a poll is
    just asked again."""
    any_ = [case for case in cases if case.strikes_any()]
    refused = [case for case in cases if case.is_refused()]
    last = [case for case in cases if on == "submit" and case.leaves_a_trap()]
    others = [case for case in cases if case not in any_ + refused + last]
    return [wave for wave in (any_, refused, others, last) if wave]


def play(world, cases, on, limit_s):
    world.faults([order for case in cases for order in case.orders(on)])
    for case in cases:
        world.send({"request_id": case.name, "request": {"prompt": case.prompt}})
    world.flush()
    ids = {case.name for case in cases}
    try:
        wait_for(lambda: world.pump(0.2) or ids <= set(world.events), limit_s, "every end")
    except Exception as error:  # shown, and the others are still looked at
        tap.note(error)


def run(cases, on, limit_s=120, **world):
    """Every case in one world; the worker must end well and as it began."""
    settings = {"SUBMIT_TIMEOUT_MS": str(SUBMIT_MS), **world.pop("settings", {})}
    with World(workers=1, sim=["--schema", "yes"], settings=settings, **world) as w:
        for wave in waves(cases, on):
            play(w, wave, on, limit_s)
        judge(w, cases)
        tap.check(w.workers[0].alive(), "the worker lives")
        tap.equal(w.workers[0].stop(), 0, "the worker drains with status 0",
                  w.workers[0].text()[-2000:])


def judge(world, cases):
    """The ledger and the events, after everything."""
    world.pump(1)
    ledger = world.ledger()["tasks"]
    for case in cases:
        events = world.events.get(case.name)
        if not events:
            tap.check(False, f"{case.name}: {case.ends}", "no event",
                      world.ctl("show", case.name).stdout)
            continue
        tasks = [t for t in ledger if t["request"]["prompt"] == case.prompt]
        check_event(case, events[0], tasks)
    tap.equal({i: len(e) for i, e in world.events.items() if len(e) != 1}, {},
              "each request has one event")
    idle = [f for f in struck(world) if not f["hits"]]
    tap.equal(idle, [], "every fault struck")
    tap.equal(half_files(world.videos), [], "no half file is left")


def struck(world):
    """The simulator's faults, with how often each struck."""
    import json
    from world import fetch
    faults = json.loads(fetch(world.sim_url + "/sim/faults")[1])
    return faults if isinstance(faults, list) else faults["faults"]
