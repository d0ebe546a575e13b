// What both pages share: turns, the composer, requests. Text from people and models is set as text, never as HTML.

export const $ = (id) => document.getElementById(id);
const DIRECTORY = "findahelpline.com";
const NAMES = { seeker: "You", supporter: "Supporter" };

export async function request(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  };
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error("The program does not answer; is it still running?");
  if (!response.ok) throw new Error(await problem(response));
  return response;
}

async function problem(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error || "The page sent something the program does not take.";
  } catch {
    return text.trim() || `The program answered ${response.status}.`;
  }
}

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// A fixed text is ours: the directory of crisis lines it names can be opened.
function withLink(text) {
  const made = element("p", "bubble");
  const [before, ...rest] = text.split(DIRECTORY);
  made.append(before);
  for (const part of rest) {
    const link = element("a", "", DIRECTORY);
    link.href = `https://${DIRECTORY}`;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    made.append(link, part);
  }
  return made;
}

export function addTurn(turn, name) {
  log.querySelector(".empty")?.remove();
  const made = element("div", `turn ${turn.speaker}${turn.fixed ? " fixed" : ""}`);
  made.append(element("span", "unseen", `${name || NAMES[turn.speaker]}:`));
  made.append(turn.fixed ? withLink(turn.text) : element("p", "bubble", turn.text));
  log.append(made);
  log.scrollTop = log.scrollHeight;
  atEnd = true;
  return made;
}

// The log shrinks when the status takes a second line: what was in sight stays in sight.
const log = $("log");
let atEnd = true;
log.addEventListener("scroll", () => {
  atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
});
new ResizeObserver(() => {
  if (atEnd) log.scrollTop = log.scrollHeight;
}).observe(log);

export function status(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

export function composer(send) {
  const box = $("message");
  const grow = () => {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
    const left = box.maxLength - box.value.length;
    $("count").textContent = left < 300 ? `${left} characters left` : "";
  };
  const submit = () => {
    if (!$("send").disabled && box.value.trim()) send(box.value);
  };
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  return {
    set(text) {
      box.value = text;
      grow();
    },
    focus() {
      box.focus();
    },
  };
}
