// The review app's keys. The server renders every fragment; this swaps it in, one request after another.
"use strict";

const DECISIONS = { a: "accept", r: "reject" };
const FOLDED = "socialsim-folded";
let last = Promise.resolve();
let dirty = false;

const app = () => document.getElementById("app");
const data = () => app().dataset;
const fields = () => ({ query: location.search.slice(1), kind: data().kind, item: data().item });

function say(text, problem = false) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.classList.toggle("problem", problem);
}

// One request at a time: a key pressed twice must not overtake itself.
function inTurn(work) {
  last = last.then(work).catch((error) => say(error.message || "The server does not answer; start it again.", true));
  return last;
}

async function fetched(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, headers: { "X-Fragment": "1", ...options?.headers } });
  } catch {
    throw new Error("The server does not answer. Start it again; what was saved is on disk.");
  }
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text;
}

function swap(html, scroll) {
  const there = document.activeElement?.id;
  const chosen = document.querySelector(".chosen")?.dataset.dimension;
  const before = data().item;
  app().outerHTML = html;
  dirty = false;
  history.replaceState(null, "", data().here || location.search || "/");
  arrange();
  const same = before === data().item;
  if (same && chosen) choose(document.querySelector(`[data-dimension="${chosen}"]`));
  if (there && same) document.getElementById(there)?.focus({ preventScroll: true });
  if (scroll && !same) window.scrollTo(0, 0);
}

// What a fragment does not know: the fold of the reasoning, and how wide the window is.
function arrange() {
  const folded = localStorage.getItem(FOLDED) === "1" && !editing();
  document.querySelectorAll(".reasoning").forEach((one) => { one.open = !folded; });
  if (window.matchMedia("(max-width: 70rem)").matches) {
    document.querySelectorAll(".foldable").forEach((one) => { one.open = false; });
  }
}

const editing = () => Boolean(document.querySelector('[data-do="save"]'));

const show = (url) => inTurn(async () => {
  if (!url) return;
  swap(await fetched(url), true);
  say("");
});

const change = (body, keep = false) => inTurn(async () => {
  const html = await fetched("/change", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...fields(), ...body }),
  });
  if (keep) return say("Note saved.");
  swap(html, true);
  say(data().message);
});

function choose(row) {
  document.querySelectorAll(".dimension").forEach((one) => one.classList.toggle("chosen", one === row));
}

function score(row, points) {
  if (!row) return;
  const pressed = row.querySelector(`[data-score="${points}"]`).getAttribute("aria-pressed") === "true";
  choose(row);
  change({ do: "score", scores: { [row.dataset.dimension]: pressed ? null : points } });
}

function collected(form) {
  const values = (part) => Object.fromEntries([...part.querySelectorAll("textarea")].map((one) => [one.name, one.value]));
  if (form.dataset.form === "persona") return { persona: { fields: values(form) } };
  return { dialogue: { turns: [...form.querySelectorAll("[data-turn]")].map(values) } };
}

function saveNote() {
  const note = document.getElementById("note");
  if (!note || note.value === note.defaultValue) return;
  note.defaultValue = note.value;
  change({ do: "note", note: note.value }, true);
}

function edit() {
  if (!data().edit) return;
  show(data().edit).then(() => document.querySelector("#edit textarea[name=text], #edit textarea")?.focus());
}

const leave = () => { if (!dirty || confirm("Leave without saving the edit?")) show(data().here); };
const free = () => { if (!editing()) return true; say("Save the edit, or leave it with Esc, first.", true); return false; };

const DEEDS = {
  accept: () => free() && change({ do: "accept" }),
  reject: () => free() && change({ do: "reject" }),
  undo: () => free() && change({ do: "undo" }),
  before: () => free() && show(data().before),
  after: () => free() && show(data().after),
  edit: () => free() && edit(),
  save: () => change({ do: "edit", ...collected(document.getElementById("edit")) }),
  leave,
  help: () => document.getElementById("help").showModal(),
  choose: (button) => choose(button.closest(".dimension")),
  score: (button) => score(button.closest(".dimension"), Number(button.dataset.score)),
};

const KEYS = {
  j: DEEDS.after, k: DEEDS.before, a: DEEDS.accept, r: DEEDS.reject, e: DEEDS.edit, u: DEEDS.undo, "?": DEEDS.help,
  n: () => document.getElementById("note")?.focus(),
  "/": () => document.querySelector("[name=q]").focus(),
  x: () => { localStorage.setItem(FOLDED, localStorage.getItem(FOLDED) === "1" ? "0" : "1"); arrange(); },
};

function typed(event) {
  const writing = /^(TEXTAREA|SELECT|INPUT)$/.test(event.target.tagName);
  const saves = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (document.getElementById("help").open) return;
  if (editing() && saves) { event.preventDefault(); DEEDS.save(); return; }
  if (event.key === "Escape") { if (editing()) leave(); else event.target.blur(); return; }
  if (writing) { if (saves) event.target.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const chosen = document.querySelector(".dimension.chosen");
  if (chosen && /^[0-3]$/.test(event.key)) { event.preventDefault(); scoreThenRelease(chosen, Number(event.key)); return; }
  if (/^[1-6]$/.test(event.key)) { choose(document.querySelector(`.dimension[data-key="${event.key}"]`)); return; }
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
}

// After a score the next digit names a dimension again.
function scoreThenRelease(row, points) {
  choose(null);
  change({ do: "score", scores: { [row.dataset.dimension]: points } });
}

document.addEventListener("keydown", typed);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) { DEEDS[button.dataset.do]?.(button); return; }
  const link = event.target.closest(".list a");
  if (link && !event.ctrlKey && !event.metaKey) { event.preventDefault(); if (free()) show(link.getAttribute("href")); }
});
document.addEventListener("change", (event) => {
  if (event.target.id === "note") saveNote();
  else if (event.target.form?.id === "filters" && free()) filter(event.target.form);
});
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  event.preventDefault();
  if (event.target.id === "filters" && free()) filter(event.target);
});
document.addEventListener("input", (event) => { if (event.target.form?.id === "edit") dirty = true; });
window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

function filter(form) {
  show("/?" + new URLSearchParams(new FormData(form)));
}

arrange();
