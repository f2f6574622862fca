"""The table and the plots of tests/bench/results, drawn of its raw lines alone:
tests/bench/run --peers --draw. Of each row the newest run counts that has it whole."""

import json
import os
import statistics
from html import escape
from pathlib import Path

OURS = Path(__file__).resolve().parent / "results"
RESULTS = Path(os.environ.get("BENCH_RESULTS", OURS))
SUBJECTS = {"ours": ("pixverse-worker (C)", "#2563eb"), "rust": ("Rust", "#c2410c"),
            "go": ("Go", "#0891b2")}

# row -> (metric, words, digits, whether more is better, goals as (peer, most ratio) or
# (None, most; least where more is better)). A ratio is what ours spends of the peer's; where more is better, what
# the peer has of ours: below 1 is ahead either way.
METRICS = {
    "control": [
        ("cpu_s_per_1000", "worker's CPU for 1,000 tasks, 200/s, 15 polls each, 64 KiB: s",
         2, False, (("rust", 1 / 3), ("go", 1 / 5))),
        ("postgres_cpu_s_per_1000", "PostgreSQL's CPU for 1,000 of them: s", 2, False,
         (("rust", 0.75),)),
        ("kafka_cpu_s_per_1000", "Kafka's CPU for 1,000 of them: s", 2, False, ()),
        ("commits", "commits a task", 2, False, ((None, 0.3),)),
        ("rows", "rows written a task", 1, False, ((None, 8),)),
        ("wal_bytes", "WAL a task: bytes", 0, False, ((None, 2300),)),
        ("event_p50_ms", "completed to event at 200/s, p50: ms", 1, False, ()),
        ("event_p99_ms", "completed to event at 200/s, p99: ms", 1, False, ())],
    "flight": [
        ("us_per_poll", "50,000 in flight at 5 s: CPU a poll: us", 1, False,
         (("rust", 0.5), ("go", 0.25))),
        ("core", "50,000 in flight: share of the core", 3, False, ()),
        ("late_p99_ms", "50,000 in flight: poll lateness p99, at most: ms", 1, False,
         ((None, 15),)),
        ("rss_mb", "50,000 in flight: resident: MB", 0, False, ((None, 36),))],
    "flight_tls": [
        ("us_per_poll", "50,000 in flight at 5 s over TLS: CPU a poll: us", 1, False,
         (("rust", 0.5), ("go", 0.25))),
        ("core", "50,000 in flight over TLS: share of the core", 3, False, ()),
        ("late_p99_ms", "50,000 in flight over TLS: poll lateness p99, at most: ms", 1,
         False, ()),
        ("rss_mb", "50,000 in flight over TLS: resident: MB", 0, False, ())],
    "flight300": [
        ("core", "300,000 in flight at 30 s: share of the core", 3, False, ((None, 0.15),)),
        ("late_p99_ms", "300,000 in flight: poll lateness p99, at most: ms", 1, False,
         ((None, 100),)),
        ("rss_mb", "300,000 in flight: resident: MB", 0, False, ())],
    "submitted": [
        ("seconds", "all 50,000 submitted: s", 1, False, (("rust", 1),)),
        ("cpu_s_per_1000", "worker's CPU for 1,000 submissions: s", 3, False,
         (("rust", 1.5),))],
    "submitted_tls": [
        ("seconds", "all 50,000 submitted over TLS: s", 1, False, (("rust", 1),)),
        ("cpu_s_per_1000", "worker's CPU for 1,000 submissions over TLS: s", 3, False,
         (("rust", 1),))],
    "ingest": [
        ("rows_per_s", "intake, nothing submitted: rows/s", 0, True, (("go", 1),)),
        ("share_of_limit", "that beside the unnest limit of the run", 2, True,
         ((None, 0.7),))],
    "ingest429": [
        ("rows_per_s", "intake while the provider answers 429: rows/s", 0, True,
         (("go", 1),)),
        ("share_of_limit", "that beside the unnest limit of the run", 2, True,
         ((None, 0.5),))],
    "latency": [
        ("event_p50_ms", "completed to event at 20/s, p50: ms", 1, False, (("rust", 0.5),)),
        ("event_p99_ms", "completed to event at 20/s, p99: ms", 1, False, (("rust", 1),))],
    "takeover": [
        ("last_s", "10,000 taken over beside 1,000,000 waiting: the last after: s", 1,
         False, ((None, 10),))],
    "recovery": [
        ("last_s", "started anew after kill -9, 10,000 in flight: the last polled after: s",
         1, False, ())],
    "idle": [
        ("core", "idle: share of the core", 4, False, ()),
        ("commits_per_s", "idle: commits a second", 1, False, ()),
        ("rss_mb", "idle: resident: MB", 0, False, ())],
}
for name, words in (("files20", "200 x 20 MB to a directory"),
                    ("files100", "100 x 100 MB to a directory"),
                    ("s3_20", "200 x 20 MB to S3"), ("s3_100", "100 x 100 MB to S3")):
    METRICS[name] = [("mb_per_cpu_s", words + ": MB a CPU-second", 0, True,
                      (("rust", 1 / 2), ("go", 1 / 3))),
                     ("peak_rss_mb", words + ": peak resident: MB", 0, False, ())]
