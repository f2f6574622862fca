#!/usr/bin/env python3
# tests/run: postgres kafka
"""deploy/monitoring on a Prometheus that scrapes a worker: each rule and each panel is
read by it and names what a worker has, each alert fires when it should and not before,
and what a worker tells is in the form that promtool asks for."""

import json
import os
import re
import subprocess
import urllib.parse
from pathlib import Path

import tap
import yaml
from world import World, fetch, free_port, wait_for

ROOT = Path(os.environ["TEST_ROOT"])
TMP = Path(os.environ["TEST_TMP"])
MONITORING = ROOT / "deploy/monitoring"
METRIC = re.compile(r"\b(?:pixverse|process)_[a-z_]+\b")


def flat(value):
    return f"{value}+0x90"


def grows(step):
    return f"0+{step}x90"


# Alert -> labels that it carries, series that make it fire, series that don't; a sample a
# minute. A series is name{labels} and its samples. What doesn't is near to what does.
CASES = {
    "PixverseNoWorker": ({}, {"pixverse_fleet_workers": flat(0)},
                         {"pixverse_fleet_workers": flat(1)}),
    "PixverseNotReady": ({"instance": "a"}, {'pixverse_ready{instance="a"}': flat(0)},
                         {'pixverse_ready{instance="a"}': "0x3 1+0x80"}),
    "PixverseUnannounced": ({}, {"pixverse_unannounced_age_seconds": flat(121)},
                            {"pixverse_unannounced_age_seconds": flat(119)}),
    "PixverseExpiryNear": ({}, {"pixverse_video_expiry_seconds": flat(3500)},
                           {'pixverse_video_expiry_seconds{instance="a"}': flat("Inf"),
                            'pixverse_video_expiry_seconds{instance="b"}': flat(3700)}),
    "PixverseQueueOld": ({}, {"pixverse_fleet_oldest_queued_seconds": flat(3700)},
                         {"pixverse_fleet_oldest_queued_seconds": flat(3500)}),
    "PixverseDeliveriesDiffer": (
        {"kind": "audio_missing"},
        {'pixverse_deliveries_differ_total{kind="audio_missing"}': "0+0x58 1+0x30"},
        {'pixverse_deliveries_differ_total{kind="audio_missing"}': flat(7)}),
    "PixverseFenced": ({}, {"pixverse_store_fenced_total": grows(20)},
                       {"pixverse_store_fenced_total": grows(5)}),
    "PixverseTakeovers": (
        {}, {"pixverse_taken_over_total": grows(5), "pixverse_takeover_seconds_count": grows(1)},
        {"pixverse_taken_over_total": flat(90), "pixverse_takeover_seconds_count": flat(1)}),
    "PixverseProviderErrors": (
        {}, {'pixverse_provider_replies_total{status="2xx"}': grows(70),
             'pixverse_provider_replies_total{status="none"}': grows(30)},
        {'pixverse_provider_replies_total{status="2xx"}': grows(90),
         'pixverse_provider_replies_total{status="5xx"}': grows(10)}),
    "PixverseHold": ({"reason": "balance"}, {'pixverse_hold{reason="balance"}': flat(1)},
                     {'pixverse_hold{reason="balance"}': flat(0),
                      'pixverse_hold{reason="throttle"}': flat(1)}),
    "PixverseKeysBroken": ({}, {"pixverse_keys_broken_total": "0+0x40 1+0x50"},
                           {"pixverse_keys_broken_total": flat(1)}),
    "PixverseIdsUnwritten": ({}, {"pixverse_ids_unwritten": flat(1)},
                             {"pixverse_ids_unwritten": flat(0)}),
    "PixverseDoubts": (
        {}, {"pixverse_doubts_total": grows(6), "pixverse_submits_total": grows(100)},
        {"pixverse_doubts_total": grows(4), "pixverse_submits_total": grows(100)}),
    "PixversePollsLate": (
        {}, {'pixverse_poll_lateness_seconds_bucket{le="1"}': grows(90),
             'pixverse_poll_lateness_seconds_bucket{le="2.5"}': grows(100),
             'pixverse_poll_lateness_seconds_bucket{le="+Inf"}': grows(100)},
        {'pixverse_poll_lateness_seconds_bucket{le="1"}': grows(1000),
         'pixverse_poll_lateness_seconds_bucket{le="2.5"}': grows(1001),
         'pixverse_poll_lateness_seconds_bucket{le="+Inf"}': grows(1001)}),
    "PixverseBacklog": ({}, {"pixverse_intake_paused": flat(1)},
                        {"pixverse_intake_paused": flat(0)}),
    "PixverseLag": ({}, {"pixverse_kafka_lag_messages": flat(10001)},
                    {'pixverse_kafka_lag_messages{instance="a"}': flat("NaN"),
                     'pixverse_kafka_lag_messages{instance="b"}': flat(9999)}),
    "PixverseFailures": (
        {}, {'pixverse_ended_total{kind="completed"}': grows(7),
             'pixverse_ended_total{kind="timeout"}': grows(3)},
        {'pixverse_ended_total{kind="completed"}': grows(9),
         'pixverse_ended_total{kind="timeout"}': grows(1)}),
    "PixverseLoopStands": (
        {}, {"pixverse_loop_longest_turn_seconds": "0x53 3+0x30"},
        {"pixverse_loop_longest_turn_seconds": flat(0.9)}),
    "PixverseTasksParked": ({}, {"pixverse_tasks_parked": flat(1)},
                            {"pixverse_tasks_parked": flat(0)}),
    "PixverseTasksUnreadable": ({}, {"pixverse_tasks_unreadable": flat(1)},
                                {"pixverse_tasks_unreadable": flat(0)}),
    "PixverseTasksSuspect": ({}, {"pixverse_tasks_suspect": flat(1)},
                             {"pixverse_tasks_suspect": flat(0)}),
    "PixverseTasksWaiting": (
        {"reason": "store_failed"}, {'pixverse_tasks_waiting{reason="store_failed"}': flat(1)},
        {'pixverse_tasks_waiting{reason="store_failed"}': flat(0)}),
    "PixverseOtherAccounts": ({}, {"pixverse_tasks_of_other_accounts": flat(1)},
                              {"pixverse_tasks_of_other_accounts": flat(0)}),
    "PixverseOldSnapshot": (
        {}, {"pixverse_postgres_oldest_xmin_age_transactions": flat(1000001)},
        {"pixverse_postgres_oldest_xmin_age_transactions": flat(999999)}),
    "PixverseBudgetNear": (
        {"tenant": "a", "period": "day"},
        {'pixverse_budget_near{tenant="a",period="day",instance="x"}': flat(1),
         'pixverse_budget_near{tenant="a",period="day",instance="y"}': flat(0)},
        {'pixverse_budget_near{tenant="a",period="day"}': flat(0)}),
    "PixverseBudgetDrift": (
        {"tenant": "a", "period": "month"},
        {'pixverse_budget_spent{tenant="a",period="month"}': flat(126),
         'pixverse_budget_estimated{tenant="a",period="month"}': flat(100)},
        {'pixverse_budget_spent{tenant="a",period="month"}': flat(124),
         'pixverse_budget_estimated{tenant="a",period="month"}': flat(100)}),
    "PixverseHistoryOverdue": ({}, {"pixverse_history_overdue_seconds": flat(90000)},
                               {"pixverse_history_overdue_seconds": flat(86000)}),
}
FOR_HOURS = {"PixverseHistoryOverdue": "130m"}  # later than all others


