#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=500
"""Who learns of a purchase late, and who may not ask for it: ids that come to a worker
without a lease or while the database is away, takeovers with a POST on its way, keys
and URLs that were changed meanwhile, a provider that lies about keys. Each is bought
once and comes home, but for what the liar sold, which is found out."""

import json

import scenes
import tap
from scenes import Scene, came, passed, until
from world import CONTINUE, STOP, Postgres, fetch

# How long the provider takes to answer. Whatever is done before that comes in that time,
# though each scene waits for what the others do meanwhile: servers that start and end.
LATE_MS = 20000
LEASE = {"LEASE_MS": "1000", "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}
# Nobody gives up, or settles, while a busy machine starts another worker.
PATIENT = {**LEASE, "SUBMIT_TIMEOUT_MS": "120000"}
HASTY = {**LEASE, "SUBMIT_TIMEOUT_MS": "3000"}
# A late refusal is no second doubt, and all is over before the key's time is.
ROTATED = {**LEASE, "SUBMIT_TIMEOUT_MS": "10000"}
LIAR_LATE_MS = 15000
LIAR = {**LEASE, "SUBMIT_TIMEOUT_MS": "20000"}
SLOW = {"on": "submit", "kind": "delay", "delay_ms": LATE_MS}
LOST = {"on": "submit", "kind": "rst_after_body"}


def ask(world, request_id, *orders):
    if orders:
        world.faults([{**order, "match": request_id} for order in orders])
    world.send({"request_id": request_id, "request": {"prompt": request_id}})
    world.flush()


def posts(world):
    return json.loads(fetch(world.sim_url + "/sim/stats")[1])["posts"]


def sold(world, request_id):
    """The provider's ids of what it sold for the request."""
    return [t["task_id"] for t in world.ledger()["tasks"]
            if t["request"]["prompt"] == request_id]


def row(world, request_id, columns="state"):
    """Of its task, wherever it is."""
    found = world.query(
        f"SELECT {columns} FROM (SELECT id, state, owner, sends, doubt, provider_task_id"
        " FROM task UNION ALL SELECT id, 0, 0, 0, false, '' FROM waiting UNION ALL"
        " SELECT id, state, owner, sends, doubt, provider_task_id FROM closed) t JOIN request r USING (id) WHERE r.request_id = %s", request_id)
    return found[0] if found else None


def in_doubt(world, request_id):
    """Until its reply was lost."""
    return until(lambda: row(world, request_id, "state, doubt") == (1, True), 30,
                 f"{request_id} is in doubt")


def on_its_way(world, request_id):
    """Until the provider has the POST, whose answer is not there yet."""
    return until(lambda: sold(world, request_id), 30, f"{request_id} is with the provider")


def taken_over(world, request_id, lease):
    return until(lambda: row(world, request_id, "owner")[0] not in (0, lease), 60,
                 f"{request_id} has another owner")


def completed(world, request_id, text, sends):
    """Checks of a request that was bought once and is home."""
    event = world.events[request_id][0]
    bought = sold(world, request_id)
    tap.equal((event["status"], len(bought)), ("completed", 1), f"{text}: bought once",
              event.value)
    tap.equal(event.value.get("provider_task_id"), bought[0], f"{text}: with its id")
    tap.equal(posts(world), sends, f"{text}: {sends} POSTs")


def one_end(world, request_id):
    """Told again by who took its row over from one that stood still, it is no other."""
    tap.equal(len({event.raw for event in world.events[request_id]}), 1, "it has one end")


# --- ids that come late ------------------------------------------------------------


def without_lease(world):
    """The worker that sent it stands still until it is dead: another one owns the doubt
    when the answer comes."""
    first = world.workers[0]
    ask(world, "late.1", SLOW)
    yield on_its_way(world, "late.1")
    lease = row(world, "late.1", "owner")[0]
    first.signal(STOP)
    second = world.start_worker(wait=False)
    yield scenes.ready(second)
    yield taken_over(world, "late.1", lease)
    yield passed(LATE_MS / 1000)
    first.signal(CONTINUE)
    yield until(lambda: came(world, "late.1"), 40, "its end")
    completed(world, "late.1", "an id learnt without a lease", 1)
    # Nobody else knew it: where the database's word was lost, it finds its own.
    # It says so once it knows, which may be after another one went on with the id.
    said = ("provider id was written after all", "provider id was there already")
    yield until(lambda: any(words in first.text() for words in said), 20,
                "it says that it wrote the id", lambda: first.text()[-1500:])
    tap.check(True, "it says that it wrote the id")


def after_submit_unknown(world):
    """Told as unknown before the answer is read: it opens again, and a late success
    follows."""
    first = world.workers[0]
    for n in range(1, 9):
        request = f"unknown.{n}"
        before = posts(world)
        ask(world, request, {**SLOW, "delay_ms": 2700})
        yield on_its_way(world, request)
        first.signal(STOP)
        yield passed(1)  # what it had sent to the database by then is stored
        if row(world, request, "state, provider_task_id") == (1, ""):
            break
        # A busy machine: its answer was read before the signal came, or waited for no more.
        first.signal(CONTINUE)
        yield until(lambda: came(world, request), 40, "an end that is known")
    second = world.start_worker(wait=False)
    yield scenes.ready(second)
    yield until(lambda: came(world, request), 40, "its first end")
    event = world.events[request][0]
    tap.equal((event["error"]["kind"], event["billed"]), ("submit_unknown", "unknown"),
              "it is told as unknown", event.value)
    tap.equal(row(world, request, "provider_task_id")[0], "", "nobody knows its id")
    first.signal(CONTINUE)
    yield until(lambda: world.pump(0) or len(world.events[request]) > 1, 100,
                "the late success")
    late = world.events[request][1]
    tap.equal((late["status"], late.value.get("late")), ("completed", True),
              "the id that came opens it again", late.value)
    tap.equal((len(sold(world, request)), posts(world) - before), (1, 1), "it was bought once")


def store_away(world, postgres):
    """The answer comes while the database is away for longer than a lease."""
    worker = world.workers[0]
    ask(world, "away.1", SLOW)
    yield on_its_way(world, "away.1")
    bought = sold(world, "away.1")[0]
    postgres.halt()
    yield until(lambda: "give it to the task with pixverse-ctl attach" in worker.text(),
                LATE_MS / 1000 + 10, "it warns of the id")
    line = next(line for line in worker.text().splitlines() if "ctl attach" in line)
    tap.check(bought in line and "away.1" in line, "with both ids", line)
    yield passed(3)
    postgres.again()
    yield until(lambda: came(world, "away.1"), 60, "its end")
    completed(world, "away.1", "an id learnt while the database is away", 1)

    ask(world, "away.2", SLOW)
    yield on_its_way(world, "away.2")
    postgres.halt()
    # By that warning: other lines behind the first one name this request, too.
    yield until(lambda: any("ctl attach" in line and "away.2" in line
                            for line in worker.text().splitlines()),
                LATE_MS / 1000 + 10, "it warns of the second id")
    worker.kill()
    postgres.again()
    bought = sold(world, "away.2")[0]
    done = world.ctl("attach", "away.2", bought)
    tap.equal(done.returncode, 0, "an operator attaches the id that died with its worker",
              done.stdout, done.stderr)
    yield scenes.ready(world.start_worker(wait=False))
    yield until(lambda: came(world, "away.2"), 40, "its end")
    completed(world, "away.2", "an id that an operator attached", 2)


# --- a POST on its way -------------------------------------------------------------


def takeover(world):
    """The worker dies while the provider works on its POST; the next one sends the same
    under the same key and is told to wait."""
    ask(world, "dying.1", SLOW)
    yield on_its_way(world, "dying.1")
    world.workers[0].kill()
    yield scenes.ready(world.start_worker(wait=False))
    yield until(lambda: came(world, "dying.1"), 60, "its end")
    completed(world, "dying.1", "a takeover with a POST on its way", posts(world))
    tap.check(posts(world) >= 2, "it was replayed", posts(world))
    keys = {t["key"] for t in world.ledger()["tasks"]}
    tap.equal(len(keys), 1, "under one key")


def takeover_while_awake(world):
    """The same, and the first one is only frozen: both get an answer."""
    first = world.workers[0]
    ask(world, "both.1", SLOW)
    yield on_its_way(world, "both.1")
    lease = row(world, "both.1", "owner")[0]
    first.signal(STOP)
    yield scenes.ready(world.start_worker(wait=False))
    yield taken_over(world, "both.1", lease)
    first.signal(CONTINUE)
    yield until(lambda: came(world, "both.1"), 60, "its end")
    yield passed(LATE_MS / 1000)
    completed(world, "both.1", "both have an answer", posts(world))
    world.pump(0.3)
    one_end(world, "both.1")


# --- other accounts ----------------------------------------------------------------


def rotated(world, lifetime_s, what):
    """A worker with another key, or at another URL, replays nothing: it settles the
    doubt when the key's time is over, and no sooner."""
    other = {"APIMART_API_KEY": "sk-other"} if what == "key" else {
        "APIMART_BASE_URL": world.sim_url.replace("127.0.0.1", "localhost")}
    ask(world, "rotated.1", LOST, {"on": "submit", "kind": "rate_limit",
                                   "retry_after": "600"})
    yield until(lambda: posts(world) == 2, 30, "the lost one and a refused replay")
    world.workers[0].kill()
    yield scenes.ready(world.start_worker(wait=False, **other))
    yield until(lambda: came(world, "rotated.1"), lifetime_s + 30, "its end")
    event = world.events["rotated.1"][0]
    tap.equal((event["error"]["kind"], event["billed"], event["error"]["retry_safe"]),
              ("submit_unknown", "unknown", False), f"{what}: it settles as unknown",
              event.value)
    tap.equal(posts(world), 2, f"{what}: the new one sends nothing")
    tap.equal(len(sold(world, "rotated.1")), 1, f"{what}: it was bought once")
    # It is closed a moment after it is told: its payment is open.
    spans = yield until(lambda: world.query(
        "SELECT settled_ms - first_sent_ms FROM closed"), 20, f"{what}: it is closed")
    tap.check(spans[0][0] >= lifetime_s * 1000 // 6 * 5,
              f"{what}: not before the key's time is over", spans)


def rotated_back(world):
    """The old key comes back in time: the doubt is resolved under it."""
    ask(world, "back.1", LOST, {"on": "submit", "kind": "rate_limit",
                                "retry_after": "600"})
    yield until(lambda: posts(world) == 2, 30, "the lost one and a refused replay")
    yield in_doubt(world, "back.1")
    world.workers[0].kill()
    other = world.start_worker(wait=False, APIMART_API_KEY="sk-other")
    yield until(lambda: "account: 1 task" in readyz(other), 40, "it waits under a hold")
    yield passed(3)
    tap.equal(row(world, "back.1", "state, doubt"), (1, True), "it waits")
    before = posts(world)
    yield scenes.ready(world.start_worker(wait=False))
    other.kill()
    yield until(lambda: came(world, "back.1"), 40, "its end")
    completed(world, "back.1", "the old key is back", posts(world))
    tap.check(posts(world) > before, "and replayed it", posts(world), before)


def readyz(worker):
    try:
        return fetch(worker.admin + "/readyz")[1].decode()
    except OSError:
        return ""


# --- a liar ------------------------------------------------------------------------


def heard_of_it(world):
    """Until it is stored that the provider lies, and every worker that lives has read
    its beats' answer twice since."""
    since = {}

    def heard():
        if not since:
            if world.query("SELECT 1 FROM account WHERE keys_answer = 3"):
                since.update(world.query("SELECT id, counter FROM lease WHERE NOT dead"))
            return False
        now = dict(world.query("SELECT id, counter FROM lease WHERE NOT dead"))
        return len(now) == 2 and all(now[i] >= since.get(i, 0) + 3 for i in now)
    return until(heard, 30, "both workers hear of it")


def liar(world):
    """It says that it honours keys and sells each send: no worker can tell before two
    ids are known for one key. Then nothing is replayed any more, by nobody."""
    first = world.workers[0]
    ask(world, "liar.1", {**SLOW, "delay_ms": LIAR_LATE_MS})
    yield on_its_way(world, "liar.1")
    lease = row(world, "liar.1", "owner")[0]
    first.signal(STOP)
    second = world.start_worker(wait=False)
    yield scenes.ready(second)
    yield taken_over(world, "liar.1", lease)
    yield until(lambda: len(sold(world, "liar.1")) == 2, 20, "it sells twice")
    yield until(lambda: came(world, "liar.1"), 40, "its end")
    first.signal(CONTINUE)
    yield until(lambda: "one key has bought two videos" in first.text() + second.text(),
                40, "it is found out")
    told = [w for w in world.workers if (world.metric(w, BROKEN) or 0) > 0]
    tap.equal(len(told), 1, "and counted once")
    line = next(line for line in (first.text() + second.text()).splitlines()
                if "bought two videos" in line)
    tap.check(all(i in line for i in (*sold(world, "liar.1"), "liar.1")),
              "with the request and both ids", line)
    one_end(world, "liar.1")
    yield heard_of_it(world)
    before = posts(world)
    for name in ("liar.2", "liar.3"):
        ask(world, name, LOST)
    yield until(lambda: came(world, "liar.2", "liar.3"), 30, "the next doubts' ends")
    kinds = [world.events[i][0]["error"]["kind"] for i in ("liar.2", "liar.3")]
    tap.equal((kinds, posts(world) - before), (["submit_unknown"] * 2, 2),
              "doubts are settled without another POST")
    for worker in list(world.workers):
        worker.stop()
    yield scenes.ready(world.start_worker(wait=False))
    ask(world, "liar.4", LOST)
    yield until(lambda: came(world, "liar.4"), 30, "the end of one more")
    tap.equal((world.events["liar.4"][0]["error"]["kind"], len(sold(world, "liar.4"))),
              ("submit_unknown", 1), "a worker that comes later knows too")


BROKEN = "pixverse_keys_broken_total"


def main():
    lifetime_s = 15
    short = ["--schema", "yes", "--retention", str(lifetime_s)]
    honours = ["--schema", "yes"]
    replay = {"SUBMIT_DOUBT": "replay"}
    postgres = Postgres()
    try:
        scenes.play([
            Scene(rotated, "key", lifetime_s, "key", sim=short,
                  settings={**replay, **ROTATED}),
            Scene(rotated, "url", lifetime_s, "url", sim=short,
                  settings={**replay, **ROTATED}),
            Scene(rotated_back, "back", sim=honours, settings={**replay, **ROTATED}),
            Scene(without_lease, "late", sim=honours,
                  settings={"SUBMIT_DOUBT": "settle", **PATIENT}),
            Scene(after_submit_unknown, "unknown", sim=honours,
                  settings={"SUBMIT_DOUBT": "settle", **HASTY}),
            Scene(store_away, "away", postgres, sim=honours, postgres=postgres,
                  settings={"SUBMIT_DOUBT": "settle", **PATIENT}),
            Scene(takeover, "dying", sim=honours, settings={**replay, **PATIENT}),
            Scene(takeover_while_awake, "both", sim=honours,
                  settings={"SUBMIT_DOUBT": "auto", **PATIENT}),
            Scene(liar, "liar", sim=["--schema", "lie"], outside=True,
                  settings={"SUBMIT_DOUBT": "auto", **LIAR}),
        ])
    finally:
        postgres.stop()


tap.run(main)
