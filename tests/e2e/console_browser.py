#!/usr/bin/env python3
"""pixverse-ctl console in a real browser: a day's story, clicked through."""
# tests/run: postgres kafka timeout=600

import json

import tap
from axe_selenium_python import Axe
from clock import clear_of_midnight
from matrix import struck
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from world import BIN, ROOT, TMP, Program, World, fetch, wait_for

SHOTS = ROOT / "build/screenshots"  # of the last run, kept

HOSTILE = ('<img src=x onerror="document.title=\'taken\'"><script>document.title="taken"</script>'
           "'\"`${7*7}` &lt; \u202e 一只猫")


class Page:
    def __init__(self, world):
        console = Program("console", [BIN / "pixverse-ctl", "console", "--listen", "127.0.0.1:0",
                                      "--json", "--allow-orders"], world.environment(), log="console")
        world.programs.append(console)
        self.address = json.loads(console.line('{"address"'))["address"].rstrip("/")
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-background-networking", "--disable-dev-shm-usage",
                     "--autoplay-policy=no-user-gesture-required", "--lang=en-GB",
                     f"--user-data-dir={TMP / 'browser'}", "--window-size=1280,900"):
            options.add_argument(flag)
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))

    def go(self, path, heading):
        self.driver.get(self.address + path)
        self.wait_heading(heading)

    def text(self):
        return self.driver.execute_script("return document.body.innerText")

    def wait_text(self, text, limit_s=30):
        wait_for(lambda: text in self.text(), limit_s, f"the page says {text!r}")

    def wait_heading(self, text):
        wait_for(lambda: self.driver.execute_script(
            "const h = document.querySelector('h1'); return h && h.textContent") == text, 30,
            f"the heading {text!r}")

    def click(self, text):
        """At once, where it is seen: a page that is live makes its elements anew."""
        wait_for(lambda: self.driver.execute_script(
            "const found = [...document.querySelectorAll('a, button, summary')].find(e => "
            "e.getClientRects().length && e.innerText.trim() === arguments[0]);"
            "if (found) found.click(); return !!found", text), 30, f"{text!r} can be clicked")

    def shoot(self, name):
        self.driver.execute_script("window.scrollTo(0, 0)")
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))

    def check_axe(self, name):
        axe = Axe(self.driver)
        axe.inject()
        found = axe.run()["violations"]
        tap.check(not found, f"{name}: axe finds nothing", *[
            f"{v['id']}: {v['help']}: {[n['html'][:120] for n in v['nodes']][:3]}" for v in found])

    def check_both(self, name):
        """In the light and in the dark, and as wide as a telephone."""
        for theme in ("light", "dark"):
            self.driver.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
            self.check_axe(f"{name}, {theme}")
            self.shoot(f"{name}-{theme}")
        self.driver.set_window_size(390, 800)
        wide = self.driver.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]")
        tap.check(wide[0] <= wide[1], f"{name}: fits a telephone", wide)
        self.shoot(f"{name}-narrow")
        self.driver.set_window_size(1280, 900)

    def check_log(self):
        """The policy forbids nothing that the page does, and nothing fails."""
        said = [e["message"] for e in self.driver.get_log("browser")
                if e["level"] == "SEVERE" and "responded with a status of 4" not in e["message"]]
        tap.equal(said, [], "the browser's log is clean")


def is_held(world, request_id):
    told = json.loads(world.ctl("explain", request_id, "--json").stdout or "{}")
    return told.get("state") == "queued" and "balance" in told.get("why", "")


def check_overview(page):
    page.go("/", "Overview")
    page.wait_text("Held: balance")
    page.wait_text("live, ")
    tap.check(True, "the overview is live")
    page.check_both("overview")
    page.driver.execute_script("document.querySelector('a.tile[data-key=queued]').click()")
    page.wait_heading("Requests")
    tap.check(page.driver.current_url.endswith("/list?state=queued"), "a tile leads to its requests",
              page.driver.current_url)
    page.wait_text("held.1")
    page.driver.back()
    page.wait_heading("Overview")


