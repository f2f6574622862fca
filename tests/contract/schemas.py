"""The schemas of deploy/contract and the AsyncAPI document are sound."""

import copy
import json
import os
import pathlib

import jsonschema
import tap
import yaml

ROOT = pathlib.Path(os.environ.get("TEST_ROOT") or pathlib.Path(__file__).parents[2])
FOLDER = ROOT / "deploy" / "contract"
SCHEMAS = {p.name: json.loads(p.read_text()) for p in sorted(FOLDER.glob("*.schema.json"))}


def faults(name, value):
    validator = jsonschema.Draft202012Validator(
        SCHEMAS[name], format_checker=jsonschema.FormatChecker())
    return [e.message for e in validator.iter_errors(value)]


def changed(value, path, to=None, drop=False):
    """A copy with one place changed or dropped."""
    value = copy.deepcopy(value)
    *front, last = path
    place = value
    for step in front:
        place = place[step]
    if drop:
        del place[last]
    else:
        place[last] = to
    return value


def objects(schema):
    """Every object schema in a schema, the conditional parts aside."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for key, part in schema.items():
            if key not in ("examples", "if", "then", "else", "dependentSchemas"):
                yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def patterns(node):
    """Every regular expression in a schema."""
    if isinstance(node, dict):
        yield from ([node["pattern"]] if isinstance(node.get("pattern"), str) else [])
        for part in node.values():
            yield from patterns(part)
    elif isinstance(node, list):
        for part in node:
            yield from patterns(part)


def check_schemas():
    # RE2 (Go's) knows \xHH, and characters as they are.
    tap.equal([p for schema in SCHEMAS.values() for p in patterns(schema)
               if "\\u" in p or "(?" in p], [], "every language reads the patterns")
    tap.equal(sorted(SCHEMAS), [
        "cancel.schema.json", "event.accepted.schema.json", "event.completed.schema.json",
        "event.failed.schema.json", "headers.schema.json", "progress.schema.json",
        "rejected.headers.schema.json", "request.schema.json"], "every message has a schema")
    shared = {}
    for name, schema in SCHEMAS.items():
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
            wrong = None
        except jsonschema.SchemaError as error:
            wrong = error
        tap.check(wrong is None, f"{name} is a schema", wrong)
        examples = schema.get("examples", [])
        tap.check(examples, f"{name} has examples")
        for i, example in enumerate(examples):
            tap.equal(faults(name, example), [], f"{name}: example {i} obeys it")
        open_ones = [o.get("description", o) for o in objects(schema)
                     if "properties" in o and o.get("additionalProperties") is not False]
        if name != "rejected.headers.schema.json":
            tap.equal(open_ones, [], f"{name}: no object takes unknown fields")
        for key in ("detail", "time"):
            part = schema.get("$defs", {}).get(key)
            if part:
                tap.equal(part, shared.setdefault(key, part),
                          f"{name}: {key} is the same as elsewhere")


def check_events():
    """Each rule of the contract is in the schemas: breaking it shows."""
    done = SCHEMAS["event.completed.schema.json"]["examples"][0]
    name = "event.completed.schema.json"
    tap.equal(faults(name, {**done, "late": True}), [], "a late success is one")
    for text, value in {
        "late false": {**done, "late": False},
        "null instead of nothing": {**done, "metadata": None},
        "an unknown field": {**done, "note": 1},
        "no video": {**done, "videos": []},
        "an error": {**done, "error": {}},
        "another status": {**done, "status": "failed"},
        "billed unknown with a cost": {**done, "billed": "unknown"},
        "a time without milliseconds": changed(
            done, ("times", "stored"), "2026-11-22T06:01:14Z"),
        "a time with an offset": changed(
            done, ("times", "stored"), "2026-11-22T06:01:14.250+00:00"),
        "a month that is none": changed(
            done, ("times", "stored"), "2026-13-22T06:01:14.250Z"),
        "a relative uri": changed(done, ("videos", 0, "uri"), "a/0.mp4"),
        "a width alone": changed(done, ("videos", 0, "media"), {"width": 960}),
        "no media in media": changed(done, ("videos", 0, "media"), {}),
        "a codec with a comma": changed(done, ("videos", 0, "media", "codecs"), ["a,b"]),
        "a difference of nothing": changed(done, ("warnings",), [
            {"field": "prompt", "code": "audio_missing", "message": "no sound"}]),
        "a hash in capitals": changed(done, ("videos", 0, "sha256"), "A" * 64),
    }.items():
        tap.check(faults(name, value), f"completed: {text} is refused")
    for key in done:
        missing = faults(name, changed(done, (key,), drop=True))
        optional = key in ("credits_cost", "metadata")
        tap.equal(not missing, optional,
                  f"completed: {key} {'may be' if optional else 'is not'} left out", *missing)

    name = "event.accepted.schema.json"
    accepted = SCHEMAS[name]["examples"][0]
    for key in accepted:
        missing = faults(name, changed(accepted, (key,), drop=True))
        tap.equal(not missing, key == "metadata", f"accepted: whether {key} is needed", *missing)
    for text, value in {"a cost": {**accepted, "cost": 0.2}, "another status": {**accepted, "status": "completed"},
                        "an end": changed(accepted, ("times", "settled"),
                                          "2026-11-22T06:01:14.250Z")}.items():
        tap.check(faults(name, value), f"accepted: {text} is refused")

    name = "event.failed.schema.json"
    invalid, moderation = SCHEMAS[name]["examples"]
    for key in ("tenant", "mode", "warnings", "times", "billed", "error"):
        missing = faults(name, changed(invalid, (key,), drop=True))
        optional = key in ("tenant", "mode")
        tap.equal(not missing, optional,
                  f"failed: {key} {'may be' if optional else 'is not'} left out", *missing)
    tap.check(faults(name, {**invalid, "videos": []}), "failed: videos are refused")
    # kind: billed -> retry_safe, as the contract's table has it
    by_cost = {"no": True, "yes": False, "unknown": False}
    table = {
        "invalid_request": {"no": True}, "submit_refused": {"no": True},
        "moderation": {"no": False, "yes": False, "unknown": False},
        "provider_failed": by_cost, "cancelled": by_cost,
        "timed_out": {"no": True, "unknown": False},
        "submit_unknown": {"unknown": False}, "task_lost": {"unknown": False},
        "asset_expired": {"yes": False}, "asset_unusable": {"yes": False},
        "source_failed": {"no": True, "unknown": False},
    }
    kinds = SCHEMAS[name]["$defs"]["error"]["properties"]["kind"]["enum"]
    tap.equal(sorted(table), sorted(kinds), "failed: the kinds are those of the contract")
    for kind, allowed in table.items():
        wrong = []
        for billed in ("no", "yes", "unknown"):
            for safe in (True, False):
                event = changed(moderation, ("error", "kind"), kind)
                event["billed"], event["error"]["retry_safe"] = billed, safe
                if (not faults(name, event)) != (allowed.get(billed) == safe):
                    wrong.append((billed, safe))
        tap.equal(wrong, [], f"failed: {kind} goes with its billed and retry_safe only")


def refs(node, at=()):
    if isinstance(node, dict):
        for key, part in node.items():
            if key == "$ref":
                yield at, part
            else:
                yield from refs(part, at + (key,))
    elif isinstance(node, list):
        for i, part in enumerate(node):
            yield from refs(part, at + (i,))


def resolve(document, ref):
    file, _, pointer = ref.partition("#")
    node = json.loads((FOLDER / file).read_text()) if file else document
    for step in pointer.split("/")[1:]:
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def check_asyncapi():
    document = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
    tap.equal(document["asyncapi"], "3.1.0", "asyncapi.yaml is AsyncAPI 3.1")
    broken = []
    used = set()
    for at, ref in refs(document):
        try:
            resolve(document, ref)
            used.add(ref.removeprefix("./"))
        except (KeyError, FileNotFoundError) as error:
            broken.append((at, ref, error))
    tap.equal(broken, [], "every $ref leads somewhere")
    for name in SCHEMAS:
        tap.check(name in used, f"{name} has its place in asyncapi.yaml")
    topics = {c["title"]: c["address"] for c in document["channels"].values()}
    tap.equal(topics, {
        "KAFKA_REQUEST_TOPIC": "pixverse.requests", "KAFKA_EVENT_TOPIC": "pixverse.events",
        "KAFKA_PROGRESS_TOPIC": "pixverse.progress",
        "KAFKA_REJECTED_TOPIC": "pixverse.rejected"}, "the topics are those of the contract")
    told = set()
    for name, operation in document["operations"].items():
        channel = operation["channel"]["$ref"]
        messages = [m["$ref"] for m in operation["messages"]]
        tap.check(operation["action"] in ("send", "receive")
                  and all(m.startswith(channel + "/messages/") for m in messages),
                  f"{name} uses messages of its channel")
        told.update(messages)
    tap.equal(len(told), len(document["components"]["messages"]),
              "every message has an operation")


def main():
    check_schemas()
    check_events()
    check_asyncapi()


tap.run(main)
