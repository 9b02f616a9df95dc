// Enter sends and Shift+Enter adds a line; or, if preferred, Enter adds a line and Ctrl+Enter sends. On-screen
// keyboards have no such keys: there Enter always adds a line.

import { box, preferences } from "./page.js";

const isOnScreen = matchMedia("(hover: none)");
const enterMakesLine = preferences.enter === "line";

const COMPOSING = 229; // the key code of every key that an input method handles (UI Events, 7.3.1)
const HANGUL = /^\p{Script=Hangul}+$/u;

// What an input method has composed, whether it still is composing, and whether it handled the Enter key that is down.
let composed = "";
let isComposing = false;
let tookEnter = false;

if (box && !isOnScreen.matches) {
  const hint = enterMakesLine
    ? gettext("Ctrl and Enter sends")
    : gettext("Enter sends, Shift and Enter makes a new line");
  document.getElementById("composer-hint").append(`. ${hint}`);
}

box?.addEventListener("compositionstart", () => {
  composed = "";
  isComposing = true;
});
box?.addEventListener("compositionupdate", ({ data }) => {
  composed = data;
});
box?.addEventListener("compositionend", () => {
  isComposing = false;
});

box?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.code !== "Enter") return;
  // Safari ends the composition first; then only the key code shows that the key belonged to it.
  tookEnter = event.isComposing || event.keyCode === COMPOSING;
  if (tookEnter || !sends(event)) return;
  event.preventDefault();
  send();
});

// Korean has no candidates to choose from: Enter ends the syllable and also means Enter. Most browsers fire a second
// keydown for that, some don't.
box?.addEventListener("keyup", (event) => {
  if (event.code !== "Enter" || event.isComposing || !tookEnter) return;
  tookEnter = false;
  if (HANGUL.test(composed) && sends(event)) send();
});

// An on-screen keyboard that suggests words still holds the last one when the box is emptied, and puts it back.
const GRACE_MS = 300;
let taken = null;

box?.addEventListener("taken", ({ detail }) => {
  taken = isComposing && { body: detail.trimEnd(), at: performance.now() };
  document.getElementById("composer-errors").replaceChildren();
  box.removeAttribute("aria-invalid");
});
box?.addEventListener("input", () => {
  const isBack = taken && performance.now() - taken.at < GRACE_MS && taken.body.endsWith(box.value.trim());
  if (isBack) box.value = "";
  else taken = null;
});

// Checked here as well as on the server, so that a whole book is not sent first. Counted in code points, like there.
document.addEventListener(
  "submit",
  (event) => {
    if (event.target !== box?.form) return;
    const [max, count] = [Number(box.dataset.max), Array.from(box.value.trimEnd()).length];
    if (count <= max) return;
    event.preventDefault();
    event.stopPropagation();
    const text = gettext(
      "A message has at most %(most)s characters; this one has %(count)s. Shorten it, or send it in parts.",
    );
    refuse(interpolate(text, { most: max, count }, true));
  },
  { capture: true },
);

function refuse(reason) {
  const error = document.createElement("p");
  error.className = "error";
  error.textContent = reason;
  markRefused();
  document.getElementById("composer-errors").replaceChildren(error);
}

// The reason is spoken as an alert. If it also described the focused box, it would be read twice.
function markRefused() {
  box.setAttribute("aria-invalid", "true");
  box.setAttribute("aria-describedby", "composer-hint");
}

// By the outbox with a reason, or by the server, which has put its reason into the page.
box?.addEventListener("returned", ({ detail: { body, reason } }) => {
  // A draft may have it already.
  if (!box.value.includes(body)) box.value = box.value.trim() ? `${body}\n\n${box.value}` : body;
  if (reason) refuse(reason);
  else markRefused();
});
box?.addEventListener("blur", () => box.setAttribute("aria-describedby", "composer-errors composer-hint"));

function sends(event) {
  return event.ctrlKey || event.metaKey || !(enterMakesLine || event.shiftKey || isOnScreen.matches);
}

function send() {
  composed = "";
  if (box.value.trim() && !box.readOnly) box.form.requestSubmit();
}