def check_budget(page, world):
    """A budget nearly spent is seen from afar."""
    page.go("/", "Overview")
    page.wait_text("Nobody has a budget")
    spent = world.query("SELECT sum(cost)::float8 FROM closed c JOIN request r USING (id)"
                        " WHERE r.tenant = 'studio-a'")[0][0]
    world.ctl("budget", "set", "studio-a", "--day", f"{spent * 1.1:.6f}", check=True)
    world.ctl("budget", "set", "*", "--month", "1000", check=True)
    page.wait_text("90 %, near its limit")

    def both():
        """A look may have come between the two orders, or before the second was counted."""
        rows = page.driver.execute_script(
            "return [...document.querySelectorAll('[aria-label=Budgets] tbody tr')].map(r =>"
            " [...r.cells].map(c => c.innerText))")
        return len(rows) == 2 and "uncounted" not in str(rows) and rows
    rows = wait_for(both, 30, "both budgets, counted")
    tap.equal([(row[0], row[1]) for row in rows],
              [("studio-a", "90 %, near its limit"), ("all together", "0 %")],
              "a budget nearly spent is told, first", rows)
    said = json.loads(world.ctl("budget", "list", "--json").stdout.splitlines()[1])
    tap.equal([float(cell) for cell in rows[0][3:6]],
              [float(f"{said[name]:.6g}") for name in ("spent", "reserved", "doubtful")],
              "as budget list says", said)
    tap.check(page.driver.find_elements(By.CSS_SELECTOR, "[aria-label=Budgets] .state.wait"),
              "in the colour of what waits")
    page.check_both("budgets")
    for tenant in ("studio-a", "*"):
        world.ctl("budget", "unset", tenant, check=True)


def check_tenants(page, world):
    page.wait_text("Tenants don't share")
    world.ctl("tenant", "set", "studio-a", "--weight", "2", "--slots", "9", check=True)
    page.wait_text("0 of 9")
    row = page.driver.execute_script(
        "return [...document.querySelectorAll('[aria-label=Tenants] tbody td')].map(c =>"
        " c.innerText)")
    tap.equal(row, ["studio-a", "0 of 9", "2"], "tenants that share, and their slots")
    page.check_both("tenants")
    world.ctl("tenant", "unset", "studio-a", check=True)


def check_list(page):
    page.go("/list", "Requests")
    page.wait_text("hostile.1")
    tap.check("$ pixverse-ctl list" in page.text(), "the page names its command", page.text()[-300:])
    page.check_both("list")
    box = page.driver.find_element(By.NAME, "tenant")
    box.send_keys("studio-b", Keys.ENTER)
    wait_for(lambda: "tenant=studio-b" in page.driver.current_url, 20, "filters are in the address")
    page.wait_text("fails.1")
    tap.check("hostile.1" not in page.text(), "the filter holds", page.text())
    page.driver.refresh()
    page.wait_text("fails.1")
    tap.equal(page.driver.find_element(By.NAME, "tenant").get_attribute("value"), "studio-b",
              "an address can be shared")
    page.go("/list?state=nowhere", "Requests")
    page.wait_text("nowhere")
    tap.check("allowed" in page.driver.find_element(By.ID, "fault").text, "a wrong word is explained")
    page.go("/list?tenant=nobody", "Requests")
    page.wait_text("No request fits.")
    page.check_axe("an empty list")


def check_hostile(page):
    page.go("/request?id=hostile.1", "hostile.1")
    page.wait_text("onerror=")
    tap.check("taken" not in page.driver.title and "${7*7}" in page.text(), "strangers' words are words",
              page.driver.title)
    page.check_both("request")
    video = page.driver.find_element(By.TAG_NAME, "video")
    wait_for(lambda: page.driver.execute_script("return arguments[0].networkState !== 2"
                                                " && (arguments[0].readyState > 0 || arguments[0].error)", video),
             20, "the video's head is read or refused")
    tap.check(page.driver.execute_script("return arguments[0].currentSrc", video).startswith(
        page.address + "/api/video?"), "the video is asked of the console alone")
    page.driver.execute_script("arguments[0].muted = true; arguments[0].play()", video)
    wait_for(lambda: page.driver.execute_script(
        "return arguments[0].error ? arguments[0].error.message : arguments[0].currentTime > 0", video), 30,
        "the video plays")
    tap.equal(page.driver.execute_script("return arguments[0].error && arguments[0].error.message", video), None,
              "the video is played")
    page.shoot("video")


