// What the pages do by themselves: parts that ask for it are loaded anew while somebody looks, and links are kept short.
"use strict";

const EVERY = 2; // seconds, until the console says otherwise: with many pages open each asks less often
let timer = 0;

function refreshIn(seconds) {
  clearTimeout(timer);
  timer = setTimeout(refresh, 1000 * seconds);
}

// A part with hx-trigger="refresh" is loaded anew, but not while the tab is hidden or somebody types in it.
function refresh() {
  refreshIn(EVERY);
  if (document.visibilityState !== "visible") return;
  for (const part of document.querySelectorAll('[hx-trigger~="refresh"]')) {
    const active = part.contains(document.activeElement) ? document.activeElement : null;
    if (active && !active.matches("a, summary, .scroll")) continue;
    const again = active?.matches(".scroll") ? ".scroll" : active?.hasAttribute("href") ? `a[href="${CSS.escape(active.getAttribute("href"))}"]` : "";
    let left = [];
    part.addEventListener("htmx:beforeSwap", () => (left = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft)), { once: true });
    part.addEventListener("htmx:afterSwap", () => {
      part.querySelectorAll(".scroll").forEach((one, number) => (one.scrollLeft = left[number] ?? 0));
      if (again) part.querySelector(again)?.focus();
    }, { once: true });
    htmx.trigger(part, "refresh");
  }
}

// A form that does something asks first, in the words of data-confirm; a second click on its way does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent || (form.dataset.confirm && !window.confirm(form.dataset.confirm))) {
    event.preventDefault();
    return;
  }
  if (form.method === "post" && !form.target) form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// The frame of a message takes no room before the message is asked for; the menu of a phone shows where one is.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("iframe.message").forEach((frame) => (frame.hidden = true));
  const here = document.querySelector(".side [aria-current]"), side = here?.closest(".side");
  if (side) side.scrollLeft = here.offsetLeft - (side.clientWidth - here.offsetWidth) / 2;
  refreshIn(EVERY);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const again = Number(event.detail.xhr.getResponseHeader("Fundlyhub-Again"));
  if (again > 0) refreshIn(again);
});
document.addEventListener("submit", (event) => {
  const frame = event.target.target && document.querySelector(`iframe[name="${CSS.escape(event.target.target)}"]`);
  if (frame) frame.hidden = false;
});
document.addEventListener("visibilitychange", refresh);

// On a phone the rows of a table become cards (console.css): each cell then names its column. Roles are written out,
// since a table that is not laid out as one is none for a screen reader.
function asCards(table) {
  const names = [...table.querySelectorAll("thead th")].map((one) => one.textContent.trim());
  const roles = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", "thead th": "columnheader", "tbody th": "rowheader", td: "cell" };
  for (const [what, role] of Object.entries(roles)) {
    for (const one of [table, ...table.querySelectorAll(what)]) if (one.matches(what)) one.setAttribute("role", role);
  }
  for (const row of table.tBodies[0]?.rows ?? []) [...row.cells].forEach((cell, number) => (cell.dataset.column = names[number] ?? ""));
  table.classList.add("cards");
}
document.addEventListener("htmx:load", (event) => {
  event.detail.elt.querySelectorAll(".scroll > table").forEach(asCards);
});

// A session that has ended in another tab: the page would stay as it was, and be wrong.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) window.location.assign("/sign-in");
});
