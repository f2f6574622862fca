#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=500
"""What a doubt is told, under each SUBMIT_DOUBT: a reply that was lost is never
unsaid by a refusal, replays are bounded by count and by the key's lifetime, and
nothing is bought twice. The simulator's ledger is the judge."""

import json

import matrix
import scenes
import tap
from matrix import Case
from scenes import Scene, came, passed, until
from world import fetch

# Of an answer. A busy machine that is later than that makes a doubt of its own, with one
# more send; where these are not counted, and the key's time is short, less will do.
TIMEOUT_MS = 15000
SHORT_MS = 5000

LOST = {
    "reset": {"kind": "rst_after_body"},
    "closed": {"kind": "close_after_body"},
    "stalled": {"kind": "stall"},
    "unbilled": {"kind": "rst_before_billing"},
}

REFUSALS = {
    "429": {"kind": "rate_limit", "retry_after": "1"},
    "400": {"kind": "status", "status": 400},
    "401": {"kind": "unauthorized"},
    "402": {"kind": "payment_required"},
    "403": {"kind": "permission_error"},
    "403_balance": {"kind": "quota_not_enough"},
}

UNKNOWN = {"ends": "submit_unknown", "billed": "unknown", "retry_safe": False}


def times(fault, n):
    return {**fault, "count": n}


def ask(world, cases):
    """Order the cases' faults and send their requests."""
    orders = [order for case in cases for order in case.orders("submit")]
    if orders:
        world.faults(orders)
    for case in cases:
        world.send({"request_id": case.name, "request": {"prompt": case.prompt}})
    world.flush()


def key_of(world, request_id):
    (key,) = world.keys(request_id, submissions=(0,))
    return key


def sends_of(world, request_id):
    """POSTs that arrived under the request's key."""
    ledger = world.ledger()
    key = key_of(world, request_id)
    return next((k["sends"] for k in ledger["tasks"] + ledger["unbilled"]
                 if k["key"] == key), 0)


def stats(world):
    return json.loads(fetch(world.sim_url + "/sim/stats")[1])


def posts(world):
    return stats(world)["posts"]


def judge(world, cases, sends=None):
    """Each case: its end, what was bought under its key, its one event."""
    ledger = world.ledger()["tasks"]
    for case in cases:
        tasks = [t for t in ledger if t["request"]["prompt"] == case.prompt]
        matrix.check_event(case, world.events[case.name][0], tasks)
        if sends is not None:
            tap.equal(sends_of(world, case.name), sends[case.name],
                      f"{case.name}: sends")
    world.pump(0.3)
    several = {i: len(e) for i, e in world.events.items() if len(e) != 1}
    tap.equal(several, {}, f"{world.label}each has one event")


def ended(world, cases):
    return came(world, *[case.name for case in cases])


def every_end(world, cases, limit_s, condition=None):
    """Until each has its end; late, the rows of the others and the holds are told."""
    def missing():
        names = [case.name for case in cases if case.name not in world.events]
        return world.query(
            "SELECT r.request_id, t.state, t.owner, t.sends, t.doubt, t.tries,"
            " t.first_sent_ms, t.last_sent_ms, t.not_before_ms"
            " FROM task t JOIN request r USING (id) WHERE r.request_id = ANY(%s)",
            names), world.query("SELECT * FROM waiting"), world.query("SELECT * FROM hold"), matrix.struck(world)
    return until(condition or (lambda: ended(world, cases)), limit_s, "every end",
                 missing)


# --- replayed --------------------------------------------------------------------


