#!/usr/bin/env python3
# tests/run: postgres kafka
"""Traces: what comes to a collector is what OpenTelemetry's own library reads, linked
to the producer's; a collector that is away costs spans, and nothing else."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest)

import tap
from world import World, fetch, free_port, wait_for

TRACE, SPAN = "ab" * 16, "cd" * 8


class Collector(ThreadingHTTPServer):
    """Keeps what it is sent: (path, headers, message)."""

    def __init__(self, port):
        self.came = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.came.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def spans(self):
        return [span for _, _, message in self.came for part in message["resourceSpans"]
                for scope in part["scopeSpans"] for span in scope["spans"]]


def as_protobuf(message):
    """Read as OpenTelemetry's own types: unknown fields and wrong shapes are errors. Ids
    are hex in OTLP's JSON, where protobuf's has base64."""
    for part in message["resourceSpans"]:
        for scope in part["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return ParseDict(message, ExportTraceServiceRequest())


def check_way(collector):
    by_name = {}
    for span in collector.spans():
        if span["traceId"] == TRACE:
            by_name[span["name"]] = span
    tap.equal(sorted(by_name), ["announce", "generate", "queue", "submit", "transfer",
                                "video.generation"], "each stage has a span")
    root = by_name.pop("video.generation")
    tap.equal(root.get("parentSpanId"), SPAN, "the request's is the child of the producer's")
    tap.equal({s.get("parentSpanId") for s in by_name.values()}, {root["spanId"]},
              "the stages' are the request's children")
    start, end = int(root["startTimeUnixNano"]), int(root["endTimeUnixNano"])
    tap.check(all(start <= int(s["startTimeUnixNano"]) <= int(s["endTimeUnixNano"])
                  for s in by_name.values()) and start < end, "their times fit", by_name)
    attributes = {a["key"]: a["value"] for a in root["attributes"]}
    tap.equal((attributes["pixverse.request_id"], attributes["pixverse.tenant"],
               attributes["pixverse.status"]),
              ({"stringValue": "traced"}, {"stringValue": "studio"},
               {"stringValue": "completed"}), "it says whose it was and how it ended")
    for path, headers, message in collector.came:
        tap.equal((path, headers.get("x-key")), ("/v1/traces", "t0ken of ours"),
                  "it is sent where it belongs, with its headers")
        read = as_protobuf(message)
        resource = {a.key: a.value.string_value
                    for a in read.resource_spans[0].resource.attributes}
        tap.equal((resource["service.name"], resource["team"]), ("films", "a b"),
                  "the resource is as the settings say")


def main():
    port = free_port()
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}/",
                "OTEL_EXPORTER_OTLP_HEADERS": "x-key=t0ken%20of%20ours",
                "OTEL_SERVICE_NAME": "films", "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b"}
    with World(settings=settings) as world:
        worker = world.workers[0]
        world.send({"request_id": "away", "request": {"prompt": "x"}})
        world.flush()
        tap.equal(world.event("away")["status"], "completed",
                  "without its collector a worker works")
        dropped = 'pixverse_spans_total{end="dropped"} '
        text = wait_for(lambda: (lambda t: t if dropped + "6" in t else None)(
            fetch(worker.admin + "/metrics")[1].decode()), 30, "spans that are dropped")
        tap.check(dropped + "6\n" in text, "what it drops is counted")
        collector = Collector(port)
        headers = [("traceparent", f"00-{TRACE}-{SPAN}-01".encode())]
        world.send({"request_id": "traced", "tenant": "studio", "request": {"prompt": "x"}},
                   headers=headers)
        world.send({"request_id": "unsampled", "request": {"prompt": "x"}},
                   headers=[("traceparent", f"00-{'12' * 16}-{SPAN}-00".encode())])
        world.flush()
        for name in ("traced", "unsampled"):
            world.event(name)
        tap.equal(worker.stop(), 0, "a drain sends what is left")
        # Two seconds it waits for the answer of a collector that is slow to read them.
        wait_for(lambda: any(s["traceId"] == TRACE for s in collector.spans()), 20,
                 "what it sent")
        # First: reading them as protobuf changes the ids.
        tap.equal({s["traceId"] for s in collector.spans()} & {"12" * 16}, set(),
                  "what its producer doesn't sample is not traced")
        check_way(collector)
        tap.check("takes no spans" in worker.text() and "t0ken" not in worker.text(),
                  "the log says that it was away, and no secret", worker.text()[-2000:])
        collector.came.clear()
        quiet = world.start_worker(OTEL_SDK_DISABLED="true")
        world.send({"request_id": "quiet", "request": {"prompt": "x"}})
        world.flush()
        world.event("quiet")
        tap.check("pixverse_spans_total" not in fetch(quiet.admin + "/metrics")[1].decode(),
                  "switched off there is nothing of it")
        tap.equal(quiet.stop(), 0, "a drained worker ends with status 0")
        tap.equal(collector.came, [], "and nothing comes")


if __name__ == "__main__":
    tap.run(main)