for name, words in (("history_1k", "1,000"), ("history_1m", "1,000,000")):
    METRICS[name] = [("cpu_s_per_1000", f"CPU for 1,000 tasks beside {words} of the past: s",
                      2, False, ()),
                     ("postgres_cpu_s_per_1000", "PostgreSQL's beside it: s", 2, False, ())]
METRICS["progress"] = [
    ("cpu_s_per_1000", "CPU for 1,000 tasks of `control` with messages of progress: s", 2,
     False, ()),
    ("kafka_cpu_s_per_1000", "Kafka's CPU for 1,000 of them: s", 2, False, ())]
METRICS["pruning"] = [
    ("cpu_s_per_1000", "CPU for 1,000 tasks while 1,000,000 of the past are pruned: s", 2,
     False, ()),
    ("event_p99_ms", "completed to event meanwhile, p99: ms", 1, False, ()),
    ("pruned", "pruned meanwhile", 0, True, ())]
for n in (1, 2, 4):
    METRICS[f"workers_{n}"] = [
        ("cpu_s_per_1000", f"{n} workers on the core: their CPU for 1,000 tasks: s", 2,
         False, ())]

# What the one plot of the front page shows.
HEADLINES = (("control", "cpu_s_per_1000"), ("flight", "us_per_poll"),
             ("submitted", "seconds"), ("ingest429", "rows_per_s"),
             ("latency", "event_p50_ms"), ("files20", "mb_per_cpu_s"))


class Cell:
    """What one subject reached in one metric: median and range over its rounds; of
    void rounds only where there is no other."""

    def __init__(self, lines, metric):
        good = [x for x in lines if metric in x["metrics"] and not x.get("void")]
        used = good or [x for x in lines if metric in x["metrics"]]
        self.values = [x["metrics"][metric] for x in used]
        self.void = bool(used) and not good
        self.median = statistics.median(self.values) if used else None

    def text(self, digits):
        if self.median is None:
            return "–"
        text = f"{self.median:,.{digits}f}"
        if len(self.values) > 1:
            text += f" ({min(self.values):,.{digits}f}–{max(self.values):,.{digits}f})"
        return f"_{text}_" if self.void else text


def read():
    """{row: (header of its run, {subject: lines})}, the newest run of each row."""
    rows, header = {}, None
    path = RESULTS / "raw.jsonl"
    for text in path.read_text().splitlines() if path.exists() else []:
        line = json.loads(text)
        if "run" in line:
            header = line
            continue
        if line["row"] not in rows or rows[line["row"]][0] is not header:
            rows[line["row"]] = (header, {})
        rows[line["row"]][1].setdefault(line["subject"], []).append(line)
    return rows


def ratio(ours, theirs, more):
    if not ours.median or not theirs.median:
        return None
    return theirs.median / ours.median if more else ours.median / theirs.median


