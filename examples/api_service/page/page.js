// The page: one campaign, its numbers as they move, and what happened to it. No number is worked out here.
"use strict";

const at = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
let campaign = null;

async function ask(path, body, headers = {}) {
  const options = body && { method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", ...headers } };
  const answer = await fetch(path, options);
  if (!answer.ok) {
    const { detail } = await answer.json().catch(() => ({}));
    throw new Error(typeof detail === "string" ? detail : `the service answered ${answer.status}`);
  }
  return answer.json();
}

function trouble(error) {
  at("trouble").textContent = error ? `That did not work: ${error.message}` : "";
  at("trouble").hidden = !error;
}

const tried = (work) => async (event) => {
  event?.preventDefault();
  trouble(null);
  try { await work(event); } catch (error) { trouble(error); }
};

function money(value) {
  const whole = Number(value) % 1 === 0;
  return new Intl.NumberFormat("en-US", { style: "currency", currency: campaign.currency,
    ...(whole && { maximumFractionDigits: 0 }) }).format(value);
}

// Lets a number run to where it belongs, so that one sees it move.
function show(id, value, format) {
  const place = at(id), from = Number(place.dataset.value ?? value), to = Number(value), began = performance.now();
  place.dataset.value = to;
  if (still || from === to) { place.textContent = format(value); return; }
  const step = (now) => {
    if (Number(place.dataset.value) !== to) return;
    const share = Math.min(1, (now - began) / 500);
    place.textContent = share === 1 ? format(value) : format(Math.round(from + (to - from) * share));
    if (share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function showStats(stats) {
  const own = stats.find((row) => row.currency === campaign.currency)
    ?? { total_raised: 0, donation_count: 0, unique_donors: 0, average_donation: 0, largest_donation: 0 };
  show("raised", own.total_raised, money);
  show("gifts", own.donation_count, (value) => Number(value).toLocaleString("en-US"));
  show("donors", own.unique_donors, (value) => Number(value).toLocaleString("en-US"));
  show("average", own.average_donation, (value) => money(Number(value).toFixed(2)));
  show("largest", own.largest_donation ?? 0, money);
  at("progress").value = Math.min(1, own.total_raised / campaign.goal_amount);
}

async function showFeed() {
  const lines = await ask(`/campaigns/${campaign.id}/feed`);
  at("feed").replaceChildren(...lines.slice(0, 8).map((line) => {
    const item = document.createElement("li"), time = document.createElement("time");
    time.dateTime = line.at;
    time.textContent = new Date(line.at).toLocaleTimeString("en-GB");
    item.append(line.text, time);
    return item;
  }));
  if (!lines.length) at("feed").innerHTML = "<li>Nothing yet.</li>";
}

function follow() {
  const source = new EventSource(`/campaigns/${campaign.id}/live`);
  let waiting = null;
  source.onopen = () => { at("live").textContent = "live"; at("live").classList.add("on"); };
  source.onerror = () => { at("live").textContent = "connecting again"; at("live").classList.remove("on"); };
  source.onmessage = (event) => {
    showStats(JSON.parse(event.data));
    clearTimeout(waiting);  // the feed is another processor's: give it a moment
    waiting = setTimeout(() => showFeed().catch(trouble), 400);
  };
}

async function start() {
  const id = new URLSearchParams(location.search).get("campaign") ?? (await ask("/campaigns"))[0]?.id;
  if (!id) return;
  campaign = await ask(`/campaigns/${encodeURIComponent(id)}`);
  document.title = campaign.title;
  at("title").textContent = campaign.title;
  at("goal").textContent = `of ${money(campaign.goal_amount)}`;
  document.querySelector(".give").append(...[5, 25, 100].map((amount) => {
    const button = document.createElement("button");
    button.textContent = `Give ${money(amount)}`;
    button.onclick = tried(async () => {
      const { stats } = await ask("/donations", { campaign_id: campaign.id, amount: String(amount) },
        { "Idempotency-Key": crypto.randomUUID(), Prefer: "wait=2" });
      if (stats) showStats(stats);  // the total with this gift; else it comes by the stream
    });
    return button;
  }));
  showStats(campaign.stats);
  at("campaign").hidden = false;
  await showFeed();
  follow();
}

at("open").onsubmit = tried(async (event) => {
  const { title, goal } = Object.fromEntries(new FormData(event.target));
  const owner = await ask("/users", { name: "Visitor", email: "visitor@example.org" });
  const opened = await ask("/campaigns", { owner_id: owner.id, title, goal_amount: goal });
  location.search = `?campaign=${opened.id}`;
});

at("search").onsubmit = (event) => event.preventDefault();
at("words").oninput = tried(async () => {
  const words = at("words").value.trim();
  const { hits } = words ? await ask(`/search?q=${encodeURIComponent(words)}`) : { hits: [] };
  if (words !== at("words").value.trim()) return;  // an older answer
  at("hits").hidden = !words;
  at("hits").replaceChildren(...hits.map((hit) => {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = `?campaign=${hit.id}`;
    link.textContent = hit.title;
    item.append(link);
    return item;
  }));
  if (words && !hits.length) at("hits").innerHTML = "<li><span>Nothing found.</span></li>";
});

tried(start)();
