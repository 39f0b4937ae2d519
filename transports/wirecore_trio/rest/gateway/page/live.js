// Looks at /state.json once a second, and shows it. All texts of strangers (names, paths, metadata)
// become text nodes: nothing here makes HTML of a string.
"use strict";

const EVERY = 1000; // milliseconds
const REMEMBERED = 60; // looks that the line of requests a second is of

const rates = [];
let last = null; // {at, requests} of the look before
let lost = false;

const $ = (id) => document.getElementById(id);

function number(value) {
  if (value < 10000) return String(value);
  const units = ["k", "M", "G", "T"];
  let unit = -1;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}`;
}

function bytes(value) {
  if (value < 1000) return `${value} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let unit = -1;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

function milliseconds(value) {
  if (value === null) return "–";
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${value.toFixed(0)} ms`;
  return span(value / 1000);
}

function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function ago(seconds) {
  return seconds < 1 ? "now" : `${span(Math.floor(seconds)).replace(".0", "")} ago`;
}

function element(kind, text, ...classes) {
  const made = document.createElement(kind);
  made.append(text);
  made.classList.add(...classes);
  return made;
}

// A cell; its label stands before it where there is no head, on a phone.
function cell(content, label, ...classes) {
  const made = element("td", content, ...classes);
  if (label) made.dataset.label = label;
  return made;
}

function named(name) {
  return name ? element("span", name, "name") : element("span", "nobody's", "nobody");
}

function status(code) {
  return element("span", code || "–", "status", `k${Math.floor(code / 100)}`);
}

function statuses(counts) {
  const made = document.createElement("span");
  for (const [kind, count] of Object.entries(counts)) {
    const share = element("span", `${kind} `, "share", "soft");
    share.append(element("span", number(count), "status", `k${kind[0]}`));
    made.append(share);
  }
  return made;
}

function failed(count) {
  return element("span", number(count), count ? "bad-text" : "soft");
}

function request(each) {
  const made = element("span", `${each.method} `, "code");
  made.append(each.path);
  return made;
}

// Fills the table with rows, and shows the other text where there are none.
function fill(id, rows) {
  $(id).tBodies[0].replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement("tr");
      row.append(...cells);
      return row;
    }),
  );
  $(id).hidden = rows.length === 0;
  $(`no-${id}`).hidden = rows.length !== 0;
}

function showNames(state) {
  const connected = new Map();
  for (const each of state.publishers) {
    connected.set(each.name, (connected.get(each.name) || 0) + 1);
  }
  const shown = state.names.filter((each) => each.name || each.requests || each.in_flight);
  shown.sort((a, b) => b.requests - a.requests || (a.name < b.name ? -1 : 1));
  fill("names", shown.map((each) => [
    cell(named(each.name), "", "long", "whole"),
    cell(each.name ? connected.get(each.name) || 0 : "–", "publishers", "number"),
    cell(number(each.in_flight), "under way", "number"),
    cell(number(each.requests), "requests", "number"),
    cell(statuses(each.statuses), "", ...(each.requests ? [] : ["none"])),
    cell(failed(each.failed), "failed", "number"),
    cell(each.recent ? milliseconds(each.p50) : "–", "p50", "number"),
    cell(each.recent ? milliseconds(each.p99) : "–", "p99", "number"),
    cell(bytes(each.received), "in", "number"),
    cell(bytes(each.sent), "out", "number"),
  ]));
}

function showPublishers(state) {
  fill("publishers", state.publishers.map((each) => {
    const name = cell(named(each.name), "", "long", "whole");
    if (each.leaving) name.append(element("span", " leaving", "soft"));
    if (each.metadata) name.append(element("div", each.metadata, "soft", "code"));
    return [
      name,
      cell(element("span", each.address, "code"), ""),
      cell(span(Math.floor(each.age)).replace(".0", ""), "for"),
      cell(number(each.in_flight), "under way", "number"),
      cell(number(each.requests), "requests", "number"),
      cell(failed(each.failed), "failed", "number"),
      cell(each.recent ? milliseconds(each.p50) : "–", "p50", "number"),
      cell(each.recent ? milliseconds(each.p99) : "–", "p99", "number"),
      cell(element("span", each.id.slice(0, 8), "code", "soft"), ""),
    ];
  }));
  const more = state.publisher_count - state.publishers.length;
  $("more-publishers").hidden = more === 0;
  $("more-publishers").textContent = `and ${number(more)} more`;
}

function showRequests(state) {
  fill("errors", state.errors.map((each) => [
    cell(ago(each.age), "", "soft"),
    cell(status(each.status), ""),
    cell(request(each), "", "long"),
    cell(named(each.name), "", "long"),
    cell(each.problem || "answered by the publisher", "", "long", "whole"),
    cell(element("span", each.caller, "code", "soft"), "from"),
  ]));
  fill("requests", state.requests.map((each) => [
    cell(ago(each.age), "", "soft"),
    cell(status(each.status), ""),
    cell(request(each), "", "long"),
    cell(named(each.name), "", "long"),
    cell(milliseconds(each.answered), "answered in", "number"),
    cell(milliseconds(each.took), "took", "number"),
    cell(bytes(each.received), "in", "number"),
    cell(bytes(each.sent), "out", "number"),
    cell(element("span", each.caller, "code", "soft"), "from"),
  ]));
}

function showTotal(state) {
  const total = state.total;
  $("publisher-count").textContent = number(state.publisher_count);
  $("request-count").textContent = number(total.requests);
  $("in-flight").textContent = number(total.in_flight);
  $("failed-count").textContent = number(total.failed);
  const part = total.requests ? (100 * total.failed) / total.requests : 0;
  $("failed-part").textContent = `${part < 10 ? part.toFixed(1) : part.toFixed(0)} % of all`;
  $("failed-tile").classList.toggle("bad", state.errors.some((each) => each.age < 60));
  for (const id of ["p50", "p95", "p99"]) {
    $(id).textContent = total.recent ? milliseconds(total[id]) : "–";
  }
  $("sent").textContent = bytes(total.sent);
  $("received").textContent = bytes(total.received);
}

function showRate(state, at) {
  if (last !== null) {
    const rate = Math.max(0, ((state.total.requests - last.requests) * 1000) / (at - last.at));
    rates.push(rate);
    if (rates.length > REMEMBERED) rates.shift();
    $("rate").textContent = rate < 10 ? rate.toFixed(1) : number(Math.round(rate));
  }
  last = { at, requests: state.total.requests };
  const most = Math.max(1, ...rates);
  const points = rates.map((rate, index) => {
    const x = 120 - (rates.length - 1 - index) * (120 / (REMEMBERED - 1));
    return `${x.toFixed(1)},${(31 - (29 * rate) / most).toFixed(1)}`;
  });
  if (points.length > 1) {
    const first = points[0].split(",")[0];
    $("spark-line").setAttribute("d", `M${points.join("L")}`);
    $("spark-area").setAttribute("d", `M${first},32L${points.join("L")}L120,32Z`);
  }
}

function tell(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

async function look() {
  const timeout = AbortSignal.timeout(5000);
  const response = await fetch("state.json", { signal: timeout });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const state = await response.json();
  showRate(state, performance.now());
  showTotal(state);
  showNames(state);
  showPublishers(state);
  showRequests(state);
}

async function watch() {
  for (;;) {
    // Nobody looks: nothing is asked for.
    if (!document.hidden) {
      try {
        await look();
        tell("live", "live");
        lost = false;
      } catch (error) {
        if (!lost) last = null; // what comes next may be another gateway
        lost = true;
        tell("lost", "the gateway doesn't answer; trying again");
      }
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}

watch();
