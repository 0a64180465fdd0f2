// The live page. Everything from the server is put in as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const SILENCE_MS = 6000; // no event for so long: the stream counts as cut
const RETRY_MS_MAX = 15000;
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const STORE = "stratometer-key";

let paused = false;
let seen = new Set();
let lastEvent = 0;
let failures = 0;
let current = null; // AbortController of the open stream

function text(tag, content, className) {
  const node = document.createElement(tag);
  node.textContent = content;
  if (className) node.className = className;
  return node;
}

// Exact decimal text, grouped in thousands without passing through a binary number.
function grouped(decimal) {
  const [integer, fraction] = decimal.split(".");
  const head = integer.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  return fraction === undefined ? head : `${head}.${fraction}`;
}

// Amounts of totals: two digits, rounded half away from zero on the exact text, for the eye; exact ones stand in titles.
function cents(micros) {
  const value = BigInt(micros);
  const positive = value < 0n ? -value : value;
  const rounded = (positive + 5000n) / 10000n;
  const digits = rounded.toString().padStart(3, "0");
  return (value < 0n && rounded ? "-" : "") + grouped(`${digits.slice(0, -2)}.${digits.slice(-2)}`);
}

function shortened(quantity) {
  const [integer, fraction = ""] = quantity.display.split(".");
  const cut = fraction.slice(0, 3).replace(/0+$/, "");
  const about = !quantity.exact || fraction.length > 3 ? "≈\u202f" : "";
  return about + grouped(cut ? `${integer}.${cut}` : integer);
}

function state(kind, words) {
  $("state").className = `state ${kind}`;
  if ($("state-text").textContent !== words) $("state-text").textContent = words;
  document.body.classList.toggle("cut", kind === "cut");
}

