"use strict";
// Texts of requests, providers and people are strangers' words: they become text
// nodes, never markup. Pages are addresses: what is shown can be shared.

const STATES = ["queued", "submitting", "running", "ready", "succeeded", "completed", "failed", "late"];
const KINDS = ["invalid_request", "submit_refused", "moderation", "provider_failed", "cancelled",
  "timed_out", "submit_unknown", "task_lost", "asset_expired", "asset_unusable"];
const REJECTIONS = ["not_json", "too_large", "no_request_id", "bad_request_id", "request_id_reused", "too_old"];
const PAGE_ROWS = 50;

const $ = (id) => document.getElementById(id);
let leave = () => {}; // ends what the page shown has begun
let turn = 0;         // which page is shown; answers for one before are dropped

// --- elements ----------------------------------------------------------------

function h(tag, attributes, ...children) {
  const svg = ["svg", "path", "line", "title"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

function card(title, ...children) {
  return h("section", { class: "card" }, title ? h("h2", {}, title) : null, ...children);
}

function definition(rows) {
  return h("dl", {}, rows.filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value instanceof Node ? value : String(value))]));
}

// label: what a row of the table is, for those who hear it
function table(label, heads, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", {},
      h("thead", {}, h("tr", {}, heads.map((head) =>
        h("th", { scope: "col", class: head.number ? "number" : null }, head.name)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) =>
        h("td", { class: heads[i].number ? "number" : heads[i].text ? "text" : null }, cell)))))));
}

function empty(...words) {
  return h("p", { class: "empty" }, ...words);
}

// --- words -------------------------------------------------------------------

function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s % 3600 / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

// In the reader's zone; UTC where one points at it.
function time(text, withDate = true) {
  if (!text) return "";
  const then = new Date(text);
  if (Number.isNaN(then.getTime())) return text;
  const day = then.toLocaleDateString() === new Date().toLocaleDateString();
  const words = withDate && !day ? then.toLocaleString() : then.toLocaleTimeString();
  return h("time", { datetime: text, title: text }, words);
}

function ago(text) {
  const node = time(text);
  if (node instanceof Node) node.textContent = `${duration(Date.now() - new Date(text))} ago`;
  return node;
}

function money(number) {
  return typeof number === "number" ? String(Number(number.toPrecision(6))) : "";
}

function count(number) {
  return Number(number || 0).toLocaleString();
}

function stateOf(row) {
  return row.state === "closed" ? (row.kind ? "failed" : "completed") : row.state;
}

function stateMark(row) {
  const word = stateOf(row);
  const hue = { completed: "good", succeeded: "good", failed: "bad", late: "bad", queued: "wait" }[word] || "busy";
  return h("span", { class: `state ${hue}` }, row.kind ? `${word}: ${row.kind}` : word, row.late ? " (late)" : "");
}

function requestLink(id) {
  return h("a", { href: `/request?id=${encodeURIComponent(id)}` }, id);
}

// --- asking ------------------------------------------------------------------

class Refused extends Error {
  constructor(status, words, command) {
    super(words);
    this.status = status;
    this.command = command;
  }
}

async function ask(path, parameters, body) {
  const query = new URLSearchParams(parameters || {}).toString();
  const options = body ? {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Pixverse-Console": "1" },
  } : {};
  let answer;
  try {
    answer = await fetch(path + (query ? `?${query}` : ""), options);
  } catch {
    throw new Refused(0, "The console does not answer: is pixverse-ctl console still running?");
  }
  let said = {};
  try {
    said = await answer.json();
  } catch {
    said = { error: `The console answered ${answer.status} without a word.` };
  }
  if (!answer.ok) throw new Refused(answer.status, said.error || `status ${answer.status}`, said.command);
  if (said.left) showFault(said.left); // some cells were left out: the rest is shown
  return said;
}

function showFault(words) {
  $("fault").textContent = words || "";
  $("fault").hidden = !words;
}

function showCommand(words) {
  $("command").textContent = words ? `$ ${words}` : "";
}

function show(title, ...children) {
  document.title = `${title} · pixverse-worker`;
  $("main").replaceChildren(h("h1", {}, title), ...children.flat(Infinity).filter(Boolean));
}

// --- overview ----------------------------------------------------------------

