// Two conversations under hidden names, then the rating. The models' names are not in this page before it is rated.

import { $, addTurn, composer, request, status } from "./talk.js";

const log = $("log");
const needed = Number($("talk").dataset.needed);
const tabs = [$("tab0"), $("tab1")];
const SECTIONS = ["begin", "log", "foot", "rating", "done"];
const box = composer(say);
const drafts = ["", ""];
let place = 0;
let state = null;
let busy = false;

function only(...shown) {
  for (const id of SECTIONS) $(id).hidden = !shown.includes(id);
  const talking = shown.includes("log") || shown.includes("rating");
  $("tabs").hidden = !talking;
  $("rate").hidden = !shown.includes("log");
}

function setBusy(now) {
  busy = now;
  $("send").disabled = busy;
  for (const tab of tabs) tab.disabled = busy;
  $("rate").disabled = busy || !state?.ready;
}

function showTalk() {
  only("log", "foot");
  log.replaceChildren();
  for (const turn of state.places[place].turns) addTurn(turn, turn.speaker === "supporter" ? nameOf(place) : "You");
  log.setAttribute("aria-labelledby", `tab${place}`);
  $("message").placeholder = `Your message to ${nameOf(place)}`;
  tabs.forEach((tab, index) => {
    tab.setAttribute("aria-selected", String(index === place));
    tab.tabIndex = index === place ? 0 : -1;
  });
  showCounts();
  setBusy(false);
  box.focus();
}

function nameOf(index) {
  return `Model ${index + 1}`;
}

function showCounts() {
  tabs.forEach((tab, index) => {
    const count = tab.querySelector(".count");
    const { done } = state.places[index];
    count.textContent = done < needed ? `${done}/${needed}` : `${done} ✓`;
    count.classList.toggle("good", done >= needed);
  });
  const { done } = state.places[place];
  if (state.ready) status("Both were talked to long enough: rate them when you like, or talk on.");
  else if (done >= needed) status(`Long enough with ${nameOf(place)}. Now talk to ${nameOf(1 - place)}, or go on here.`);
  else status("");
}

async function say(text) {
  if (busy) return;
  const message = text.trim();
  const mine = addTurn({ speaker: "seeker", text: message, fixed: false });
  box.set("");
  setBusy(true);
  status(`${nameOf(place)} writes …`);
  try {
    const answer = await (await request("/api/say", { place, text: message })).json();
    state = { ...state, ...answer };
    mine.classList.toggle("fixed", answer.reply.fixed);
    addTurn(answer.reply, nameOf(place));
    setBusy(false);
    showCounts();
  } catch (error) {
    mine.remove();
    box.set(message);
    setBusy(false);
    status(error.message, true);
  }
  box.focus();
}

tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => {
    if (index !== place) {
      drafts[place] = $("message").value;
      place = index;
      box.set(drafts[place]);
    }
    showTalk();
  });
  tab.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    tabs[1 - index].click();
    tabs[1 - index].focus();
  });
});

$("who").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await request("/api/begin", { rater: $("rater").value });
    await load();
  } catch (error) {
    alert(error.message);
  }
});

$("rate").addEventListener("click", () => {
  only("rating");
  $("rating-title").focus();
});

$("back").addEventListener("click", showTalk);

$("scores").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData($("scores"));
  const aspects = {};
  for (const card of document.querySelectorAll("fieldset[data-aspect]")) {
    const name = card.dataset.aspect;
    const score = (field) => Number(form.get(`${name}-${field}`));
    aspects[name] = { first: score("first"), second: score("second"), preferred: form.get(`${name}-preferred`) };
  }
  try {
    $("problem").textContent = "";
    state = await (await request("/api/rate", { aspects, note: $("remark").value })).json();
    showDone();
  } catch (error) {
    $("problem").textContent = error.message;
  }
});

function showDone() {
  only("done");
  state.names.forEach((name, index) => {
    $(`name${index}`).textContent = name;
  });
  $("done-title").focus();
}

$("again").addEventListener("click", () => {
  $("scores").reset();
  place = 0;
  only("begin");
  $("rater").focus();
});

async function load() {
  try {
    state = await (await request("/api/state")).json();
    if (!state.begun) only("begin");
    else if (state.names) showDone();
    else if (state.busy) {
      status("A reply is being written …");
      setTimeout(load, 1000);
    } else {
      if (state.places[0].done >= needed && state.places[1].done < needed) place = 1;
      showTalk();
    }
  } catch (error) {
    only("log", "foot");
    status(error.message, true);
  }
}

load();