def goal_text(goals, cells, more, quick):
    """The goals in words; whether they are kept only a whole run says."""
    texts = []
    for peer, most in goals:
        got = cells["ours"].median if peer is None else ratio(cells["ours"], cells[peer], more)
        void = quick or cells["ours"].void or (peer and cells[peer].void)
        least = more and peer is None
        good = got is not None and (got >= most if least else got <= most)
        kept = "" if got is None or void else (": kept" if good else ": **missed**")
        at = "" if peer is None else f" of {SUBJECTS[peer][0]}"
        texts.append(f"{'≥' if least else '≤'} {round(most, 3):,g}{at}{kept}")
    return "; ".join(texts)


def table(rows):
    names = list(SUBJECTS)
    lines = ["| | " + " | ".join(SUBJECTS[n][0] for n in names)
             + " | ours / Rust | ours / Go | goal |", "|---|" + "---:|" * 5 + "---|"]
    for row, metrics in METRICS.items():
        if row not in rows:
            continue
        quick = any(x["quick"] for ls in rows[row][1].values() for x in ls)
        for metric, words, digits, more, goals in metrics:
            cells = {n: Cell(rows[row][1].get(n, []), metric) for n in names}
            ratios = [ratio(cells["ours"], cells[n], more) for n in names[1:]]
            lines.append(
                f"| {words}{' ¹' if quick else ''} | "
                + " | ".join(cells[n].text(digits) for n in names) + " | "
                + " | ".join("–" if r is None else f"{r:.2f}" for r in ratios)
                + f" | {goal_text(goals, cells, more, quick)} |")
    return lines


def notes(rows):
    """What is to be known of the numbers: machine, versions, voids."""
    lines = []
    runs = {id(h): h for h, _ in rows.values()}
    for header in runs.values():
        machine = header["machine"]
        of = " ".join(row for row, (h, _) in rows.items() if h is header)
        lines.append(f"- {header['run'][:10]}{', on ' + header['note'] if header['note'] else ''}: "
                     f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
                     + ", ".join(f"{k} {v}" for k, v in machine["versions"].items() if v)
                     + f". Rows: {of}.")
    for row, (_, subjects) in rows.items():
        whys = {}
        for subject, measured in subjects.items():
            for line in measured:
                if line.get("void"):
                    whys.setdefault(line["void"], []).append(SUBJECTS[subject][0])
        lines += [f"- void, `{row}`, {' and '.join(dict.fromkeys(who))}: {why}."
                  for why, who in whys.items()]
        limits = {}
        for measured in subjects.values():
            for line in measured:
                for name, value in (line.get("limit") or {}).items():
                    limits.setdefault(name, []).append(value)
        lines += [f"- limit beside `{row}`: {name.replace('_', ' ')}"
                  f" {statistics.median(values):,.3g}." for name, values in limits.items()]
    return lines


# --- plots --------------------------------------------------------------------

LEFT, WIDE, BAR, GAP = 20, 480, 16, 14


def svg(title, groups):
    """Bars: groups of (words, digits, {subject: Cell}); each group has its own scale."""
    out, y = [], 34
    for words, digits, cells in groups:
        most = max((max(c.values) for c in cells.values() if c.values), default=0)
        if not most:
            continue
        out.append(f'<text x="{LEFT}" y="{y}" font-weight="600">{escape(words)}</text>')
        y += 8
        for name, cell in cells.items():
            label, color = SUBJECTS[name]
            if cell.median is None:
                continue
            length = max(1, WIDE * cell.median / most)
            faint = ' fill-opacity="0.45"' if cell.void else ""
            out.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}"'
                       f' fill="{color}"{faint}/>')
            low, high = (WIDE * f(cell.values) / most + LEFT for f in (min, max))
            if len(cell.values) > 1:
                out.append(f'<path d="M{low:.1f} {y + BAR / 2}H{high:.1f}"'
                           ' stroke="#111" stroke-width="2"/>')
            at = max(length + LEFT, high) + 6
            void = " (void)" if cell.void else ""
            out.append(f'<text x="{at:.1f}" y="{y + 12}">{escape(label)} '
                       f'{cell.median:,.{digits}f}{void}</text>')
            y += BAR + 3
        y += GAP + 6
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="740" height="{y}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="740" height="{y}" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-size="13" font-weight="700">{escape(title)}</text>',
        *out, "</svg>", ""])


