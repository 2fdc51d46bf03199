// Keeps the page as it is now: a message of /events says that there is something new, and the page is asked for again.
"use strict";

const PAUSE = 1000, BLIND = 10000;
let patience = 10000;  // milliseconds that an answer may take
let asking = false, again = false, last = 0, answered = true, events = null;

const $ = (id) => document.getElementById(id);
function connection() {
  const open = events?.readyState === EventSource.OPEN;
  const text = !open ? "not live: connecting again" : answered ? "live" : "not live: no answer, asking again";
  if ($("connection").textContent !== text) $("connection").textContent = text;
}

// ---- times, as people say them
function ago(seconds) {
  if (Math.abs(seconds) < 5) return "just now";
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return "soon";
}
function tellTimes() {
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime), text = ago((Date.now() - at) / 1000);
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = at.toLocaleString();
  }
}

// ---- the filter
function show() {
  const live = $("live"), box = $("q");
  if (!box || !live) return;
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean), group = $("filter").elements.show.value;
  let found = 0;
  for (const row of live.querySelectorAll("tr[data-group]")) {
    const text = words.length ? row.textContent.toLowerCase() : "";
    const fits = words.every((word) => text.includes(word)) && (!group || row.dataset.group === group);
    row.hidden = !fits;
    found += fits;
  }
  for (const chip of live.querySelectorAll("[data-show]")) {
    if (chip.dataset.show === group) chip.setAttribute("aria-current", "true"); else chip.removeAttribute("aria-current");
  }
  if ($("none")) $("none").hidden = found > 0 || !live.querySelector("tr[data-group]");
}
function remember() {
  const asked = new URLSearchParams();
  if ($("q").value) asked.set("q", $("q").value);
  if ($("filter").elements.show.value) asked.set("show", $("filter").elements.show.value);
  history.replaceState(null, "", asked.size ? `/?${asked}` : "/");
  show();
}

// ---- asking again
async function refresh() {
  if (asking || document.hidden) { again = true; return; }
  asking = true;
  again = false;
  try {
    await new Promise((done) => setTimeout(done, Math.max(0, last + PAUSE - Date.now())));
    // All rows: the filter is applied here.
    const signal = AbortSignal.timeout(patience);
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, cache: "no-cache", signal });
    answered = answer.ok || answer.status === 404;
    if (answered) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch { answered = false; /* it is asked again as long as it is not live */ }
  if (events) connection();
  last = Date.now();
  asking = false;
  if (again) refresh();
}
function put(page) {
  const fresh = page.getElementById("live"), live = $("live");
  if (!fresh || !live) return;
  // Whatever can have the focus has an id that stays the same.
  const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
  for (const one of live.querySelectorAll("details[open][id]")) page.getElementById(one.id)?.setAttribute("open", "");
  if (live.innerHTML !== fresh.innerHTML) live.replaceChildren(...fresh.childNodes);
  live.dataset.number = fresh.dataset.number;
  document.title = page.title;
  tellTimes();
  show();
  if (focused) $(focused)?.focus({ preventScroll: true });
}
function listen() {
  events = new EventSource("/events");
  events.onopen = connection;
  events.onmessage = (message) => { if ($("live").dataset.number !== message.data) refresh(); };
  events.onerror = () => {
    connection();
    if (events.readyState === EventSource.CLOSED) { setTimeout(listen, 3 * BLIND); refresh(); }
  };
}

tellTimes();
setInterval(tellTimes, 5000);
if ($("filter")) {
  $("filter").addEventListener("submit", (event) => { event.preventDefault(); remember(); });
  $("q").addEventListener("input", remember);
  document.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-show], #none a");
    if (!chip || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    $("filter").elements.show.value = chip.dataset.show || "";
    if (!chip.dataset.show && chip.closest("#none")) $("q").value = "";
    remember();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea")) { event.preventDefault(); $("q").focus(); }
  });
  show();
}
if ($("live")) {
  // What the filter left out on the server is asked for now.
  if (location.search && $("filter")) refresh();
  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) refresh(); });
  setInterval(() => { if ($("connection").textContent !== "live") refresh(); }, BLIND);
  listen();
}
