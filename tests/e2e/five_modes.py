#!/usr/bin/env python3
# tests/run: postgres kafka sanitized raced secured
"""One request of each mode, through Apache Kafka, PostgreSQL and one worker, to
five files and five events. As …@secured every connection to Kafka is over TLS, and
logs in with SCRAM-SHA-256."""

import contextlib
import json
import os
import uuid
from datetime import datetime
from pathlib import Path

import jsonschema

import secured
import tap
from leftovers import files_below, half_files
from world import ROOT, World, fetch, file_of, sha256_of, wait_for

MODES = {
    "text_to_video": {"size": "21:9", "seed": 42},
    "image_to_video": {"image_urls": ["https://images.example.com/cat.jpg"]},
    "transition": {"first_frame_image": "https://images.example.com/a.jpg",
                   "last_frame_image": "https://images.example.com/b.jpg"},
    "fusion": {"img_references": ["https://images.example.com/a.png",
                                  "https://images.example.com/b.png"]},
    "extend": {},
}


def request(mode, **more):
    return {"request_id": f"order.{mode}", "tenant": "studio-a",
            "request": {"prompt": f"a {mode} é", "duration": 5, **MODES[mode], **more},
            "metadata": {"mode": mode, "nothing": None, "deep": [1, {"a": 0.2}],
                         "trace_id": 13027471883475847893}}


FRAME = b"\0\0\1{\xff"  # of Confluent's serializers: zero, an id


def send_framed(world, message, **more):
    world.sent_ids.add(message["request_id"])
    world.send(FRAME + json.dumps(message).encode(), key=message["request_id"], **more)


def schema_of(name):
    """The schema of a message, if the contract has one."""
    found = sorted((ROOT / "deploy/contract").rglob(f"*{name}*.json"))
    return json.loads(found[0].read_text()) if found else None


def boxes(path):
    """The top-level boxes of an MP4; an error if they don't tile the file."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        names.append(data[at + 4:at + 8].decode("latin-1"))
        if size == 1:
            size = int.from_bytes(data[at + 8:at + 16], "big")
        if size < 8 or at + size > len(data):
            raise ValueError(f"box {names[-1]} of {size} bytes at {at} of {len(data)}")
        at += size
    return names


def check_event(world, mode, event, schema):
    identity = f"order.{mode}"
    headers = event.headers
    tap.equal(event.type, "video.generation.completed", f"{mode}: completed",)
    tap.equal(
        {k: headers.get(k) for k in ("ce_specversion", "ce_source", "ce_subject",
                                     "content-type", "ce_id", "ce_time")},
        {"ce_specversion": "1.0", "ce_source": "/pixverse-worker",
         "ce_subject": identity, "content-type": "application/json",
         "ce_id": str(uuid.uuid5(uuid.NAMESPACE_URL,
                                 f"video.generation.completed/{identity}")),
         "ce_time": event["times"]["settled"]},
        f"{mode}: the headers are those of CloudEvents")
    tap.equal(headers.get("traceparent"), f"00-{'ab' * 16}-{'cd' * 8}-01",
              f"{mode}: traceparent is repeated")
    tap.equal([event[k] for k in ("request_id", "tenant", "status", "mode", "provider",
                                  "model", "billed", "warnings")],
              [identity, "studio-a", "completed", mode, "apimart", "pixverse-v6",
               "yes", []], f"{mode}: the body names what was done")
    tap.equal(event["metadata"], request(mode)["metadata"],
              f"{mode}: metadata comes back as the same value")
    times = event["times"]
    order = [times[k] for k in ("received", "submitted", "stored", "settled")]
    tap.equal(order, sorted(order), f"{mode}: the times follow each other", times)
    # The provider tells `completed` in whole seconds, by a clock of its own: ours may be
    # behind it by as long as PostgreSQL's answer to the first beat took, until the next.
    sent, made, kept = (datetime.fromisoformat(times[k].replace("Z", "+00:00")).timestamp()
                        for k in ("submitted", "generated", "stored"))
    tap.check(sent - 1 <= made <= kept + 5, f"{mode}: it was generated between", times)
    for video in event["videos"]:
        path = file_of(video["uri"])
        tap.equal((path.stat().st_size, sha256_of(path), video["content_type"]),
                  (video["bytes"], video["sha256"], "video/mp4"),
                  f"{mode}: the file is what the event says")
        tap.check(f"/studio-a/" in video["uri"] and f"/{identity}/0.mp4" in video["uri"],
                  f"{mode}: the file stands under its key", video["uri"])
        media = video["media"]
        tap.equal({**media, "codecs": [codec[:5] for codec in media["codecs"]]},
                  {"width": 1260 if mode == "text_to_video" else 960, "height": 540,
                   "duration": 5, "frame_rate": 24, "codecs": ["avc1."], "audio": False},
                  f"{mode}: the event says what was delivered")
        names = boxes(path)
        tap.check({"ftyp", "moov", "mdat"} <= set(names), f"{mode}: it is an MP4", names)
    if schema:
        faults = [e.message for e in
                  jsonschema.Draft202012Validator(schema).iter_errors(event.value)]
        tap.equal(faults, [], f"{mode}: the event obeys its schema")


def check_other_films(world, schema):
    """A video that isn't what was ordered is stored and told, with a warning."""
    kinds = {"other_resolution": ["resolution_differs"],
             "other_duration": ["duration_differs"],
             "other_aspect": ["aspect_differs"], "other_audio": ["audio_unasked"]}
    world.faults([{"on": "submit", "kind": kind, "match": f"film {kind}", "count": 1}
                  for kind in kinds])
    for kind in kinds:
        world.send({"request_id": kind, "request": {"prompt": f"a film {kind}"}})
    world.flush()
    for kind, codes in kinds.items():
        event = world.event(kind)
        tap.equal((event["status"], [w["code"] for w in event["warnings"]]),
                  ("completed", codes), f"{kind}: it is completed, with a warning")
        faults = [e.message for e in
                  jsonschema.Draft202012Validator(schema).iter_errors(event.value)]
        tap.equal(faults, [], f"{kind}: the event obeys its schema")
    shown = world.ctl("show", "other_duration").stdout
    tap.check("960x540, 3 s, 24 frames/s, avc1." in shown and
              "videos[0] lasts 3 seconds, ordered: 5" in shown, "show tells both", shown)
    metrics = fetch(world.workers[0].admin + "/metrics")[1].decode()
    for code in ("resolution_differs", "duration_differs", "aspect_differs",
                 "audio_unasked"):
        tap.check(f'pixverse_deliveries_differ_total{{kind="{code}"}} 1\n' in metrics,
                  f"{code} is counted")