def group_of(rows, row, spec):
    metric, words, digits, more, _ = spec
    cells = {n: Cell(rows[row][1].get(n, []), metric) for n in SUBJECTS}
    return words + (" (more is better)" if more else ""), digits, cells


BEGIN, END = "<!-- drawn by tests/bench/report.py -->", "<!-- drawn -->"


def front(rows):
    """The block of the front page: the plot's numbers as ratios, and of when they are."""
    lines = ["", "![cost beside whole workers in Rust and Go](tests/bench/results/overview.svg)", "",
             "| what ours spends of a peer's, below 1 is ahead | Rust | Go |", "|---|---:|---:|"]
    marks = set()
    for row, metric in HEADLINES:
        for name, words, _, more, _ in METRICS[row] if row in rows else ():
            if name != metric:
                continue
            cells = {n: Cell(rows[row][1].get(n, []), metric) for n in SUBJECTS}
            texts = []
            for peer in ("rust", "go"):
                got = ratio(cells["ours"], cells[peer], more)
                void = cells["ours"].void or cells[peer].void
                marks |= {"void"} if void and got else set()
                texts.append("–" if got is None else f"_{got:.2f}_" if void else f"{got:.2f}")
            lines.append(f"| {words.rsplit(':', 1)[0]} | {' | '.join(texts)} |")
    headers = {id(h): h for row, _ in HEADLINES if row in rows for h in [rows[row][0]]}
    whens = sorted({h["run"][:10] + (f", {h['note']}" if h["note"] else "") for h in headers.values()})
    if any(x["quick"] for row, _ in HEADLINES if row in rows
           for ls in rows[row][1].values() for x in ls):
        whens.append("with `--quick`: short windows, smaller numbers than it says")
    lines += ["", f"Measured {'; '.join(whens)}."
              + (" In _italics_: void, a stranger or the harness had a part in it; it doesn't count."
                 if marks else "")
              + " All rows, goals, versions: [tests/bench/results](tests/bench/results/README.md).", ""]
    return "\n".join(lines)


def draw():
    rows = read()
    page = OURS.parents[2] / "README.md"
    text = page.read_text()
    if RESULTS == OURS and BEGIN in text and END in text:  # the front page shows no others
        before, rest = text.split(BEGIN, 1)
        page.write_text(before + BEGIN + front(rows) + END + rest.split(END, 1)[1])
    for row in METRICS:
        if row in rows:
            groups = [group_of(rows, row, spec) for spec in METRICS[row]]
            (RESULTS / f"{row}.svg").write_text(svg(f"tests/bench/run --peers --only {row}",
                                                    groups))
    heads = [group_of(rows, row, spec) for row, metric in HEADLINES if row in rows
             for spec in METRICS[row] if spec[0] == metric]
    (RESULTS / "overview.svg").write_text(
        svg("Worker alone on a core, in the same run; less is better unless said", heads))
    text = ["# Results", "",
            "Drawn by `tests/bench/run --peers --draw` of [raw.jsonl](raw.jsonl), of each row the newest",
            "run. Medians of rounds in turns, the range in brackets; in _italics_ what is void: the",
            "harness or a stranger had a part in it, and it doesn't count. A ratio below 1 is ahead.", "",
            *table(rows), "", "¹ `--quick`: short windows, smaller numbers than the row's name says.",
            "", *notes(rows), "", "![overview](overview.svg)", "",
            *[f"![{row}]({row}.svg)" for row in METRICS if row in rows], ""]
    (RESULTS / "README.md").write_text("\n".join(text))


if __name__ == "__main__":
    draw()
