"""The examples of deploy/contract: one of every mode, failure kind and rejection that
the code knows, each as its schema and the worker's own judgement have it, and the same
in asyncapi.yaml."""

import json
import os
import pathlib
import subprocess
import uuid

import jsonschema
import tap
import yaml

ROOT = pathlib.Path(os.environ.get("TEST_ROOT") or pathlib.Path(__file__).parents[2])
BUILD = pathlib.Path(os.environ.get("TEST_BUILD_SANITIZE") or ROOT / "build" / "sanitize")
PROGRAM = BUILD / "tests" / "contract" / "request_verdict"
FOLDER = ROOT / "deploy" / "contract"
EXAMPLES = {str(p.relative_to(FOLDER / "examples")).removesuffix(".json"):
            json.loads(p.read_text()) for p in sorted((FOLDER / "examples").rglob("*.json"))}
CE_TYPE = "video.generation."
# ce_type, and the folder and schema of such messages
EVENTS = {"accepted": ("events/accepted", "event.accepted"),
          "completed": ("events/completed.", "event.completed"),
          "failed": ("events/failed.", "event.failed"),
          "progress": ("progress/", "progress")}
BY_STORE = ("request_id_reused", "too_old", "cancel_other_tenant", "cancel_too_late")
BEYOND = {"too_large": 1 << 20, "too_large.dropped": 2 << 20}  # more bytes than these


def faults(schema, value):
    validator = jsonschema.Draft202012Validator(
        json.loads((FOLDER / f"{schema}.schema.json").read_text()),
        format_checker=jsonschema.FormatChecker())
    return [e.message for e in validator.iter_errors(value)]


def program(*args, text=""):
    run = subprocess.run([PROGRAM, *args], input=text, capture_output=True, text=True,
                         check=False, timeout=60)
    tap.equal((run.returncode, run.stderr), (0, ""), f"request_verdict {' '.join(args)} ran")
    return [json.loads(line) for line in run.stdout.splitlines()]


def judge(value):
    """What the worker says of one value; a text is taken as it is."""
    text = value if isinstance(value, str) else json.dumps(value)
    return program(text=text.replace("\n", " ") + "\n")[0]


def check_all_there(words):
    wanted = {f"requests/{mode}" for mode in words["modes"]}
    wanted |= {f"events/completed.{mode}" for mode in words["modes"]}
    wanted |= {f"events/failed.{kind}" for kind in words["kinds"]}
    wanted |= {f"rejected/{word}" for word in words["rejects"]}
    more = {"requests/faulty", "requests/cancel", "requests/extend_foreign",
            "events/completed.late", "events/completed.differs", "events/accepted",
            "progress/processing", "rejected/too_large.dropped"}
    tap.equal(sorted(wanted - set(EXAMPLES)), [],
              "every mode, failure kind and rejection of the code has an example")
    tap.equal(sorted(set(EXAMPLES) - wanted - more), [],
              "no example is of something that the code doesn't know")


def check_requests(words):
    for mode in words["modes"]:
        message = EXAMPLES[f"requests/{mode}"]
        tap.equal(faults("request", message), [], f"request, {mode}: as its schema says")
        verdict = judge(message)
        tap.equal([verdict["reject"], verdict.get("mode"), verdict.get("faults")],
                  ["", mode, []], f"request, {mode}: the worker takes it as that")
    cancel = EXAMPLES["requests/cancel"]
    tap.equal((faults("cancel", cancel), judge(cancel).get("cancel")), ([], True),
              "the cancel is as its schema says, and the worker takes it as one")
    event = EXAMPLES["events/failed.invalid_request"]["value"]
    verdict = judge(EXAMPLES["requests/faulty"])
    tap.equal((event["request_id"], event["error"]["details"]),
              (EXAMPLES["requests/faulty"]["request_id"], verdict["faults"]),
              "the invalid_request is what the worker says of requests/faulty")


def check_event(name, message):
    headers, value = message["headers"], message["value"]
    kind = headers["ce_type"].removeprefix(CE_TYPE)
    folder, schema = EVENTS[kind]
    tap.check(name.startswith(folder) and message["topic"].startswith("pixverse."),
              f"{name}: it is in its folder")
    tap.equal(faults(schema, value) + faults("headers", headers), [],
              f"{name}: value and headers are as their schemas say")
    identity = value["request_id"]
    tap.equal((message["key"], headers["ce_subject"]), (identity, identity),
              f"{name}: key and subject are the request id")
    if kind != "progress":
        tap.equal((headers["ce_id"], headers["ce_time"]),
                  (str(uuid.uuid5(uuid.NAMESPACE_URL, f"{CE_TYPE}{kind}/{identity}")),
                   value["times"]["received" if kind == "accepted" else "settled"]), f"{name}: ce_id and ce_time follow from it")
        times = [value["times"][k] for k in ("received", "submitted", "generated", "stored",
                                             "settled") if k in value["times"]]
        tap.equal(times, sorted(times), f"{name}: its times follow each other")
    about = name.removeprefix(folder)
    if kind == "failed":
        tap.equal(value["error"]["kind"], about, f"{name}: it is of that kind")
    elif kind == "completed" and about not in ("late", "differs"):
        order = EXAMPLES[f"requests/{about}"]
        tap.equal([value["mode"], identity, value["tenant"], value.get("metadata")],
                  [about, order["request_id"], order.get("tenant", "default"),
                   order.get("metadata")], f"{name}: it ends the request of that mode")


def check_rejected(name, message):
    headers = message["headers"]
    word = name.removeprefix("rejected/").split(".")[0]
    tap.equal((faults("rejected.headers", headers), headers["error"]), ([], word),
              f"{name}: its headers are as their schema says")
    if name.removeprefix("rejected/") in BEYOND:
        limit = BEYOND[name.removeprefix("rejected/")]
        tap.check(message["value_bytes"] > limit and "value" not in message,
                  f"{name}: it is over {limit} bytes")
        return
    verdict = judge(message["value"])
    if word in BY_STORE:  # the store's to say
        tap.equal((verdict["reject"], verdict["faults"]), ("", []),
                  f"{name}: by itself it is good")
        schema = "cancel" if "cancel" in message["value"] else "request"
        tap.equal(faults(schema, message["value"]), [], f"{name}: it obeys its schema")
    else:
        tap.equal((verdict["reject"], verdict.get("why")),
                  (word, headers.get("error_detail")), f"{name}: the worker says so")


def check_asyncapi():
    messages = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())["components"]["messages"]
    for key, message in messages.items():
        tap.check(message.get("examples"), f"asyncapi.yaml: {key} has examples")
        for example in message.get("examples", []):
            name = example["name"]
            there = EXAMPLES.get(name)
            if key in ("request", "cancel"):
                there = {"value": there}
            tap.equal((example.get("headers"), example.get("payload")),
                      (there.get("headers"), there.get("value")),
                      f"asyncapi.yaml: {name} is the file of that name")


def main():
    words = program("--words")[0]
    tap.check(all(len(words[k]) >= n for k, n in (("modes", 5), ("kinds", 10), ("rejects", 6))),
              "the code has its tables", words)
    check_all_there(words)
    check_requests(words)
    for name, message in EXAMPLES.items():
        if name.startswith(("events/", "progress/")):
            check_event(name, message)
        elif name.startswith("rejected/"):
            check_rejected(name, message)
    check_asyncapi()


tap.run(main)
