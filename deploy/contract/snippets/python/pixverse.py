"""Send requests and hear how they end.

    pixverse.py send FILE…       check each request, then put it on the topic
    pixverse.py hear ID… [--seen FILE]
                                 print what is told, each event once, until the ends
                                 of these requests are there

pip install confluent-kafka jsonschema
"""

import json
import os
import pathlib
import sys

import jsonschema
from confluent_kafka import Consumer, Producer

CONTRACT = pathlib.Path(__file__).parents[2]
BROKERS = os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092")
REQUESTS = os.environ.get("KAFKA_REQUEST_TOPIC", "pixverse.requests")
EVENTS = os.environ.get("KAFKA_EVENT_TOPIC", "pixverse.events")


def schema(name):
    text = (CONTRACT / f"{name}.schema.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def send(paths):
    producer = Producer({"bootstrap.servers": BROKERS, "enable.idempotence": True})
    rules = schema("request")
    lost = []
    for path in paths:
        request = json.loads(pathlib.Path(path).read_text())
        faults = [f"{error.json_path}: {error.message}" for error in rules.iter_errors(request)]
        if faults:
            sys.exit(f"{path}: " + "; ".join(faults))
        producer.produce(REQUESTS, json.dumps(request), request["request_id"],
                         on_delivery=lambda error, _: error and lost.append(error))
    producer.flush()
    if lost:  # send the same again: its id buys it once
        sys.exit(f"not acknowledged: {lost}")


def hear(ids, seen_path):
    # Where an event has effects, its ce_id belongs into their transaction.
    seen_file = open(seen_path, "a+", encoding="ascii")
    seen_file.seek(0)
    seen = set(seen_file.read().split())
    rules = {f"video.generation.{word}": schema(f"event.{word}")
             for word in ("accepted", "completed", "failed")}
    consumer = Consumer({"bootstrap.servers": BROKERS, "auto.offset.reset": "earliest",
                         "group.id": os.environ.get("KAFKA_GROUP", "pixverse-python"),
                         "enable.auto.commit": False})
    consumer.subscribe([EVENTS])
    waiting = set(ids)
    while waiting:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        headers = {key: (value or b"").decode() for key, value in message.headers() or []}
        event = json.loads(message.value())
        if headers.get("ce_type") in rules:  # a later version may tell more
            rules[headers["ce_type"]].validate(event)
            if headers["ce_id"] not in seen:
                seen.add(headers["ce_id"])
                print(headers["ce_id"], event["request_id"], event["status"], flush=True)
                seen_file.write(headers["ce_id"] + "\n")
                seen_file.flush()
            if event["status"] != "accepted":
                waiting.discard(event["request_id"])
        consumer.commit(message, asynchronous=False)
    consumer.close()


if sys.argv[1:2] == ["send"]:
    send(sys.argv[2:])
elif sys.argv[1:2] == ["hear"]:
    words = sys.argv[2:]
    place = words.index("--seen") if "--seen" in words else len(words)
    hear(words[:place], words[place + 1] if place < len(words) else "seen")
else:
    sys.exit(__doc__)