function plot(points, place, rate) {
  const values = rate ? points.slice(1).map((p, i) => [p[0], Math.max(0, p[place] - points[i][place])])
    : points.map((p) => [p[0], p[place]]);
  if (values.length < 2) return empty("The line begins when the console has looked for a minute.");
  const most = Math.max(1, ...values.map((v) => v[1]));
  const first = values[0][0];
  const span = Math.max(1, values[values.length - 1][0] - first);
  const path = values.map(([t, v], i) =>
    `${i ? "L" : "M"}${((t - first) / span * 600).toFixed(1)} ${(105 - v / most * 100).toFixed(1)}`).join("");
  const words = `from ${new Date(first).toLocaleTimeString()}, at most ${count(most)}, now ${count(values[values.length - 1][1])}`;
  return [h("svg", { class: "plot", viewBox: "0 0 600 110", preserveAspectRatio: "none", role: "img", "aria-label": words },
    h("line", { x1: 0, y1: 105, x2: 600, y2: 105 }), h("path", { d: path })),
  h("p", { class: "soft" }, words)];
}

function fleetButtons(holds) {
  const paused = holds.some((hold) => hold.reason === "operator" && hold.scope === "*");
  return h("div", { class: "orders" }, paused
    ? h("button", { type: "button", "data-key": "resume", onclick: () => confirmFleet("resume") }, "Resume…")
    : h("button", { type: "button", class: "danger", "data-key": "pause", onclick: () => confirmFleet("pause") }, "Pause…"));
}

function confirmFleet(name) {
  const reason = name === "pause" ? h("input", { name: "reason", required: true, maxlength: "200", autocomplete: "off" }) : null;
  confirmWith(name === "pause" ? "Pause the fleet" : "Resume",
    [h("p", {}, name === "pause" ? "No worker buys anything more until it is resumed; what was accepted is polled, stored and told."
      : "Submissions go on within a second. Other holds stay."),
    reason ? h("label", {}, "Why? Everybody who asks is told.", reason) : null],
    `pixverse-ctl ${name}${reason ? " REASON" : ""}`, name === "pause",
    () => ({ order: name, reason: reason ? reason.value.trim() : "" }));
}

