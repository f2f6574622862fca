"""The worker's validation and request.schema.json agree wherever the schema
can speak: thousands of requests, good and spoilt, are judged by both."""

import json
import os
import pathlib
import random
import subprocess

import jsonschema
import tap

ROOT = pathlib.Path(os.environ.get("TEST_ROOT") or pathlib.Path(__file__).parents[2])
BUILD = pathlib.Path(os.environ.get("TEST_BUILD_SANITIZE") or ROOT / "build" / "sanitize")
PROGRAM = BUILD / "tests" / "contract" / "request_verdict"
SCHEMA = json.loads((ROOT / "deploy/contract/request.schema.json").read_text())
SEED = int(os.environ.get("SEED", "20261122"))
COUNT = int(os.environ.get("COUNT", "8000"))

URL_FIELDS = ("image_urls", "first_frame_image", "last_frame_image", "img_references")
BODY = SCHEMA["$defs"]["body"]["properties"]
SENT_ONLY_IN = {
    "size": ("text_to_video", "fusion"),
    "generate_multi_clip_switch": ("text_to_video", "image_to_video"),
}
URLS = ["https://example.com/a.png", "http://cdn.example.com:8080/b.jpg?x=1",
        "HTTPS://EXAMPLE.COM/", "https://8.8.8.8/a.png", "http://[2606:4700::1111]/x"]
BAD_URLS = ["http://127.0.0.1/a.png", "http://0x7f.1/", "ftp://example.com/a.png",
            "https://u:p@example.com/", "data:image/png;base64,AAAA", "", " ", "nonsense",
            "https://example.com/a b", "http://localhost/", "https://", "https://exa\\mple.com/"]
ODD = [None, True, False, 0, 1, -1, 2, 4, 5, 5.0, 5.5, 6, 7, 8, 9, 10, 15, 16, 20, 1e30, -1e30,
       2147483647, 2147483648, 604800, 604801, 9223372036854775807, "", " ", "\u3000\u00a0",
       "\x1c", "\ufeff", "\u200b", "x", "5", "720p", "16:9", "fast", "normal", "pixverse-v6",
       "a b", "-a", "a\n", "ä", "a" * 64, "a" * 65, "a" * 128, "a" * 129, "é" * 2048,
       "é" * 2049, "🎬" * 5000, "🎬" * 5001, [], {}, ["x"], [None], [5],
       ["https://example.com/a.png"], ["https://example.com/a.png"] * 7,
       ["https://example.com/a.png"] * 8, {"a": None}]


def valid(rng):
    """A request that both must take."""
    mode = rng.choice(["text", "image", "transition", "fusion", "extend"])
    body = {"prompt": rng.choice(["a cat", "漢字", "a\nb \"c\"", "p" * 5000, "\x1c"])}
    choices = {
        "model": ["pixverse-v6"], "resolution": BODY["resolution"]["enum"],
        "size": BODY["size"]["enum"], "seed": [0, 1, 42.0, 2147483647],
        "duration": [5, 8, 5.0] if mode == "transition" else [*range(1, 16), 5.0, 8.0],
        "negative_prompt": ["", "blur", "é" * 2048], "audio": [True, False],
        "watermark": [True, False], "motion_mode": ["normal"],
        "generate_multi_clip_switch": [True, False]}
    for field, values in choices.items():
        if rng.random() < 0.35:
            body[field] = rng.choice(values)
    if mode == "image":
        body["image_urls"] = rng.choices(URLS, k=rng.randint(1, 4))
    elif mode == "transition":
        body["first_frame_image"], body["last_frame_image"] = rng.choices(URLS, k=2)
    elif mode == "fusion":
        body["img_references"] = rng.choices(URLS, k=rng.randint(1, 7))
    elif mode == "extend":
        if rng.random() < 0.5:
            body["extend_from_task_id"] = rng.choice(["task_01J9", "t" * 128, "a:b/c"])
        else:
            body["extend_from_request_id"] = rng.choice(["r-2", "b" * 128, "1", "Order.1_x-z"])
    body = dict(rng.sample(list(body.items()), len(body)))
    message = {"request_id": rng.choice(["r-1", "a" * 128, "0", "Order.1_x-y"]),
               "request": body}
    if rng.random() < 0.3:
        message["tenant"] = rng.choice(["studio-a", "0", "a" * 64])
    if rng.random() < 0.3:
        message["priority"] = rng.choice([0, 5, 9, 3.0])
    if rng.random() < 0.3:
        message["deadline_seconds"] = rng.choice([1, 604800, 60.0])
    if "extend_from_task_id" in body and rng.random() < 0.3:
        message["account"] = rng.choice(["plan-a", "0", "a" * 32, "A.b_c"])
    if rng.random() < 0.3:
        message["metadata"] = rng.choice([{}, {"a": None, "b": [1, 2.5, 1e300, 0.1]},
                                          {"x": "é\u0001\u007f", "y": {"z": -0.5}}])
    return message


