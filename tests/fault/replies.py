#!/usr/bin/env python3
# tests/run: postgres kafka timeout=400
"""What the provider may answer, or not answer, to a submission: each request ends
as the contract says, and the ledger shows what was paid for."""

import tap
from world import World

# name, the fault, how it ends (the failure's kind, or completed), purchases.
# A billed reply that is lost is the dangerous one: the same key finds it again.
CASES = [
    ("lost_by_reset", {"kind": "rst_after_body"}, "completed", 1),
    ("lost_by_close", {"kind": "close_after_body"}, "completed", 1),
    ("never_handled", {"kind": "rst_before_billing"}, "completed", 1),
    ("cut_json", {"kind": "truncated_json"}, "completed", 1),
    ("html", {"kind": "html"}, "completed", 1),
    ("empty", {"kind": "empty"}, "completed", 1),
    ("no_task_id", {"kind": "no_task_id"}, "completed", 1),
    ("bad_gateway", {"kind": "bad_gateway"}, "completed", 1),
    ("bad_gateway_billed", {"kind": "bad_gateway", "billed": True}, "completed", 1),
    ("server_error", {"kind": "server_error"}, "completed", 1),
    ("throttled", {"kind": "rate_limit", "retry_after": "1"}, "completed", 1),
    ("in_progress", {"kind": "idempotency_in_progress", "retry_after": "1"},
     "completed", 1),
    ("created", {"kind": "created_201"}, "completed", 1),
    ("as_object", {"kind": "data_object"}, "completed", 1),
    ("bad_parameter", {"kind": "build_request_failed"}, "invalid_request", 0),
    ("not_allowed", {"kind": "permission_error"}, "submit_refused", 0),
    ("refused_400", {"kind": "status", "status": 400}, "invalid_request", 0),
    ("failed_upstream", {"kind": "fail"}, "provider_failed", 1),
    ("moderated", {"kind": "fail", "text": "pixverse error 400063: moderation failed"},
     "moderation", 1),
]


def main():
    # No answer here is late: a refusal that is waited for in vain would be a doubt.
    settings = {"SUBMIT_TIMEOUT_MS": "30000"}
    with World(workers=1, sim=["--schema", "yes"], settings=settings) as world:
        world.faults([{"on": "submit", "match": f"case {name} ends", **fault}
                      for name, fault, _, _ in CASES])
        for name, _, _, _ in CASES:
            world.send({"request_id": name,
                        "request": {"prompt": f"case {name} ends"}})
        world.flush()
        for name, _, expected, _ in CASES:
            try:
                event = world.event(name, 120)
            except Exception as error:  # shown, and the others are still looked at
                tap.check(False, f"{name}: has an end", error,
                          world.ctl("show", name).stdout)
                continue
            got = event.value.get("error", {}).get("kind", event["status"])
            tap.equal(got, expected, f"{name}: ends as {expected}", event.value)

        ledger = world.ledger()
        for name, _, _, purchases in CASES:
            bought = [t for t in ledger["tasks"]
                      if t["request"]["prompt"] == f"case {name} ends"]
            tap.equal(len(bought), purchases, f"{name}: bought {purchases} times",
                      bought)
        world.pump(1)
        tap.equal({i: len(e) for i, e in world.events.items() if len(e) != 1}, {},
                  "each has one event")
        tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0")


tap.run(main)
