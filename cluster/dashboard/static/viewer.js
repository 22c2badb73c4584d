// The viewer's behaviour: addresses become fragments of HTML that the server rendered.
// Without this script, links and the search form still work, page by page.

const viewer = () => document.getElementById("viewer");
const find = (selector) => document.querySelector(selector);
let pending = null;

const MODES = { list: /^\/trajectories\/?$/, trajectory: /^\/trajectories\/(.+)$/, compare: /^\/compare$/ };

const modeOf = (path) => Object.keys(MODES).find((mode) => MODES[mode].test(path));

async function fetchText(path, signal) {
  const response = await fetch(path, { signal, headers: { accept: "text/plain" } });
  if (response.status === 401) location.reload(); // the token changed: log in again
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.text();
}

async function show(href, { history: change = "push", focus = true } = {}) {
  const url = new URL(href, location.href);
  const mode = modeOf(url.pathname);
  pending?.abort();
  pending = new AbortController();
  const box = mode === "list" ? find("#results") : find("#detail");
  const source = "/fragments" + (mode === "list" ? "/results" : url.pathname) + url.search;
  box.setAttribute("aria-busy", "true");
  try {
    const html = await fetchText(source, pending.signal);
    box.innerHTML = html;
  } catch (error) {
    if (error.name === "AbortError") return;
    const told = document.createElement("p");
    told.className = "error";
    told.setAttribute("role", "alert");
    told.textContent = `The dashboard does not answer (${error.message}).`;
    box.replaceChildren(told);
  } finally {
    box.setAttribute("aria-busy", "false");
  }
  viewer().className = mode;
  if (change === "push") history.pushState(null, "", url);
  if (change === "replace") history.replaceState(null, "", url);
  mark(mode === "trajectory" ? decodeURIComponent(url.pathname.match(MODES.trajectory)[1]) : "");
  if (mode !== "list" && focus) {
    window.scrollTo(0, 0);
    box.focus({ preventScroll: true });
  }
  if (mode === "list") find("#fresh").hidden = true;
}

function mark(id) {
  for (const row of document.querySelectorAll("a.row")) {
    if (row.dataset.id === id) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

function queryOfForm() {
  const given = [...new FormData(find("#search"))].filter(([, value]) => value !== "");
  const query = new URLSearchParams(given).toString();
  return query ? `?${query}` : "";
}

let typing = 0;
document.addEventListener("input", (event) => {
  if (!event.target.closest("#search")) return;
  clearTimeout(typing);
  typing = setTimeout(() => show("/trajectories" + queryOfForm(), { history: "replace" }), 120);
});

document.addEventListener("submit", (event) => {
  if (event.target.id !== "search") return;
  event.preventDefault();
  clearTimeout(typing);
  show("/trajectories" + queryOfForm());
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme]")) return toggleTheme();
  if (event.target.closest("[data-copy]")) return navigator.clipboard?.writeText(location.href);
  if (event.target.closest("#fresh")) return refresh();
  const link = event.target.closest("#viewer a[href]");
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
  if (!link || !plain || link.hasAttribute("download") || link.target) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !modeOf(url.pathname)) return;
  event.preventDefault();
  if (modeOf(url.pathname) === "list" && !link.closest(".back, .pages")) fill(url.searchParams);
  show(url);
});

// A link to a search fills in the form, so that form and results say the same.
function fill(parameters) {
  for (const field of find("#search").elements) {
    if (field.name) field.value = parameters.get(field.name) ?? "";
  }
}

window.addEventListener("popstate", () => {
  if (viewer() && modeOf(location.pathname)) show(location.href, { history: "none" });
});

function toggleTheme() {
  const dark = !document.body.classList.contains("body--dark");
  document.cookie = `redline_theme=${dark ? "dark" : "light"};path=/;max-age=31536000;samesite=strict`;
  Quasar.Dark.set(dark);
}

const refresh = () => show("/trajectories" + queryOfForm(), { history: "replace" });

setInterval(async () => {
  const count = find("#results .count");
  if (!count || document.hidden) return;
  try {
    const run = JSON.parse(await fetchText("/api/run"));
    const more = run.trajectories - Number(count.dataset.total);
    find("#fresh").hidden = more === 0;
    find("#fresh button").textContent = more > 0 ? `${more} new trajectories (r)` : "the store changed (r)";
  } catch {
    return; // the next look tells more
  }
}, 3000);

// Keys

function step(items, by) {
  const list = [...document.querySelectorAll(items)].filter((item) => item.checkVisibility());
  const here = list.findIndex((item) => item === document.activeElement || item.contains(document.activeElement));
  const current = here >= 0 ? here : list.findIndex((item) => item.ariaCurrent === "true");
  const next = list[Math.min(list.length - 1, Math.max(0, current + by))] ?? list[0];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const follow = (selector) => find(selector)?.click();

const KEYS = {
  "/": () => find("#search input")?.focus(),
  j: () => step("a.row", 1),
  k: () => step("a.row", -1),
  n: () => step("#detail .turn", 1),
  p: () => step("#detail .turn", -1),
  "]": () => follow('#detail .group a[rel="next"]'),
  "[": () => follow('#detail .group a[rel="prev"]'),
  c: compare,
  x: toggleTokens,
  r: refresh,
  Escape: () => follow("#detail .back a"),
  "?": () => find("#help")?.showModal(),
};

function compare() {
  const samples = [...document.querySelectorAll("#detail .sample")];
  const here = samples.findIndex((sample) => sample.querySelector('[aria-current="true"]'));
  const order = [...samples.slice(here + 1), ...samples.slice(0, Math.max(here, 0))];
  order.find((sample) => sample.querySelector(".compare"))?.querySelector(".compare").click();
}

function toggleTokens() {
  const all = [...document.querySelectorAll("#detail details.tokens")];
  const open = all.some((each) => !each.open);
  for (const each of all) each.open = open;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "g") location.href = "/";
  else if (event.key === "s" && !viewer()) location.href = "/trajectories";
  else if (event.key === "t") toggleTheme();
  else if (viewer() && KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});
