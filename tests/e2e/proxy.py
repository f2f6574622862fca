#!/usr/bin/env python3
# tests/run: postgres kafka s3
"""The five modes through a real proxy that wants a password: provider, S3 and, as it
is told to, videos. While the proxy is away nothing is sent and the reason names it;
a wrong password is told as one and shown nowhere."""

import json
from urllib.parse import urlparse

import tap
from five_modes import MODES, check_event, request, schema_of
from tinyproxy import TinyProxy
from world import TMP, World, fetch, wait_for

SECRET = "s3cretOfUs"


def port_of(url):
    return urlparse(url).port


def check_away(world, proxy, worker):
    """Without the proxy no submission leaves; with it again all goes on."""
    proxy.stop()
    world.send({"request_id": "away", "request": {"prompt": "x"}})
    world.flush()

    def told():
        body = fetch(worker.admin + "/readyz")[1].decode()
        return body if f"the proxy {proxy.address}" in body else None
    text = wait_for(told, 60, "a reason that names the proxy")
    tap.check(SECRET not in text and "s3cret" not in text, "the reason shows no secret", text)
    tap.equal([t for t in world.ledger()["tasks"] if "away" in json.dumps(t)], [],
              "nothing came to the provider")
    tap.equal(world.query("SELECT count(*) FROM task WHERE state = 1 AND sends > 1"),
              [(0,)], "and nothing is in doubt")
    proxy.start()
    tap.equal(world.event("away", 90)["status"], "completed", "then it goes on")


def check_commands(world, proxy):
    done = world.command("pixverse-worker", "check")
    tap.equal(done.returncode, 0, "check finds no fault", done.stdout)
    wrong = world.environment(PROXY_URL=f"http://us:wr0ng@{proxy.address}")
    wrong.pop("PROXY_URL_FILE", None)
    done = world.command("pixverse-worker", "check", env=wrong)
    said = done.stdout + done.stderr
    tap.equal(done.returncode, 1, "check finds a wrong password", said)
    tap.equal(said.count("the user or password in PROXY_URL is wrong"), 2,
              "of the provider and of S3, and says which", said)
    tap.check("wr0ng" not in said, "it is not shown", said)
    done = world.command("pixverse-worker", "check",
                         env={**wrong, "PROXY_URL": f"socks5://us:wr0ng@{proxy.address}"})
    said = done.stdout + done.stderr
    tap.check("PROXY_URL: value (not shown) is neither http:// nor https://" in said
              and "wr0ng" not in said, "another kind of proxy is refused by name", said)


def main():
    schema = schema_of("event.completed")
    proxy = TinyProxy("us", SECRET)
    secret = TMP / "proxy-url"
    secret.write_text(f"http://us:s3cret%4FfUs@{proxy.address}\n")
    settings = {"PROXY_URL_FILE": str(secret), "PROXY_ASSETS": "1",
                "HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "*"}
    with World(on_s3=True, settings=settings) as world:
        worker = world.workers[0]
        headers = [("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01".encode())]
        for mode in list(MODES)[:4]:
            world.send(request(mode), headers=headers)
        world.flush()
        first = world.event("order.text_to_video")
        world.send(request("extend", extend_from_task_id=first["provider_task_id"]),
                   headers=headers)
        world.flush()
        for mode in MODES:
            check_event(world, mode, world.event(f"order.{mode}"), schema)
        sim = port_of(world.sim_url)
        store = port_of(world.storage["STORAGE_URL"].split("endpoint=")[1].split("&")[0])
        asked = proxy.asked(sim), proxy.asked(store)
        tap.check(min(asked) > 0, "the proxy led to the provider and to S3", asked)
        check_commands(world, proxy)
        check_away(world, proxy, worker)
        tap.equal(worker.stop(), 0, "a drained worker ends with status 0")
        tap.check("s3cret" not in worker.text(), "the log shows no secret",
                  worker.text()[-3000:])
        world.settings["PROXY_ASSETS"] = "0"
        straight = world.start_worker()
        world.send({"request_id": "straight", "request": {"prompt": "x"}})
        world.flush()
        tap.equal(world.event("straight")["status"], "completed",
                  "videos come past the proxy, too")
        tap.equal(straight.stop(), 0, "a drained worker ends with status 0")
    proxy.stop()


if __name__ == "__main__":
    tap.run(main)