def check_accepted(world):
    """Each request that was taken in is told so, once, before its end; no other is."""
    schema = schema_of("event.accepted")
    world.send({"request_id": "order.faulty", "request": {"prompt": ""}})
    world.flush()
    world.event("order.faulty")
    wait_for(lambda: world.pump() or len(world.accepted) >= len(MODES), 30, "every accepted")
    tap.equal({k: len(v) for k, v in world.accepted.items()},
              {f"order.{mode}": 1 for mode in MODES}, "each that is good is told accepted")
    for mode in MODES:
        event = world.accepted[f"order.{mode}"][0]
        end = world.events[f"order.{mode}"][0]
        faults = [e.message for e in
                  jsonschema.Draft202012Validator(schema).iter_errors(event.value)]
        tap.equal((faults, event["status"], event["metadata"], event["times"]),
                  ([], "accepted", end["metadata"], {"received": end["times"]["received"]}),
                  f"{mode}: it obeys its schema, and says what came in")
        tap.equal((event.headers["ce_time"], event.headers["traceparent"]),
                  (event["times"]["received"], end.headers["traceparent"]),
                  f"{mode}: its time is that of receipt, its trace the request's")
    wait_for(lambda: world.query("SELECT count(*) FROM accepted") == [(0,)], 30,
             "nothing is owed")


@contextlib.contextmanager
def broker():
    """What a World needs to know of the Kafka that this run is to go through."""
    if os.environ.get("TEST_KAFKA") != "secured":
        yield {"settings": {"ACCEPTED_EVENTS": "1"}}
        return
    with secured.Secured() as kafka:
        yield {"kafka": kafka,
               "settings": {"ACCEPTED_EVENTS": "1", **kafka.login("SCRAM-SHA-256")}}


def main():
    schema = schema_of("event.completed") or schema_of("completed") or schema_of("event")
    tap.check(schema, "the contract has a schema of events")
    with broker() as settings, World(**settings) as world:
        headers = [("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01".encode())]
        for mode in list(MODES)[:4]:
            send = send_framed if mode == "fusion" else World.send
            send(world, request(mode), headers=headers)
        world.flush()
        first = world.event("order.text_to_video")
        world.send(request("extend", extend_from_task_id=first["provider_task_id"]),
                   headers=headers)
        world.flush()
        for mode in MODES:
            check_event(world, mode, world.event(f"order.{mode}"), schema)

        check_accepted(world)
        ledger = world.ledger()
        tap.note(json.dumps(ledger)[:2000])
        hashes = [sha256_of(p) for p in files_below(world.videos) if p.suffix == ".mp4"]
        tap.equal(len(set(hashes)), 5, "five files, each another video")
        tap.equal(half_files(world.videos), [], "no half file is left")

        # The same again changes nothing, framed or not; other content under the same id
        # does not either.
        world.send(request("text_to_video"))
        world.send(request("fusion"))
        send_framed(world, request("text_to_video"))
        world.send(request("text_to_video", seed=43))
        world.send(FRAME + b"[]", key="no object")
        world.flush()
        rejected = world.reader("rejected")
        messages = [wait_for(lambda: rejected.poll(0.1), 30, "a rejected message")
                    for _ in range(2)]
        tap.equal(sorted((m.key(), dict(m.headers()).get("error")) for m in messages),
                  [(b"no object", b"not_json"),
                   (b"order.text_to_video", b"request_id_reused")],
                  "another content under a used id is rejected, and no object in a frame")
        tap.check(FRAME + b"[]" in [m.value() for m in messages],
                  "what was rejected has its bytes, frame and all")
        rejected.close()
        world.pump(0.5)
        tap.equal(sorted(len(v) for v in world.events.values()), [1] * 6,
                  "each request has one end")
        tap.equal(sum(map(len, world.accepted.values())), 5,
                  "and what comes again is not told accepted again")

        check_other_films(world, schema)
        worker = world.workers[0]
        tap.equal(worker.stop(), 0, "a drained worker ends with status 0",
                  )
        tap.check("ERROR" not in worker.text() and "Sanitizer" not in worker.text(),
                  "its log has no error", worker.text()[-3000:])


if __name__ == "__main__":
    tap.run(main)