// Shows what will be done; carries it out when that is confirmed.
function confirmWith(title, words, command, danger, order) {
  const dialog = $("dialog");
  const said = h("p", { class: "bad", role: "alert" });
  const send = h("button", { class: danger ? "danger" : "first" }, "Do it");
  dialog.replaceChildren(h("form", {
    method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      send.disabled = true;
      said.textContent = "";
      try {
        await ask("/api/order", {}, order());
        dialog.close();
        await route();
      } catch (fault) {
        said.textContent = fault.message;
        send.disabled = false;
      }
    },
  }, h("h2", { id: "dialog-title" }, title), words, h("p", {}, h("code", {}, command)), said,
  h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Leave it"), send)));
  dialog.showModal();
}

function holdCard(hold) {
  return h("section", { class: "card hold" },
    h("h2", {}, `Held: ${hold.reason}`),
    h("p", {}, hold.message || ""),
    definition([["scope", hold.scope], ["since", hold.since_ms ? ago(new Date(hold.since_ms).toISOString()) : ""],
      ["next try", hold.next_try_ms ? time(new Date(hold.next_try_ms).toISOString()) : ""]]));
}

function sum(rows, name) {
  return rows.reduce((all, row) => all + (row[name] || 0), 0);
}

function todayCard(rows) {
  const tenants = new Map();
  for (const row of rows) {
    const one = tenants.get(row.tenant) || { tenant: row.tenant, count: 0, completed: 0, cost: 0 };
    one.count += row.count;
    one.completed += row.completed || 0;
    one.cost += row.cost || 0;
    tenants.set(row.tenant, one);
  }
  const most = [...tenants.values()].sort((a, b) => b.cost - a.cost || b.count - a.count).slice(0, 10);
  const body = rows.length === 0 ? empty("Nothing has ended today (UTC).")
    : [definition([["ended", count(sum(rows, "count"))], ["completed", count(sum(rows, "completed"))],
      ["spent", money(sum(rows, "cost"))]]),
    table("Today by tenant", [{ name: "Tenant" }, { name: "Ended", number: true }, { name: "Completed", number: true },
      { name: "Cost", number: true }],
    most.map((t) => [h("a", { href: `/list?tenant=${encodeURIComponent(t.tenant)}` }, t.tenant), count(t.count),
      count(t.completed), money(t.cost)]))];
  return card("Today (UTC)", body);
}

// Those of `pixverse-ctl budget list`; what is near its limit first.
function budgetsCard(rows) {
  const near = (row) => h("span", { class: `state ${row.near || row.uncounted ? "wait" : "good"}` },
    `${row.used_percent} %${row.uncounted ? ", uncounted: nothing fits" : row.near ? ", near its limit" : ""}`);
  return card("Budgets", rows.length === 0 ? empty("Nobody has a budget: ", h("code", {}, "pixverse-ctl budget set TENANT --day AMOUNT"), " sets one.")
    : table("Budgets", [{ name: "Tenant" }, { name: "Used" }, { name: "Limit", number: true }, { name: "Spent", number: true },
      { name: "Reserved", number: true }, { name: "Doubtful", number: true }, { name: "Forecast", number: true },
      { name: "Waiting", number: true }, { name: "Resets" }],
    [...rows].sort((a, b) => Number(b.near) - Number(a.near)).map((b) => [
      b.tenant === "*" ? "all together" : h("a", { href: `/list?tenant=${encodeURIComponent(b.tenant)}` }, b.tenant),
      near(b), `${money(b.limit)} a ${b.period}`, money(b.spent), money(b.reserved), money(b.doubtful), money(b.forecast),
      count(b.waiting), time(new Date(b.resets_ms).toISOString())])));
}

function accountsCard(rows) {
  return card("Accounts", rows.length === 0 ? empty("No worker has brought an account yet.")
    : table("Accounts", [{ name: "Account" }, { name: "Slots", number: true }, { name: "Tasks", number: true },
      { name: "Spent a minute", number: true }, { name: "Held" }],
    rows.map((a) => [h("a", { href: `/list?account=${encodeURIComponent(a.account)}` }, a.account),
      a.limit ? `${count(a.occupied)} of ${count(a.limit.learnt)} (${count(a.limit.slots)} are set)`
        : a.slots ? `${count(a.occupied)} of ${count(a.slots)}` : count(a.occupied), count(a.tasks), money(a.cost_of_five),
      a.holds.join(" ")])));
}

// Those that share: what they occupy, of how many at most.
function tenantsCard(rows) {
  const all = rows.length ? rows[0].of : 0;
  return card("Tenants", rows.length === 0 ? empty("Tenants don't share: ", h("code", {}, "pixverse-ctl tenant set TENANT --weight W --slots N"), " begins that.")
    : table("Tenants", [{ name: "Tenant" }, { name: "Slots", number: true }, { name: "Weight", number: true }],
      rows.map((t) => [h("a", { href: `/list?tenant=${encodeURIComponent(t.tenant)}` }, t.tenant || "(none)"),
        t.slots === null || t.slots === undefined ? count(t.occupied) : `${count(t.occupied)} of ${count(t.slots)}`, count(t.weight)])),
  all > rows.length ? h("p", { class: "soft" }, `The first ${count(rows.length)} of ${count(all)}, who occupies the most first.`) : null);
}

function endsCard(title, ends, none) {
  return card(title, ends.length === 0 ? empty(none)
    : table(title, [{ name: "Request" }, { name: "End" }, { name: "Told" }, { name: "Took", number: true }],
      ends.map((end) => [requestLink(end.request_id), stateMark({ ...end, state: "closed" }),
        ago(end.times && end.times.closed), duration(end.age_ms || 0)])));
}

async function overview(mine) {
  const first = await ask("/api/overview");
  let points = first.points;
  let pending = null;
  const draw = (look) => {
    if (mine !== turn || !look) return;
    if (look.fault) {
      showFault(look.fault);
      return;
    }
    const { watch, top } = look;
    showFault((top.cells || []).filter((cell) => cell.away).map((cell) => `Cell ${cell.cell} is left out: ${cell.away}`).join("\n"));
    const ends = watch.ends || [];
    const rates = top.a_minute || {};
    const focused = document.activeElement && document.activeElement.getAttribute("data-key");
    show("Overview",
      h("div", { class: "tiles" },
        Object.entries(watch.states).map(([state, number]) =>
          h("a", { class: "tile", href: `/list?state=${state}`, "data-key": state }, h("b", {}, count(number)), h("span", {}, state))),
        h("a", { class: "tile", href: "/workers", "data-key": "workers" }, h("b", {}, count(watch.workers)), h("span", {}, watch.workers === 1 ? "worker" : "workers"))),
      look.orders ? fleetButtons(watch.holds || []) : null,
      watch.workers === 0 ? card("No worker runs", h("p", {}, "What is asked for waits. Start one: ", h("code", {}, "pixverse-worker run"), ".")) : null,
      (watch.holds || []).map(holdCard),
      h("div", { class: "grid" },
        card("Queued", plot(points, 1, false)), card("Running", plot(points, 3, false)), card("Ended in half a minute", plot(points, 6, true)),
        card("This minute", definition([["received", count(Math.round(rates.received))], ["accepted by the provider", count(Math.round(rates.accepted))],
          ["polls", count(Math.round(rates.polls))], ["completed", count(rates.completed)], ["failed", count(rates.failed)],
          ["spent", `${money(rates.cost) || "0"} (${money(rates.cost_of_five) || "0"} a minute over five)`]])),
        card("What waits", definition([["oldest in the queue", top.queued_for_ms === undefined ? "nothing waits" : `for ${duration(top.queued_for_ms)}`],
          ["a video's URL expires", top.expires_in_ms === undefined ? "none waits to be fetched" : `in ${duration(top.expires_in_ms)}`],
          ["next deadline", top.nearest_deadline ? time(top.nearest_deadline) : "none"],
          ["overdue at most", duration(top.late_ms || 0)], ["sends in doubt", count(top.doubts)],
          ["ends not yet told", count(top.untold)]])),
        budgetsCard(top.budgets || []), accountsCard(top.accounts || []), tenantsCard(top.tenants || []),
        todayCard(look.today || []),
        endsCard("Last failures", ends.filter((e) => e.kind), "None of the last ten has failed."),
        endsCard("Last ends", ends, "No request has ended yet: pixverse-ctl submit asks for one.")));
    if (focused) {
      const again = document.querySelector(`[data-key="${CSS.escape(focused)}"]`);
      if (again) again.focus();
    }
    $("live").textContent = `live, ${new Date(watch.time).toLocaleTimeString()}`;
  };
  if (mine !== turn) return;
  showCommand(first.command);
  draw(first.look);
  const stopListening = listen((look) => draw(look));
  pending = setInterval(async () => {
    try {
      points = (await ask("/api/overview")).points;
    } catch { /* the next look says it */ }
  }, 30000);
  leave = () => {
    stopListening();
    clearInterval(pending);
    $("live").textContent = "";
  };
}

// Looks as they come; where a proxy lets no stream through, they are asked for.
function listen(onLook) {
  let timer = null;
  const source = new EventSource("/api/live");
  let heard = Date.now();
  source.onmessage = (message) => {
    heard = Date.now();
    onLook(JSON.parse(message.data));
  };
  timer = setInterval(async () => {
    if (Date.now() - heard < 10000) return;
    try {
      onLook((await ask("/api/overview")).look);
      showFault("");
    } catch (fault) {
      refuse(fault);
    }
  }, 5000);
  return () => {
    source.close();
    clearInterval(timer);
  };
}

// --- requests ----------------------------------------------------------------

function field(name, label, value, choices) {
  const input = choices
    ? h("select", { name }, h("option", { value: "" }, "any"),
      choices.map((c) => h("option", { value: c, selected: c === value }, c)))
    : h("input", { name, value: value || "", autocomplete: "off", spellcheck: "false" });
  return h("label", {}, label, input);
}

function filterForm(path, fields) {
  return h("form", {
    class: "filters", onsubmit: (event) => {
      event.preventDefault();
      const given = [...new FormData(event.target)].filter(([, value]) => value.trim());
      go(path + (given.length ? `?${new URLSearchParams(given)}` : ""));
    },
  }, fields, h("button", { class: "first" }, "Show"),
  h("a", { href: path }, "all"));
}

// Orders about all that fit: counted first, then no more than that are ordered.
function manyButtons(asked) {
  const filter = Object.fromEntries(Object.entries(asked).filter(([name, value]) => value && name !== "after" && name !== "limit"));
  if (Object.keys(filter).length === 0) return h("p", { class: "soft" }, "With a filter, all that fit can be retried or cancelled.");
  const one = (name, words, danger) => h("button", {
    type: "button", class: danger ? "danger" : null, "data-key": `${name}-many`, onclick: () => confirmMany(name, filter).catch(refuse),
  }, words);
  return h("div", { class: "orders" }, one("retry", "Retry all that failed…"), one("cancel", "Cancel all that are open…", true));
}

async function confirmMany(name, filter) {
  showFault("");
  const counted = await ask("/api/order", {}, { order: name, filter, dry_run: true });
  const many = parseInt(counted.said, 10) || 0;
  if (many === 0) {
    showFault(counted.said);
    return;
  }
  confirmWith(`${name}: ${many} ${many === 1 ? "request" : "requests"}`, [h("pre", {}, counted.said)],
    counted.command.replace(" --dry-run", "").replace(/--limit=\d+/, `--limit=${many}`), name === "cancel", () => ({ order: name, filter, limit: many }));
}

async function list(mine, query) {
  const asked = Object.fromEntries(query);
  const form = filterForm("/list", [
    field("state", "State", asked.state, STATES), field("kind", "Kind of failure", asked.kind, KINDS),
    field("tenant", "Tenant", asked.tenant), field("account", "Account", asked.account),
    field("error", "Text in the error", asked.error),
    field("since", "Since (2h, 7d, a day)", asked.since), field("older-than", "Older than", asked["older-than"])]);
  show("Requests", form, h("p", { class: "soft" }, "Asking…"));
  let answer;
  try {
    answer = await ask("/api/list", { limit: PAGE_ROWS + 1, ...asked });
  } catch (fault) {
    if (mine === turn) show("Requests", form);
    throw fault;
  }
  if (mine !== turn) return;
  const about = await ask("/api/overview");
  if (mine !== turn) return;
  const more = answer.rows.length > PAGE_ROWS;
  const rows = answer.rows.slice(0, PAGE_ROWS);
  showCommand(answer.command.replace(`=${PAGE_ROWS + 1}`, `=${PAGE_ROWS}`));
  const next = new URLSearchParams(query);
  if (more) next.set("after", rows[rows.length - 1].request_id);
  const newest = new URLSearchParams(query);
  newest.delete("after");
  show("Requests", form, about.look && about.look.orders && rows.length ? manyButtons(asked) : null,
    rows.length === 0 ? empty("No request fits. ", h("a", { href: "/list" }, "All requests"),
      ", or ask for one: ", h("code", {}, "pixverse-ctl submit --prompt \"a kite over the sea\" --wait"))
      : card("", table("Requests", [{ name: "Request" }, { name: "Tenant" }, { name: "State" }, { name: "Mode" },
        { name: "Priority", number: true }, { name: "Received" }, { name: "Took", number: true },
        { name: "Cost", number: true }, { name: "Error", text: true }],
      rows.map((row) => [requestLink(row.request_id), row.tenant || "", stateMark(row), row.mode || "",
        String(row.priority ?? ""), ago(row.times && row.times.received),
        row.times && row.times.settled ? duration(row.age_ms) : "", money(row.cost), row.error || ""])),
      h("div", { class: "pages" },
        asked.after ? h("a", { href: `/list?${newest}` }, "The newest") : null,
        more ? h("a", { href: `/list?${next}`, rel: "next" }, `The ${PAGE_ROWS} before`) : h("span", { class: "soft" }, "These are all."))));
}

// --- one request -------------------------------------------------------------

const MOMENTS = [["received", "Received from Kafka"], ["first_sent", "Sent to the provider"],
  ["last_sent", "Sent again, for the last time"], ["submitted", "Accepted: the provider gave its id"],
  ["generated", "Video generated"], ["stored", "Video in storage"], ["settled", "Settled: the end is stored"],
  ["closed", "Told on Kafka"]];

function life(row, why) {
  const times = row.times || {};
  let before = null;
  const moments = MOMENTS.filter(([name]) => times[name] &&
    !(name === "last_sent" && times.last_sent === times.first_sent)).map(([name, words]) => {
    const then = new Date(times[name]);
    const gap = before ? `${duration(then - before)} later` : "";
    before = then;
    const hue = name === "settled" || name === "closed" ? (row.kind ? "bad" : "good") : "";
    const extra = name === "submitted" ? row.provider_task_id
      : name.endsWith("sent") && row.sends ? `${row.sends} ${row.sends === 1 ? "send" : "sends"} may have left${row.doubt ? ", one of them unanswered" : ""}`
        : name === "settled" && row.kind ? row.kind : "";
    return h("li", { class: hue }, h("b", {}, words), " ", time(times[name]), " ",
      h("span", { class: "soft" }, gap), extra ? h("div", {}, extra) : null);
  });
  if (why && !why.done) {
    moments.push(h("li", { class: "wait" }, h("b", {}, "Now: "), why.why,
      why.next ? h("div", {}, "next ", time(why.next)) : null,
      why.deadline ? h("div", {}, "deadline ", time(why.deadline)) : null));
  }
  return card("Life", h("ol", { class: "life" }, moments));
}

function mediaWords(media) {
  if (!media) return "";
  return [media.width ? `${media.width}×${media.height}` : "", media.duration ? `${media.duration} s` : "",
    media.frame_rate ? `${media.frame_rate} frames/s` : "", (media.codecs || []).join(" "),
    media.audio === true ? "sound" : media.audio === false ? "silent" : ""].filter(Boolean).join(", ");
}

function videosCard(row) {
  const videos = (row.event && row.event.videos) || [];
  return videos.length === 0 ? null : card("Video", videos.map((video, i) => [
    /^(file|s3):\/\//.test(String(video.uri))
      ? h("video", { controls: true, preload: "metadata", src: `/api/video?${new URLSearchParams({ id: row.request_id, number: i })}` }) : null,
    definition([["stored at", video.uri], ["size", video.bytes ? `${count(video.bytes)} bytes` : ""], ["media", mediaWords(video.media)],
      ["sha256", video.sha256]])]));
}

function errorCard(row, why) {
  const error = row.event && row.event.error;
  if (!error) return null;
  return card("Why it failed", h("p", { class: "bad" }, `${error.kind}: ${error.message}`),
    definition([["billed", row.event.billed], ["safe to send again", error.retry_safe === undefined ? "" : error.retry_safe ? "yes" : "no"],
      ["HTTP status", error.http_status], ["provider's code", error.provider_code],
      ["what to do", why && why.next_step]]),
    (error.details || []).length ? h("ul", {}, error.details.map((d) => h("li", {}, d.message))) : null);
}

function pretty(value) {
  return h("pre", {}, JSON.stringify(value, null, 2));
}

function orderButtons(row, why) {
  const one = (name, words, danger) => h("button", {
    type: "button", class: danger ? "danger" : null, onclick: () => confirmOrder(name, row, why),
  }, words);
  const done = why && why.done;
  const failed = row.event && row.event.error;
  return h("div", { class: "orders" },
    failed ? one("retry", "Retry…") : null,
    (failed && (!done || row.kind === "submit_unknown")) || (row.doubt && !row.provider_task_id && !done)
      ? one("attach", "Attach a task…") : null,
    row.event && done ? one("announce", "Tell it again…") : null,
    !done ? one("cancel", "Cancel…", true) : null);
}

function confirmOrder(name, row, why) {
  const unpaid = row.event && row.event.billed === "no";
  const risk = {
    retry: unpaid ? "Nothing was billed for it: a retry is paid once."
      : "The last submission was paid for, or may have been: a retry may pay a second time.",
    cancel: (why && why.money) || "What is under way may be billed all the same.",
    attach: "The task's end becomes this request's end. Nothing is sent.",
    announce: "Its event is told on Kafka once more, the same, under the same ce_id. Nothing is sent to the provider.",
  }[name];
  const task = name === "attach" ? h("input", { name: "task", required: true, autocomplete: "off" }) : null;
  // Of what waits in doubt, since a restore, no account is stored.
  const account = task && row.state === "queued" ? h("input", { name: "account", autocomplete: "off" }) : null;
  const agree = name === "retry" && !unpaid ? h("input", { type: "checkbox", name: "pay_again", required: true }) : null;
  confirmWith(`${name}: ${row.request_id}`,
    [h("p", {}, risk), task ? h("label", {}, "The provider's task id", task) : null,
      account ? h("label", {}, "The account whose list has it, where there are several", account) : null,
      agree ? h("label", {}, h("span", {}, agree, " It may be paid for a second time.")) : null],
    `pixverse-ctl ${name} ${row.request_id}${agree ? " --pay-again" : ""}`, name === "cancel",
    () => ({ order: name, id: row.request_id, task: task ? task.value.trim() : "",
      account: account ? account.value.trim() : "", pay_again: !!agree && agree.checked }));
}

async function request(mine, query) {
  const id = query.get("id") || "";
  if (!id) return go("/list");
  const [shown, explained, about] = await Promise.all([ask("/api/show", { id }), ask("/api/explain", { id }), ask("/api/overview")]);
  if (mine !== turn) return;
  const row = shown.rows[0] || {};
  const why = explained.rows[0];
  showCommand(shown.command);
  if (row.pruned || !row.times || !row.state) {
    show(id, card("Its history is pruned", pretty(row)));
    return;
  }
  show(id,
    h("p", {}, stateMark(row), " ", h("span", { class: "soft" }, why && !why.done ? why.why : "nothing is owed")),
    about.look && about.look.orders ? orderButtons(row, why) : null,
    (why && why.holds || []).map((hold) => holdCard(hold)),
    h("div", { class: "grid" },
      life(row, why),
      h("div", {}, errorCard(row, why), videosCard(row),
        card("About it", definition([["tenant", h("a", { href: `/list?tenant=${encodeURIComponent(row.tenant)}` }, row.tenant || "")],
          ["mode", row.mode], ["priority", row.priority], ["account", row.account], ["worker", row.worker],
          ["provider's task", row.provider_task_id], ["submission", row.submission], ["takeovers", row.takeovers],
          ["cost", money(row.cost)], ["credits", money(row.credits_cost)], ["money", why && why.money],
          ["progress", why && why.progress !== undefined ? `${why.progress} % (${why.status || ""})` : ""]])),
        row.event && (row.event.warnings || []).length ? card("Warnings", h("ul", {}, row.event.warnings.map((w) => h("li", {}, w.message)))) : null)),
    card("What was asked for", pretty(row.body)),
    row.metadata ? card("Metadata", pretty(row.metadata)) : null,
    row.event ? h("details", { class: "card" }, h("summary", {}, "The event"), pretty(row.event)) : null);
  if (why && !why.done) {
    const again = setTimeout(() => {
      if (mine === turn && !$("dialog").open && document.visibilityState === "visible") route();
    }, 5000);
    leave = () => clearTimeout(again);
  }
}

// --- rejected, stats ---------------------------------------------------------

async function rejected(mine, query) {
  const asked = Object.fromEntries(query);
  const form = filterForm("/rejected", [field("error", "Why", asked.error, REJECTIONS), field("since", "Since (2h, 7d, a day)", asked.since)]);
  show("Rejected", form, h("p", { class: "soft" }, "Reading the topic…"));
  const answer = await ask("/api/rejected", asked);
  if (mine !== turn) return;
  showCommand(answer.command);
  show("Rejected", form, answer.rows.length === 0
    ? empty("Nothing was rejected", asked.since ? "" : " in the last day", asked.error ? ` as ${asked.error}` : "", ".")
    : card("", table("Rejected messages", [{ name: "Message" }, { name: "When" }, { name: "Why" }, { name: "Key" }, { name: "Bytes", number: true },
      { name: "Replayed" }, { name: "In words", text: true }],
    answer.rows.map((row) => [h("code", {}, row.id), ago(row.rejected), h("span", { class: "state bad" }, row.error || ""), row.key || "",
      count(row.bytes), row.replayed ? "yes" : "", row.error_detail || ""]))),
  h("p", { class: "soft" }, "Sent again, once each: ", h("code", {}, "pixverse-ctl rejected replay MESSAGE")));
}

async function workers(mine) {
  const answer = await ask("/api/workers");
  if (mine !== turn) return;
  showCommand(answer.command);
  const a = (row, name) => (row.a_minute && row.a_minute[name] !== undefined ? String(Math.round(row.a_minute[name] * 10) / 10) : "");
  const slots = (row, name) => (row.slots ? `${row.slots[name]}/${row.slots[`${name}_max`]}` : "");
  show("Workers", answer.rows.length === 0 ? empty("No worker runs. Start one: ", h("code", {}, "pixverse-worker run"))
    : card("", table("Workers", [{ name: "Worker" }, { name: "Is" }, { name: "Version" }, { name: "Runs for", number: true },
      { name: "Tasks", number: true }, { name: "Submits", number: true }, { name: "Transfers", number: true },
      { name: "Accepted a minute", number: true }, { name: "Completed", number: true }, { name: "Failed", number: true },
      { name: "Overdue", number: true }, { name: "Said", number: true }],
    answer.rows.map((row) => [row.name || "", h("span", { class: `state ${row.is === "works" ? "good" : "wait"}` },
      row.held ? `${row.is}: ${row.held.join(", ")}` : row.is || ""), row.version || "", duration(row.up_ms || 0),
    `${count(row.tasks)}/${count(row.tasks_max)}`, slots(row, "submits"), slots(row, "transfers"), a(row, "accepted"),
    a(row, "completed"), a(row, "failed"), row.late_ms === undefined ? "" : duration(row.late_ms),
    row.said_ago_ms === undefined ? "" : `${duration(row.said_ago_ms)} ago`]))));
  const again = setTimeout(() => {
    if (mine === turn && document.visibilityState === "visible") route();
  }, 10000);
  leave = () => clearTimeout(again);
}

function quantile(buckets, share) {
  const all = sum(buckets, "count");
  let seen = 0;
  for (const bucket of buckets) {
    seen += bucket.count;
    if (all && seen >= all * share) return bucket.below_ms ? `≤ ${duration(bucket.below_ms)}` : "longer";
  }
  return "";
}

async function stats(mine, query) {
  const asked = { by: "day", ...Object.fromEntries(query) };
  const form = filterForm("/stats", [
    h("label", {}, "By", h("select", { name: "by" }, ["day", "tenant", "account", "mode", "kind", "day,tenant", "tenant,kind"].map((b) =>
      h("option", { value: b, selected: b === asked.by }, b)))),
    field("since", "Since (a day, UTC)", asked.since), field("until", "Until", asked.until)]);
  show("Stats", form, h("p", { class: "soft" }, "Counting…"));
  const answer = await ask("/api/stats", asked);
  if (mine !== turn) return;
  showCommand(answer.command);
  const keys = asked.by.split(",");
  show("Stats", form, answer.rows.length === 0 ? empty("Nothing has ended in that time.")
    : card("", table("Ends", [...keys.map((key) => ({ name: key })), { name: "Ended", number: true }, { name: "Completed", number: true },
      { name: "Cost", number: true }, { name: "Credits", number: true }, { name: "Half within", number: true }, { name: "95 % within", number: true }],
    answer.rows.map((row) => [...keys.map((key) => key === "tenant" && row.tenant
      ? h("a", { href: `/list?tenant=${encodeURIComponent(row.tenant)}` }, row.tenant) : row[key] || (key === "kind" ? "completed" : "")),
    count(row.count), count(row.completed), money(row.cost), money(row.credits_cost), quantile(row.latency || [], 0.5),
    quantile(row.latency || [], 0.95)])),
    h("p", { class: "soft" }, `Together: ${count(sum(answer.rows, "count"))} ended, cost ${money(sum(answer.rows, "cost"))}.`)));
}

// --- the token ---------------------------------------------------------------

function login() {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true });
  const said = h("p", { class: "bad", role: "alert" });
  show("Who looks?", card("", h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await ask("/api/login", {}, { token: token.value });
        await route();
      } catch (fault) {
        said.textContent = fault.message;
      }
    },
  }, h("label", {}, "The text of --auth-token-file", token), said, h("p", {}, h("button", { class: "first" }, "Go on")))));
  token.focus();
}

