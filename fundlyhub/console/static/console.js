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
    if (!part.contains(document.activeElement) || document.activeElement.matches("a, summary")) {
      const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      htmx.trigger(part, "refresh");
      if (focused) {
        part.addEventListener("htmx:afterSwap", () => part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus(), { once: true });
      }
    }
  }
}

// A form that does something asks first, in the words of data-confirm; a second click on its way does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent || (form.dataset.confirm && !window.confirm(form.dataset.confirm))) {
    event.preventDefault();
    return;
  }
  if (form.method === "post") form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// What an action did is said once.
document.addEventListener("DOMContentLoaded", () => refreshIn(EVERY));
document.addEventListener("htmx:afterRequest", (event) => {
  const again = Number(event.detail.xhr.getResponseHeader("Fundlyhub-Again"));
  if (again > 0) refreshIn(again);
});
document.addEventListener("visibilitychange", refresh);

// A session that has ended in another tab: the page would stay as it was, and be wrong.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) window.location.assign("/sign-in");
});