def rules():
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    all_panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return [panel for panel in all_panels if panel["type"] != "row"]


def expressions():
    """Every PromQL expression, with the place where it stands."""
    return [(rule["alert"], rule["expr"]) for rule in rules()] + [
        (panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]


def rendered(text, labels):
    return re.sub(r"{{ \$labels\.(\w+) }}", lambda m: labels[m[1]], text)


def trial(rule, series, labels):
    """One test of promtool; labels None: it must not fire."""
    expected = [] if labels is None else [{
        "exp_labels": {"severity": rule["labels"]["severity"]} | labels,
        "exp_annotations": {key: rendered(text, labels)
                            for key, text in rule["annotations"].items()}}]
    samples = [{"series": name, "values": values.replace("x90", "x150")}
               for name, values in series.items()]
    return {"interval": "1m", "input_series": samples, "alert_rule_test": [
        {"eval_time": FOR_HOURS.get(rule["alert"], "60m"), "alertname": rule["alert"],
         "exp_alerts": expected}]}


def promtool(*arguments, **more):
    return subprocess.run(["promtool", *map(str, arguments)], text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def test_rules(name, trials):
    file = TMP / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(MONITORING / "alerts.yaml")],
                                    "evaluation_interval": "1m", "tests": trials}))
    return promtool("test", "rules", file)