def misspelt(rng, name):
    at = rng.randrange(len(name))
    return rng.choice([name[:at] + name[at + 1:], name[:at] + "x" + name[at:],
                       name.upper(), name + "s", name.replace("_", "-")])


def spoil(rng, message):
    """Change one place; the result may happen to be good."""
    inside = isinstance(message.get("request"), dict) and rng.random() < 0.75
    place = message["request"] if inside else message
    names = list(BODY) if inside else list(SCHEMA["properties"])
    kind = rng.randrange(6)
    if kind == 0 and place:
        del place[rng.choice(list(place))]
    elif kind == 1 and place:
        old = rng.choice(list(place))
        if old:
            place[misspelt(rng, old)] = place.pop(old)
    elif kind == 2 and inside:
        field = rng.choice(URL_FIELDS)
        urls = rng.choices(URLS + BAD_URLS, k=rng.randint(1, 8))
        place[field] = urls if field in ("image_urls", "img_references") else urls[0]
    elif kind == 3:
        place[rng.choice(["note", "n", "webhook", "prompt", "tenant", "x" * 200, ""])] = 1
    else:
        place[rng.choice(names)] = rng.choice(ODD)


def field_name(path):
    path = list(path)
    if len(path) > 1 and path[0] == "request":
        path = path[1:]
    return str(path[0]) + "".join(f"[{p}]" for p in path[1:] if isinstance(p, int))


def is_url_place(field):
    return field.split("[")[0] in URL_FIELDS


def is_about_account(error):
    """It has nothing to do where it stands."""
    return list(error.absolute_schema_path)[:2] == ["dependentSchemas", "account"]


def fields_of_error(error):
    """The fields that a schema's error is about, as the worker names them."""
    path = list(error.absolute_path)
    if is_about_account(error):
        return {"account"}
    if error.validator == "required":
        return {n for n in error.validator_value if n not in error.instance}
    if error.validator == "additionalProperties":
        return {n[:100] for n in error.instance if n not in error.schema["properties"]}
    if error.validator == "dependentRequired":
        return {n for has, needs in error.validator_value.items() if has in error.instance
                for n in needs if n not in error.instance}
    if "dependentSchemas" in error.absolute_schema_path:
        return {"(conflict)"}
    return {field_name(path)}


def schema_says(validator, message):
    fields, coarse = set(), set()
    errors = list(validator.iter_errors(message))
    conflict = any("dependentSchemas" in e.absolute_schema_path and not is_about_account(e)
                   for e in errors)
    for error in errors:
        names = fields_of_error(error)
        if conflict and "then" in error.absolute_schema_path:
            continue  # which mode's durations hold can't be told
        if error.validator == "pattern" and any(is_url_place(n) for n in names):
            coarse |= names
        else:
            fields |= names
    return fields, coarse


def worker_says(verdict):
    fields, urls = set(), set()
    for fault in verdict["faults"]:
        field, code = fault["field"], fault["code"]
        if code in ("bad_url", "private_url") or (code == "blank" and "empty" not in
                                                  fault["message"] and is_url_place(field)):
            urls.add(field)
        elif code == "conflict":
            fields.add("(conflict)")
        elif (field, code) != ("metadata", "too_large") and \
                "names this very request" not in fault["message"]:
            fields.add(field)
    return fields, urls