def sticky(world, policy):
    """A lost reply, then every kind of refusal to the replay, then the answer."""
    cases = [Case(f"{policy}_{lost}_then_{refusal}", LOST[lost], REFUSALS[refusal])
             for lost in LOST for refusal in REFUSALS]
    bound = [
        Case(f"{policy}_four_lost", times(LOST["reset"], 4), **UNKNOWN),
        Case(f"{policy}_four_unbilled", times(LOST["unbilled"], 4), bought=0, **UNKNOWN),
        Case(f"{policy}_given_back", LOST["closed"], times(REFUSALS["429"], 4),
             times({"kind": "idempotency_in_progress", "retry_after": "1"}, 3)),
        Case(f"{policy}_lost_between_refusals", LOST["reset"], REFUSALS["429"],
             times(LOST["closed"], 2), times(REFUSALS["429"], 2), LOST["reset"],
             **UNKNOWN),
    ]
    ask(world, cases + bound)

    def over():
        # A hold would be probed in half a minute; here it is due at once.
        world.query("UPDATE hold SET next_try_ms = 0 RETURNING reason")
        return ended(world, cases + bound)
    yield every_end(world, cases + bound, 120, over)
    judge(world, cases, {case.name: 3 for case in cases})
    judge(world, bound, dict(zip((case.name for case in bound), (4, 4, 9, 7))))
    idle = [f for f in matrix.struck(world) if f["left"]]
    tap.equal(idle, [], f"{policy}: every fault struck as often as it was ordered")