def check_rules():
    done = promtool("check", "rules", MONITORING / "alerts.yaml")
    tap.check(done.returncode == 0, "promtool reads the rules", done.stdout)
    for rule in rules():
        tap.check(rule["labels"]["severity"] in ("critical", "warning")
                  and rule["annotations"]["summary"] and rule["annotations"]["description"],
                  f"{rule['alert']}: it says what it means and what to do")
    tap.equal(sorted(CASES), sorted(rule["alert"] for rule in rules()),
              "each alert has a case here")
    trials = []
    for rule in rules():
        labels, fires, quiet = CASES[rule["alert"]]
        trials += [trial(rule, fires, labels), trial(rule, quiet, None)]
    done = test_rules("all", trials)
    tap.check(done.returncode == 0, f"{len(trials) // 2} alerts fire when they should, and only then",
              done.stdout)
    # A trial that expects what does not come is seen.
    rule = rules()[0]
    labels, fires, quiet = CASES[rule["alert"]]
    for word, wrong in (("an alert", trial(rule, fires, None)), ("none", trial(rule, quiet, labels))):
        tap.check(test_rules("wrong", [wrong]).returncode == 1,
                  f"{word} that is not expected would be found")


def check_form(metrics):
    done = promtool("check", "metrics", input=metrics)
    tap.check(done.returncode == 0, "promtool has nothing to say of /metrics", done.stdout)
    names = set(METRIC.findall(metrics))
    families = set(re.findall(r"^# TYPE (\w+)", metrics, re.M))
    shown = {name if name in families else re.sub(r"_(bucket|sum|count)$", "", name)
             for _, expr in expressions() for name in METRIC.findall(expr)}
    tap.equal(sorted(families - shown), [], "every metric of a worker has a panel or an alert")
    labels = set(re.findall(r"[{,]([a-z_]+)=", metrics)) | {"le", "instance", "job"}
    for where, expr in expressions():
        odd = sorted(set(METRIC.findall(expr)) - names)
        grouped = ",".join(re.findall(r"\bby \(([a-z_, ]+)\)", expr))
        asked = {label.strip() for label in grouped.split(",") if label.strip()}
        asked |= set(re.findall(r"[{,]([a-z_]+)[!=]", expr))
        tap.equal(odd + sorted(asked - labels), [],
                  f"{where}: a worker has these metrics and labels", expr)


