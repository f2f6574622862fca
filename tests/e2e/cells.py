#!/usr/bin/env python3
# tests/run: postgres kafka timeout=200
"""Two cells, each a database, a worker and topics of its own, requests routed by the hash
of their ids. pixverse-ctl lists, shows, counts and watches both as one; a cell that is
away is said, and the exit status tells."""

import hashlib
import json

import psycopg
import tap
from clock import clear_of_midnight
from world import BIN, Database, Program, World, fetch, wait_for

REQUESTS = 24
AWAY = "c=postgresql://u:CANARY@127.0.0.1:1/x"


def cell_of(request_id):
    """As deploy/OPERATIONS.md has it."""
    return "ab"[int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8], "big") % 2]


def uri(conninfo):
    to = psycopg.conninfo.conninfo_to_dict(conninfo)
    return (f"postgresql://{to['user']}:{to['password']}@{to['host']}:{to['port']}"
            f"/{to['dbname']}")


class Cells:
    def __init__(self, world, urls):
        self.world = world
        self.urls = urls

    def ask(self, *words, more=(), status=0):
        env = self.world.environment(DATABASE_URLS="  ".join([*self.urls, *more]) + "\n",
                                     DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
        done = self.world.ctl(*words, env=env)
        tap.equal(done.returncode, status, f"{' '.join(words)}: status {status}",
                  done.stderr + done.stdout)
        tap.check("CANARY" not in done.stderr + done.stdout, "and no password is shown")
        return done

    def rows(self, *words, **options):
        done = self.ask(*words, "--json", **options)
        return [json.loads(line) for line in done.stdout.splitlines()]


def listed(cells, names):
    rows = cells.rows("list")
    tap.equal({row["request_id"]: row["cell"] for row in rows},
              {name: cell_of(name) for name in names}, "list: all, and whose each is")
    times = [row["times"]["received"] for row in rows]
    tap.equal(times, sorted(times, reverse=True), "list: the newest first")
    pages, after = [], []
    while len(pages) < 2 * REQUESTS:
        done = cells.ask("list", "--limit", "7", *after)
        lines = done.stdout.splitlines()
        pages += [word for line in lines[1:-1] for word in line.split()[:1]]
        if "those before:" not in lines[-1]:
            break
        tap.check(f"of {REQUESTS}; " in lines[-1], "list: how many there are", lines[-1])
        after = lines[-1].split("those before:")[1].split()
    tap.equal((len(pages), sorted(pages)), (REQUESTS, sorted(names)),
              "list: page by page each once")
    table = cells.ask("list", "--limit", "3").stdout
    tap.check("CELL" in table.splitlines()[0], "list: a column names the cell", table)
    done = cells.ask("list", "--after", "nobody", status=1)
    tap.check("no such request" in done.stderr, "list: --after nobody", done.stderr)


def shown(cells, names):
    for wanted in "ab":
        name = next(n for n in names if cell_of(n) == wanted)
        row = cells.rows("show", name)[0]
        tap.equal((row["request_id"], row["cell"]), (name, wanted), "show: from its cell")
        tap.check(f"cell             {wanted}" in cells.ask("show", name).stdout,
                  "show: people are told")
    done = cells.ask("show", "nobody", more=[AWAY], status=1)
    tap.check("in the cells that answered" in done.stderr, "show: nobody, as far as is known",
              done.stderr)


def counted(cells, names):
    ends = {"a": 0, "b": 0}
    for name in names:
        ends[cell_of(name)] += 1
    rows = cells.rows("stats")
    tap.equal({row["cell"]: row["count"] for row in rows}, ends, "stats: each cell's")
    rows = cells.rows("stats", "--by", "kind,tenant")
    tap.equal([(row["tenant"], row["kind"], row["count"], row["completed"]) for row in rows],
              [(tenant, "completed", REQUESTS // 2, REQUESTS // 2)
               for tenant in ("blue", "red")],
              "stats: of both, by other keys")
    tap.equal([sum(bucket["count"] for bucket in row["latency"]) for row in rows],
              [row["count"] for row in rows], "stats: latencies, too")
    parts = cells.rows("stats", "--by", "cell,tenant")
    tap.equal(round(sum(row["cost"] for row in parts), 6),
              round(sum(row["cost"] for row in rows), 6), "stats: and cost")


def watched(cells):
    top = cells.rows("top", "--once")[0]
    tap.equal(sorted(worker["cell"] for worker in top["workers"]), ["a", "b"],
              "top: workers of both")
    tap.equal(top["a_minute"]["completed"], REQUESTS, "top: ends of both")
    tap.equal(top["cells"], [{"cell": "a"}, {"cell": "b"}], "top: all are there")
    screen = cells.ask("top", "--once").stdout
    tap.check("2 workers" in screen and "CELL" in screen, "top: the screen, too", screen)


def away(cells):
    for words in (("list",), ("stats",), ("top", "--once")):
        done = cells.ask(*words, more=[AWAY], status=3)
        tap.check("cell c is left out: " in done.stderr + done.stdout,
                  f"{words[0]}: who is away is said", done.stderr)
    row = cells.rows("top", "--once", more=[AWAY], status=3)[0]
    tap.check(row["cells"][2]["cell"] == "c" and "refused" in row["cells"][2]["away"],
              "top: in JSON, too", row["cells"])
    none = Cells(cells.world, [AWAY, AWAY.replace("c=", "d=")])
    for words in (("list",), ("show", "x"), ("stats",), ("top", "--once")):
        none.ask(*words, status=1)


def console_of(world, *urls):
    """The program, and where its API is."""
    program = Program("console", [BIN / "pixverse-ctl", "console", "--listen", "127.0.0.1:0", "--json"],
                      world.environment(DATABASE_URLS=" ".join(urls)), log="console")
    world.programs.append(program)
    port = json.loads(program.line('{"address"'))["port"]
    return program, f"http://127.0.0.1:{port}/api/"


def first_look(at):
    """It takes three commands: after ten seconds the overview answers without one."""
    return wait_for(lambda: json.loads(fetch(at + "overview", timeout=60)[1])["look"], 30,
                    "the first look")


def consoled(cells, names):
    """The console shows what the others have, and says who is away."""
    program, at = console_of(cells.world, *cells.urls, AWAY)
    for path, rows in (("list", len(names)), (f"show?id={names[0]}", 1), ("stats?by=cell", 2)):
        status, text = fetch(at + path, timeout=60)
        told = json.loads(text)
        tap.equal((status, len(told.get("rows", []))), (200, rows), f"console: {path} of those that answer", text)
        tap.check("cell c is left out: " in told.get("left", ""), "and who is left out", text)
        tap.check("CANARY" not in text.decode(), "without a password", text)
    look = first_look(at)
    tap.check("refused" in look.get("top", {}).get("cells", [{}] * 3)[2].get("away", ""),
              "the overview, too", look)
    tap.equal(sum(row["count"] for row in look.get("today", [])), len(names), "with what ended today", look)
    program.stop()
    program, at = console_of(cells.world, AWAY)
    fault = first_look(at).get("fault", "")
    tap.check("cell c is left out: " in fault, "where none answers the overview says so", fault)
    program.stop()


def refused(cells):
    for value in ("postgresql://u:CANARY@h/d", "a=b", "a=postgresql://u:CANARY@h:x/d",
                  "a=postgresql://h/d a=postgresql://h/CANARY", "a/b=postgresql://h/d"):
        done = Cells(cells.world, [value]).ask("list", status=2)
        tap.check("DATABASE_URLS" in done.stderr, "a fault is named", done.stderr)
    done = cells.ask("cancel", "x", status=1)
    tap.check("DATABASE_URL names" in done.stderr, "an order is for DATABASE_URL alone",
              done.stderr)


def main():
    clear_of_midnight(90)
    names = [f"{tenant}.{n}" for n in range(REQUESTS // 2) for tenant in ("blue", "red")]
    with World(name="a") as a, World(name="b", postgres=Database("b")) as b:
        worlds = {"a": a, "b": b}
        for name in names:
            worlds[cell_of(name)].send({"request_id": name, "tenant": name.split(".")[0],
                                        "request": {"prompt": name}})
        for key, world in worlds.items():
            world.flush()
            world.wait_events([name for name in names if cell_of(name) == key], 60)
            wait_for(lambda w=world: w.query("SELECT count(*) FROM task")[0][0] == 0, 20,
                     "what was told is closed")
        cells = Cells(a, [f"{key}={uri(world.database_url)}" for key, world in worlds.items()])
        watched(cells)
        listed(cells, names)
        shown(cells, names)
        counted(cells, names)
        away(cells)
        consoled(cells, names)
        refused(cells)


tap.run(main)