def short_lived(world, policy, lifetime_s):
    """Refusals without end: replays go on within five sixths of the key's lifetime,
    and then it settles, whatever the last refusal said."""
    cases = [Case(f"{policy}_{lost}_{refusal}_for_ever", LOST[lost],
                  times(REFUSALS[refusal], -1), bought=0 if lost == "unbilled" else 1,
                  **UNKNOWN)
             for lost in LOST for refusal in ("429", "400", "403")]
    ask(world, cases)
    yield every_end(world, cases, lifetime_s + 60)
    judge(world, cases)
    before = posts(world)
    held = [Case(f"{policy}_held", LOST["reset"], times(REFUSALS["401"], -1), **UNKNOWN)]
    ask(world, held)
    yield every_end(world, held, lifetime_s + 60)
    judge(world, held)
    tap.check(posts(world) - before == sends_of(world, held[0].name),
              f"{policy}: nothing of the settled ones is sent any more")
    waited = {i: f"{first} {settled}" for i, first, settled in world.query(
        "SELECT r.request_id, c.first_sent_ms, c.settled_ms FROM closed c"
        " JOIN request r USING (id) WHERE c.settled_ms < c.first_sent_ms + %s",
        lifetime_s * 1000 // 6 * 5)}
    tap.equal(waited, {}, f"{policy}: none is settled before the key's time is over")
    last = world.query(
        "SELECT max(last_sent_ms - first_sent_ms), min(sends) FROM closed")[0]
    tap.check(last[0] < lifetime_s * 1000 // 6 * 5,
              f"{policy}: none is replayed after it", last)


# --- settled ---------------------------------------------------------------------


def never_replayed(world, what):
    """Nothing is sent again; the refusal that waits for a replay never strikes."""
    cases = [Case(f"{what}_{lost}", LOST[lost], REFUSALS["400"],
                  bought=0 if lost == "unbilled" else 1, **UNKNOWN) for lost in LOST]
    ask(world, cases)
    yield every_end(world, cases, 60)
    judge(world, cases, {case.name: 1 for case in cases})
    tap.equal(posts(world), len(cases), f"{what}: one POST each")
    early = world.query(
        "SELECT r.request_id FROM closed c JOIN request r USING (id)"
        " WHERE c.settled_ms < c.first_sent_ms + %s", TIMEOUT_MS)
    tap.equal(early, [], f"{what}: none is settled before SUBMIT_TIMEOUT_MS is over")


# --- over a connection that was used before ---------------------------------------


def warm(world):
    """A reply is lost on a connection that answered others a moment ago: nothing
    leaves a second time, and the doubt is one like any other. Each kind meets
    a worker of its own, which still uses its connections again."""
    for kind, lost in LOST.items():
        world.query("INSERT INTO hold VALUES ('operator', '*', 1, 1, 'a test')"
                    " RETURNING 1")
        worker = world.start_worker(wait=False)
        yield scenes.ready(worker)
        again = stats(world)["posts_again"]
        good = [Case(f"warm_{kind}_{n}") for n in range(4)]
        case = Case(f"warm_{kind}", lost, bought=1)
        world.faults(case.orders("submit"))
        for each in good + [case]:
            world.send({"request_id": each.name, "priority": 9 if each in good else 0,
                        "request": {"prompt": each.prompt}})
        world.flush()
        yield until(lambda: world.query("SELECT count(*) FROM waiting")[0][0] == 5, 60,
                    "all wait")
        world.query("DELETE FROM hold RETURNING 1")
        yield every_end(world, good + [case], 60)
        judge(world, good + [case],
              {each.name: 1 for each in good} | {case.name: 2})
        # Of five POSTs one after the other the first has a new connection, and so
        # has the replay; so has each before which a busy machine took 2 s.
        tap.check(stats(world)["posts_again"] - again in (1, 2, 3, 4),
                  f"warm, {kind}: connections are used again", stats(world))
        worker.stop()
    tap.equal([f for f in matrix.struck(world) if f["left"]], [],
              "warm: each reply was lost")


# --- no word on keys -------------------------------------------------------------


def silent(world):
    """Whoever does not answer decides nothing: the doubt waits for an answer."""
    def about_keys():
        return next(f for f in matrix.struck(world) if "schema" in json.dumps(f))["hits"]

    def order(kind):
        fetch(world.sim_url + "/sim/faults", "DELETE")
        world.faults([{"on": "schema", "kind": kind, "count": -1}])

    waiting = []
    for n, kind in enumerate(("service_unavailable", "rst_before_billing")):
        order(kind)
        if not world.workers:  # it asks as soon as it starts
            yield scenes.ready(world.start_worker(wait=False))
        waiting.append(Case(f"silent_{kind}", LOST["reset" if n else "closed"]))
        ask(world, waiting[-1:])
        yield until(about_keys, 60, f"{kind}: it was asked")
        yield until(lambda n=n: posts(world) > n, 60, f"{kind}: it was sent")
        yield passed(TIMEOUT_MS / 1000 + 1)
        states = world.query("SELECT state, sends, doubt FROM task ORDER BY id")
        tap.equal(sorted({s[:2] for s in states}), [(1, 1)],
                  f"{kind}: the doubt waits", states)
        tap.equal(posts(world), n + 1, f"{kind}: and is not replayed")
    fetch(world.sim_url + "/sim/faults", "DELETE")
    waiting.append(Case("silent_no_more", LOST["reset"]))
    ask(world, waiting[-1:])
    yield every_end(world, waiting, 80)
    judge(world, waiting, {case.name: 2 for case in waiting})


def settings(doubt, timeout_ms=TIMEOUT_MS):
    return {"SUBMIT_DOUBT": doubt, "SUBMIT_TIMEOUT_MS": str(timeout_ms)}


def main():
    lifetime_s = 12
    short = ["--schema", "yes", "--retention", str(lifetime_s)]
    # Those that wait with little to do go first: the others' worlds open meanwhile.
    scenes.play([
        Scene(short_lived, "shortreplay", "short_replay", lifetime_s, sim=short,
              settings=settings("replay", SHORT_MS)),
        Scene(short_lived, "shortauto", "short_auto", lifetime_s, sim=short,
              settings=settings("auto", SHORT_MS)),
        Scene(sticky, "replay", "replay", sim=["--schema", "no"],
              settings=settings("replay")),
        Scene(sticky, "auto", "auto", settings=settings("auto")),
        Scene(never_replayed, "settle", "settle", settings=settings("settle")),
        Scene(never_replayed, "no", "says_no", sim=["--schema", "no"],
              settings=settings("auto")),
        Scene(never_replayed, "absent", "not_found", sim=["--schema", "absent"],
              settings=settings("auto")),
        Scene(warm, "warm", workers=0,
              settings=settings("replay") | {"SUBMITS_MAX": "1"}),
        Scene(silent, "silent", settings=settings("auto"), workers=0),
    ])


tap.run(main)