class Prometheus:
    """A server of our own that scrapes one worker every second."""

    def __init__(self, target):
        port = free_port()
        config = TMP / "prometheus.yaml"
        config.write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(MONITORING / "alerts.yaml")],
            "scrape_configs": [{"job_name": "pixverse-worker",
                                "static_configs": [{"targets": [target]}]}]}))
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(TMP / "prometheus.log", "w")  # noqa: SIM115  open as long as it runs
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
             f"--storage.tsdb.path={TMP / 'prometheus'}"], stdout=self.log, stderr=self.log)

    def ask(self, path, **query):
        text = urllib.parse.urlencode(query)
        return json.loads(fetch(f"{self.url}/api/v1/{path}?{text}")[1])

    def up(self):
        try:
            found = self.ask("query", query="up == 1")["data"]["result"]
        except (OSError, ValueError, KeyError):
            return False
        return len(found) == 1

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def check_server(server):
    groups = server.ask("rules")["data"]["groups"]
    tap.equal(sorted(rule["name"] for group in groups for rule in group["rules"]),
              sorted(CASES), "Prometheus has every rule")
    def evaluated():
        rows = [r for g in server.ask("rules")["data"]["groups"] for r in g["rules"]]
        return all(row["health"] != "unknown" for row in rows) and rows
    found = wait_for(evaluated, 60, "each rule was evaluated")
    tap.equal([(r["name"], r.get("lastError")) for r in found if r["health"] != "ok"], [],
              "each is evaluated without an error")
    for where, expr in expressions():
        asked = expr.replace("$__rate_interval", "1m")
        answer = server.ask("query", query=asked)
        tap.equal(answer.get("status"), "success", f"{where}: Prometheus reads it", expr, answer)
        for name in sorted(set(METRIC.findall(expr))):
            # A scrape that fails, of a worker that answers late, takes all series away until
            # the next: what is asked is whether any had it.
            asked = f"count(last_over_time({name}[5m]))"
            there = server.ask("query", query=asked)["data"]["result"]
            tap.check(there, f"{where}: {name} was scraped")


def main():
    check_rules()
    settings = {"METRICS_TENANTS_MAX": "1", "GENERATIONS_MAX": "9", "GENERATIONS_MIN": "1"}
    with World(settings=settings) as world:
        worker = world.workers[0]
        for name, tenant in (("a", "one"), ("b", "two"), ("c", "three")):
            world.send({"request_id": name, "tenant": tenant, "request": {"prompt": "x"}})
        world.flush()
        world.wait_events(["a", "b", "c"])
        world.ctl("budget", "set", "one", "--day", "9", "--month", "99", check=True)
        wait_for(lambda: world.metric(worker, "pixverse_budget_limit"), 30,
                 "the worker tells of budgets")
        first, second = (fetch(worker.admin + "/metrics")[1].decode() for _ in range(2))
        check_form(first)
        for name in ("pixverse_loop_longest_turn_seconds", "pixverse_settle_seconds_count"):
            before, after = (re.findall(rf"^{name}\b.* (\S+)$", text, re.M)
                             for text in (first, second))
            # A turn between the two may have been longer yet.
            tap.check(before and len(before) == len(after)
                      and all(float(a) >= float(b) for b, a in zip(before, after)),
                      f"a scrape resets nothing: {name}", before, after)
        tenants = set(re.findall(r'^pixverse_tenant_cost_total{tenant="([^"]+)"', first, re.M))
        tap.check(len(tenants) == 2 and "(others)" in tenants,
                  "one tenant has series of its own, the others have one together", tenants)
        settled = sum(float(n) for n in re.findall(
            r"^pixverse_tenant_settled_total{.*} (\S+)$", first, re.M))
        tap.equal(settled, 3, "and all are counted")
        cost = [float(re.search(rf"^{name}(?:{{.*}})? (\S+)$", first, re.M)[1])
                for name in ("pixverse_cost_total", "pixverse_cost_unknown_total")]
        tap.check(cost[0] > 0 and cost[1] == 0, "what the three cost is told", cost)
        server = Prometheus(worker.admin.removeprefix("http://"))
        try:
            wait_for(server.up, 60, "Prometheus has scraped the worker")
            check_server(server)
        finally:
            server.stop()


if __name__ == "__main__":
    tap.run(main)