def check_doubt(page, world):
    """What waits in doubt, since a restore, takes the id that the provider's list has."""
    change = ("UPDATE waiting w SET doubt = {}, first_sent_ms = r.received_ms FROM request r"
              " WHERE r.id = w.id AND r.request_id = 'many.0' RETURNING 1")
    world.query(change.format("true"))
    page.go("/request?id=many.0", "many.0")
    page.click("Attach a task…")
    dialog = page.driver.find_element(By.TAG_NAME, "dialog")
    wait_for(dialog.is_displayed, 30, "an attach asks for the id")
    page.check_axe("an attach")
    dialog.find_element(By.NAME, "task").send_keys("task_x")
    dialog.find_element(By.NAME, "account").send_keys("nobody")
    dialog.find_elements(By.TAG_NAME, "button")[-1].click()
    page.wait_text("--account nobody: allowed:")
    tap.check(True, "an attach names the account, and says why it was refused")
    world.query(change.format("false"))


def check_many(page, world):
    """All that fit a filter, counted and confirmed, from the list."""
    page.go("/list?tenant=many", "Requests")
    page.wait_text("many.1")
    page.click("Cancel all that are open…")
    dialog = page.driver.find_element(By.TAG_NAME, "dialog")
    wait_for(dialog.is_displayed, 30, "the order is counted and confirmed")
    tap.check("2 requests to cancel" in dialog.text and "pixverse-ctl cancel" in dialog.text,
              "it says how many", dialog.text)
    page.check_axe("an order about many")
    page.shoot("order-many")
    dialog.find_elements(By.TAG_NAME, "button")[-1].click()
    wait_for(lambda: not dialog.is_displayed(), 30, "the order is taken")
    world.wait_events(["many.0", "many.1"])
    tap.check(True, "all that fit are cancelled")
    page.go("/list", "Requests")
    page.wait_text("With a filter, all that fit")


def check_pause(page):
    page.go("/", "Overview")
    wait_for(lambda: page.driver.find_elements(By.CSS_SELECTOR, "[data-key=pause]"), 30, "a button to pause")
    page.click("Pause…")
    dialog = page.driver.find_element(By.TAG_NAME, "dialog")
    wait_for(dialog.is_displayed, 10, "it is confirmed")
    dialog.find_element(By.NAME, "reason").send_keys("a look at the bill")
    dialog.find_elements(By.TAG_NAME, "button")[-1].click()
    page.wait_text("a look at the bill")
    # A look may have come before the order's answer, which closes the dialog.
    wait_for(lambda: not dialog.is_displayed(), 30, "the order is taken")
    page.shoot("paused")
    page.click("Resume…")
    wait_for(dialog.is_displayed, 10, "it is confirmed")
    dialog.find_elements(By.TAG_NAME, "button")[-1].click()
    wait_for(lambda: "a look at the bill" not in page.text(), 30, "it is resumed")
    tap.check(True, "paused and resumed from the page")


def check_drain(page, world):
    """A worker that drains is seen to, while it waits for an answer."""
    world.faults([{"on": "submit", "kind": "delay", "delay_ms": 20000, "match": "slow.1", "count": 1}])
    world.send({"request_id": "slow.1", "request": {"prompt": "slow.1"}})
    world.flush()
    # Sent: where it only was to be, a drain ends at once.
    wait_for(lambda: any(f["order"].get("match") == "slow.1" and f["hits"] for f in struck(world)), 30,
             "it is being submitted")
    world.workers[0].process.terminate()

    def drains():
        page.go("/workers", "Workers")
        page.wait_text("Accepted a minute")
        return "draining" in page.text()
    wait_for(drains, 20, "the page says that it drains")
    page.shoot("drained")
    tap.equal(world.workers[0].process.wait(60), 0, "a worker that drains is seen to, and ends well")