// --- addresses ---------------------------------------------------------------

const PAGES = { "/": overview, "/list": list, "/request": request, "/rejected": rejected, "/stats": stats, "/workers": workers };

function refuse(fault) {
  if (fault instanceof Refused && fault.status === 401) {
    leave();
    login();
    return;
  }
  if (!(fault instanceof Refused)) throw fault;
  showCommand(fault.command);
  showFault(fault.message);
}

async function route() {
  const mine = ++turn;
  leave();
  leave = () => {};
  showFault("");
  const page = PAGES[location.pathname] || overview;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.page === page.name || (page === request && link.dataset.page === "list");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    await page(mine, new URLSearchParams(location.search));
  } catch (fault) {
    if (mine !== turn) return;
    if (fault instanceof Refused && fault.status === 404 && page === request) {
      show(new URLSearchParams(location.search).get("id"), empty("No such request is stored. ", h("a", { href: "/list" }, "All requests"),
        ", or perhaps it was ", h("a", { href: "/rejected" }, "rejected"), "."));
    }
    refuse(fault);
  }
}

function go(address) {
  history.pushState(null, "", address);
  window.scrollTo(0, 0);
  return route();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/']");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
window.addEventListener("popstate", route);

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = $("find-id").value.trim();
  if (id) go(`/request?id=${encodeURIComponent(id)}`);
});

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

function otherTheme() {
  const now = document.documentElement.dataset.theme ||
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  setTheme(now === "dark" ? "light" : "dark");
}

$("theme").addEventListener("click", otherTheme);
if (localStorage.getItem("theme")) setTheme(localStorage.getItem("theme"));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const pages = { 1: "/", 2: "/list", 3: "/rejected", 4: "/stats", 5: "/workers" };
  if (event.key === "/") {
    event.preventDefault();
    $("find-id").focus();
  } else if (event.key === "t") {
    otherTheme();
  } else if (pages[event.key]) {
    go(pages[event.key]);
  }
});

route();
