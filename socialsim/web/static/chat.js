// One conversation: the reply arrives as server-sent events, phases and drafts first.

import { $, addTurn, composer, element, request, status } from "./talk.js";

const PHASES = {
  reading: "reads what you wrote",
  situation: "thinks of your situation",
  thought: "thinks of what you may believe",
  action: "thinks of what you do",
  strategy: "chooses a strategy",
  reply: "writes",
  checking: "looks over the reply",
};
const log = $("log");
const empty = log.firstElementChild.cloneNode(true);
const box = composer(say);
let busy = false;

function setBusy(now) {
  busy = now;
  const said = log.querySelector(".turn") !== null;
  $("save").disabled = busy || !said;
  $("restart").disabled = busy || !said;
  $("send").textContent = busy ? "Stop" : "Send";
  $("send").type = busy ? "button" : "submit";
  $("draft").hidden = !busy;
  if (!busy) $("draft").textContent = "";
}

$("send").addEventListener("click", () => {
  if (busy) request("/api/stop", {}).catch((error) => status(error.message, true));
});

function show(turn, number) {
  const made = addTurn(turn);
  if (!turn.reasoned) return;
  const button = element("button", "think", "Reasoning");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => toggle(made, button, number));
  made.append(button);
}

async function toggle(turn, button, number) {
  const open = turn.querySelector(".thoughts");
  button.setAttribute("aria-expanded", String(!open));
  if (open) {
    open.remove();
    return;
  }
  try {
    const { lines } = await (await request(`/api/reasoning/${number}`)).json();
    const list = element("dl", "thoughts");
    for (const [name, text] of lines) list.append(element("dt", "", name), element("dd", "", text));
    turn.append(list);
    list.scrollIntoView({ block: "nearest" });
  } catch (error) {
    status(error.message, true);
  }
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) yield JSON.parse(part.slice("data: ".length));
  }
}

async function say(text) {
  if (busy) return;
  const message = text.trim();
  const mine = addTurn({ speaker: "seeker", text: message, fixed: false });
  box.set("");
  setBusy(true);
  let kept = false;
  try {
    let drafted = false;
    for await (const event of events(await request("/api/say", { text: message }))) {
      if (event.error) throw new Error(event.error);
      if (event.reply) {
        kept = true;
        status("");
        mine.classList.toggle("fixed", event.reply.fixed);
        show(event.reply, event.number);
      } else {
        const again = drafted && !event.draft && event.phase !== "checking";
        drafted = drafted || Boolean(event.draft);
        status(`The supporter ${PHASES[event.phase] || event.phase}${again ? ", again: the last reply could be better" : ""} …`);
        $("draft").textContent = event.draft;
      }
    }
    if (!kept) throw new Error("The reply did not arrive; load the page again.");
  } catch (error) {
    mine.remove();
    box.set(message);
    status(error.message, true);
  }
  setBusy(false);
  box.focus();
}

$("save").addEventListener("click", async () => {
  try {
    const { id, file } = await (await request("/api/save", {})).json();
    status(`Saved as ${id} in ${file}.`);
  } catch (error) {
    status(error.message, true);
  }
});

$("restart").addEventListener("click", async () => {
  if (!confirm("Begin a new chat? What was not saved is gone.")) return;
  await request("/api/restart", {}).catch((error) => status(error.message, true));
  await load();
});

async function load() {
  try {
    const state = await (await request("/api/state")).json();
    log.replaceChildren(empty.cloneNode(true));
    state.turns.forEach(show);
    setBusy(state.busy);
    status(state.busy ? "The supporter writes a reply to your last message …" : "");
    if (state.busy) setTimeout(load, 1000);
    else box.focus();
  } catch (error) {
    status(error.message, true);
  }
}

load();