def expected_body(body):
    """What is sent, and which fields are named as without effect."""
    mode = ("image_to_video" if "image_urls" in body else
            "transition" if "first_frame_image" in body else
            "fusion" if "img_references" in body else
            "extend" if "extend_from_task_id" in body or "extend_from_request_id" in body
            else "text_to_video")
    sent, warned = {"model": "pixverse-v6"}, []
    for field, rule in BODY.items():
        if field not in body or field == "model":
            continue
        value = body[field]
        if mode not in SENT_ONLY_IN.get(field, (mode,)):
            if value != rule["default"]:
                warned.append(field)
        elif field == "image_urls":
            sent[field] = value[:1]
        else:
            sent[field] = int(value) if isinstance(value, float) else value
    warned += [f"image_urls[{i}]" for i in range(1, len(body.get("image_urls", [])))]
    return mode, sent, warned


def judge(texts):
    run = subprocess.run([PROGRAM], input="\n".join(texts) + "\n", capture_output=True,
                         text=True, check=False, timeout=200)
    tap.equal((run.returncode, run.stderr), (0, ""), "the worker's judge ran")
    return [json.loads(line) for line in run.stdout.splitlines()]


def compare(validator, message, verdict):
    """What differs, or None."""
    fields, coarse = schema_says(validator, message)
    if verdict["reject"]:
        wanted = "bad_request_id" if "request_id" in message else "no_request_id"
        return None if "request_id" in fields and verdict["reject"] == wanted else "reject"
    told, urls = worker_says(verdict)
    if fields != told:
        return f"fields: schema {sorted(fields)}, worker {sorted(told)}"
    if not coarse <= urls:
        return f"URLs: schema {sorted(coarse)}, worker {sorted(urls)}"
    if verdict["faults"]:
        return None if "body" not in verdict else "a body in spite of faults"
    mode, sent, warned = expected_body(message["request"])
    got = verdict["body"]
    if list(got.items()) != list(sent.items()) or "." in json.dumps(
            [got.get("duration"), got.get("seed")]):
        return f"body {got}, wanted {sent}"
    if verdict["mode"] != mode or [w["field"] for w in verdict["warnings"]] != warned:
        return f"mode {verdict['mode']}, warnings {verdict['warnings']}"
    if verdict.get("metadata") != message.get("metadata"):
        return f"metadata {verdict.get('metadata')}"
    again = {"request_id": "again", "request": got}
    return None if validator.is_valid(again) else "the body itself breaks the schema"


def check_generated(validator):
    rng = random.Random(SEED)
    messages = []
    for i in range(COUNT):
        message = valid(rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 6]) if i % 4 else 0):
            spoil(rng, message)
        messages.append(message)
    verdicts = judge([json.dumps(m, ensure_ascii=rng.random() < 0.5) for m in messages])
    tap.equal(len(verdicts), len(messages), "one verdict for each request")
    differ = []
    for message, verdict in zip(messages, verdicts):
        difference = compare(validator, message, verdict)
        if difference:
            differ.append(f"{difference}\n{json.dumps(message)[:1500]}")
    tap.equal(len(differ), 0, f"{len(messages)} requests of seed {SEED}: worker and schema agree",
              *differ[:5])
    good = sum(not v["reject"] and not v["faults"] for v in verdicts)
    codes = {f["code"] for v in verdicts if not v["reject"] for f in v["faults"]}
    tap.check(COUNT // 4 <= good <= COUNT * 3 // 4, f"{good} of them are good: a fair mixture")
    tap.equal(sorted(codes | {"no_effect", "too_large"}), sorted(
        SCHEMA_CODES), "every code that a schema could see came up")


SCHEMA_CODES = json.loads((ROOT / "deploy/contract/event.failed.schema.json").read_text())[
    "$defs"]["detail"]["properties"]["code"]["enum"]


def check_written(validator):
    """The rows of the unit test, too."""
    for name in ("bad", "good"):
        rows = [json.loads(line) for line in
                (ROOT / f"tests/unit/requests/{name}.jsonl").read_text().splitlines()]
        messages = [r["message"] for r in rows
                    if "message" in r and len(r.get("faults", [])) < 100]
        verdicts = judge([json.dumps(m) for m in messages])
        differ = [f"{d}\n{json.dumps(m)[:1500]}" for m, v in zip(messages, verdicts)
                  if (d := compare(validator, m, v))]
        tap.equal(len(differ), 0, f"{len(messages)} written {name} requests: they agree too",
                  *differ[:5])


def main():
    validator = jsonschema.Draft202012Validator(SCHEMA)
    check_generated(validator)
    check_written(validator)


tap.run(main)