def check_retry(page, world):
    """A failed request: why, and once more."""
    page.go("/request?id=fails.1", "fails.1")
    page.wait_text("Why it failed")
    tap.check("provider_failed" in page.text(), "why it failed", page.text())
    page.check_axe("a failed request")
    page.click("Retry…")
    dialog = page.driver.find_element(By.TAG_NAME, "dialog")
    wait_for(dialog.is_displayed, 10, "the order is confirmed")
    tap.check("pixverse-ctl retry fails.1" in dialog.text and "paid" in dialog.text,
              "it says what it may cost", dialog.text)
    page.check_axe("an order")
    page.shoot("order")
    for box in dialog.find_elements(By.CSS_SELECTOR, "input[type=checkbox]"):
        box.click()
    dialog.find_elements(By.TAG_NAME, "button")[-1].click()
    wait_for(lambda: not dialog.is_displayed(), 30, "the order is taken")
    wait_for(lambda: any(e.value.get("submission") == 1 or len(world.events["fails.1"]) > 1
                         for e in world.events["fails.1"]) or world.pump(), 60, "the retry's event")
    tap.check(True, "the retry is carried out")


def check_keys(page):
    page.go("/", "Overview")
    body = page.driver.find_element(By.TAG_NAME, "body")
    body.send_keys("2")
    page.wait_heading("Requests")
    page.driver.find_element(By.TAG_NAME, "body").send_keys("/")
    page.driver.switch_to.active_element.send_keys("hostile.1", Keys.ENTER)
    page.wait_heading("hostile.1")
    page.driver.find_element(By.TAG_NAME, "body").send_keys("4")
    page.wait_heading("Stats")
    page.wait_text("Together:")
    page.check_both("stats")
    page.driver.find_element(By.TAG_NAME, "body").send_keys("3")
    page.wait_heading("Rejected")
    page.wait_text("not_json")
    page.check_both("rejected")
    page.driver.find_element(By.TAG_NAME, "body").send_keys("5")
    page.wait_heading("Workers")
    page.wait_text("Accepted a minute")
    page.check_both("workers")
    tap.check(True, "pages by keys")
    page.go("/request?id=nobody", "nobody")
    page.wait_text("No such request is stored.")
    page.check_axe("an unknown request")


def check_stopped_worker(page):
    page.go("/", "Overview")
    page.wait_text("No worker runs", 60)
    tap.check(True, "the overview says that no worker runs")


def main():
    clear_of_midnight(90)
    with World(1) as world:
        world.send({"request_id": "hostile.1", "tenant": "studio-a",
                    "metadata": {"<b>": HOSTILE}, "request": {"prompt": HOSTILE}})
        world.send(b"not json")
        for n in range(2):
            world.send({"request_id": f"many.{n}", "tenant": "many",
                        "request": {"prompt": "x", "extend_from_request_id": "never.comes"}})
        world.flush()
        world.wait_events(["hostile.1"])
        world.faults([{"kind": "fail", "text": HOSTILE, "match": "fails.1"}])
        world.send({"request_id": "fails.1", "tenant": "studio-b", "request": {"prompt": "fails.1"}})
        world.flush()
        world.wait_events(["fails.1"])
        # The balance is empty, too: else the hold is lifted every half minute, and for a
        # moment the request is being submitted again.
        world.faults([{"on": "submit", "kind": "status", "status": 402, "count": -1},
                      {"on": "balance", "kind": "status", "status": 200, "count": -1, "body":
                       '{"success":true,"remain_balance":0,"used_balance":9,'
                       '"unlimited_quota":false}'}])
        world.send({"request_id": "held.1", "request": {"prompt": "x"}})
        world.flush()
        # The hold stands before what was refused is back in the queue, and a list isn't live.
        wait_for(lambda: is_held(world, "held.1"), 30, "it is held")
        page = Page(world)
        try:
            check_overview(page)
            check_budget(page, world)
            check_tenants(page, world)
            check_list(page)
            check_hostile(page)
            check_retry_after_hold(page, world)
            check_keys(page)
            check_doubt(page, world)
            check_many(page, world)
            check_pause(page)
            check_drain(page, world)
            check_stopped_worker(page)
            page.check_log()
        finally:
            page.driver.quit()
    tap.end()


def check_retry_after_hold(page, world):
    fetch(world.sim_url + "/sim/faults", "DELETE")
    world.wait_events(["held.1"])
    check_retry(page, world)


if __name__ == "__main__":
    main()