function ago(from, now) {
  const seconds = Math.max(0, Math.round((Date.parse(now) - Date.parse(from)) / 1000));
  if (seconds < 2) return "just now";
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

function drawSpark(rates) {
  const [area, line] = $("spark").children;
  if (rates.length < 2) return;
  const top = Math.max(1, ...rates.map((r) => r[1]));
  const step = 240 / (rates.length - 1);
  const points = rates.map((r, i) => `${(i * step).toFixed(1)},${(46 - (42 * r[1]) / top).toFixed(1)}`);
  line.setAttribute("d", `M${points.join("L")}`);
  area.setAttribute("d", `M0,48L${points.join("L")}L240,48Z`);
}

function figure(node, value, unit) {
  node.replaceChildren(document.createTextNode(value), document.createTextNode(" "), text("span", unit, "unit"));
}

function showPipeline(pipeline) {
  for (const node of document.querySelectorAll(".provider")) node.hidden = pipeline === null;
  if (pipeline === null) return;
  const last = pipeline.rates[pipeline.rates.length - 1];
  $("rate").textContent = last ? whole.format(last[1]) : "–";
  drawSpark(pipeline.rates);
  for (const name of ["accepted", "stored", "dead"]) $(name).textContent = whole.format(pipeline[name]);
  const taken = pipeline.replayed ? "accepted + replayed" : "accepted";
  const sum = `${taken} ${pipeline.balanced ? "=" : "≠"} stored + dead`;
  $("check").textContent = (pipeline.balanced ? "✓ " : "✗ ") + sum;
  $("check").className = `figure check ${pipeline.balanced ? "good" : "bad"}`;
  $("dead").className = pipeline.dead ? "warn" : "";
}

function showCosts(data) {
  const total = $("total");
  total.replaceChildren();
  for (const one of data.totals) {
    const row = document.createElement("div");
    figure(row, cents(one.micros), one.currency);
    row.title = `${one.text} ${one.currency}`;
    total.append(row);
  }
  if (!data.totals.length) total.textContent = "–";
  $("since").textContent = `since ${data.since.slice(0, 16).replace("T", " ")} UTC`;
  const most = Math.max(1, ...data.accounts.map((a) => Math.abs(a.amount.micros)));
  $("accounts").replaceChildren(
    ...data.accounts.map((account) => {
      const row = document.createElement("tr");
      const name = text("td", account.name);
      name.append(text("span", account.id, "sub"));
      const cost = text("td", `${cents(account.amount.micros)} ${account.amount.currency}`, "num");
      cost.title = `${account.amount.text} ${account.amount.currency}`;
      const bar = text("span", "", "bar");
      const fill = document.createElement("i");
      fill.style.width = `${(100 * Math.abs(account.amount.micros)) / most}%`;
      bar.append(fill);
      cost.append(bar);
      row.append(name, cost);
      return row;
    }),
  );
  const more = data.accounts_more ? `and ${data.accounts_more} more accounts` : "";
  $("accounts-more").textContent = data.accounts.length ? more : "No account has a rated window yet.";
}

function lineRow(line) {
  const row = document.createElement("tr");
  const attributes = Object.entries(line.attributes).map(([k, v]) => `${k} ${v}`).join(", ");
  const what = text("td", line.meter + (attributes ? ` · ${attributes}` : ""));
  what.append(text("span", `${line.resource} · ${line.segment.start.slice(0, 16).replace("T", " ")} UTC`, "sub"));
  const amount = text("td", line.price ? `${grouped(line.amount.text)} ${line.amount.currency}` : "unpriced", "num");
  if (!line.price) amount.classList.add("warn");
  const quantity = text("td", `${shortened(line.quantity)} ${line.quantity.display_unit}`, "num");
  quantity.title = `${line.quantity.base} ${line.quantity.unit}`;
  row.append(what, text("td", line.account_name), quantity, text("td", line.price || "no price", "num"), amount);
  if (seen.size && !seen.has(line.digest)) row.className = "new";
  row.title = `line ${line.digest}`;
  return row;
}

function showLines(data) {
  $("lines-note").hidden = data.lines.length > 0;
  const fresh = data.newest_line_at;
  $("fresh").textContent = fresh ? ago(fresh, data.now) : "–";
  $("fresh-note").textContent = data.at ? `figures read ${ago(data.at, data.now)}` : "waiting for the first figures";
  if (paused) return;
  if (data.lines.some((line) => !seen.has(line.digest)) || data.lines.length !== $("lines").children.length) {
    $("lines").replaceChildren(...data.lines.map(lineRow));
  }
  seen = new Set(data.lines.map((line) => line.digest));
}

function show(data) {
  $("main").hidden = false;
  $("notice").hidden = !data.fault;
  $("notice").textContent = data.fault;
  showPipeline(data.pipeline);
  showCosts(data);
  showLines(data);
}

function ask(problem) {
  state("waiting", "A key is needed");
  $("ask").hidden = false;
  $("main").hidden = true;
  $("forget").hidden = true;
  $("ask-error").textContent = problem || "";
  $("key").focus();
}

// EventSource cannot send headers, and a key in an address ends in logs: so the stream is read with fetch.
async function read(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((l) => l.startsWith("data: "));
      if (!data) continue;
      lastEvent = Date.now();
      failures = 0;
      state("live", "Live");
      show(JSON.parse(data.slice(6)));
    }
  }
}

async function watch(key) {
  $("ask").hidden = true;
  for (;;) {
    current = new AbortController();
    lastEvent = Date.now();
    let words = "Stream cut";
    try {
      const response = await fetch("/v1/stream", { headers: key ? { Authorization: `Bearer ${key}` } : {}, signal: current.signal });
      if (response.status === 401 || response.status === 403) {
        const problem = await response.json();
        sessionStorage.removeItem(STORE);
        return ask(key ? problem.detail : "");
      }
      if (response.ok) {
        $("forget").hidden = !sessionStorage.getItem(STORE);
        await read(response);
      } else {
        words = response.status === 503 ? "Server busy" : `Server answers ${response.status}`;
      }
    } catch (error) {
      if (current.signal.reason === "another key") return undefined;
    }
    failures += 1;
    const pause = failures === 1 ? 200 : Math.min(RETRY_MS_MAX, 500 * 2 ** failures);
    if (failures > 1) state("cut", `${words}, trying again`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

setInterval(() => {
  if (current && !current.signal.aborted && $("ask").hidden && Date.now() - lastEvent > SILENCE_MS) {
    state("cut", "Stream silent, trying again");
    current.abort("silent");
  }
}, 1000);

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = $("key").value.trim();
  $("key").value = "";
  sessionStorage.setItem(STORE, key);
  watch(key);
});

$("forget").addEventListener("click", () => {
  sessionStorage.removeItem(STORE);
  if (current) current.abort("another key");
  ask("");
});

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Go on" : "Pause";
});

watch(sessionStorage.getItem(STORE) || document.querySelector("meta[name=viewer-key]").content || "");
