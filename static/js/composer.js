// Enter sends, Shift and Enter makes a new line; or, for who prefers it so, Enter makes a new line, Ctrl and Enter
// sends. On a screen's own keyboard, which has no such keys, Enter makes a new line always.

import { box, preferences } from "./page.js";

const isOnScreen = matchMedia("(hover: none)");
const enterMakesLine = preferences.enter === "line";

const COMPOSING = 229; // the key code of every key that an input method takes (UI Events, 7.3.1)
const HANGUL = /^\p{Script=Hangul}+$/u;

// What an input method has composed, whether it is at it, and whether it took the Enter key that is down.
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
  // Safari ends the composition first; only the code still says that the key belonged to it.
  tookEnter = event.isComposing || event.keyCode === COMPOSING;
  if (tookEnter || !sends(event)) return;
  event.preventDefault();
  send();
});

// Korean has no candidates to choose from: there Enter ends the syllable and means Enter. Most browsers say so with a
// key of its own before this one, some do not.
box?.addEventListener("keyup", (event) => {
  if (event.code !== "Enter" || event.isComposing || !tookEnter) return;
  tookEnter = false;
  if (HANGUL.test(composed) && sends(event)) send();
});

// A keyboard on a screen that suggests words still holds the last one while the box is emptied, and puts it back.
const GRACE = 300; // milliseconds
let taken = null;

box?.addEventListener("taken", ({ detail }) => {
  taken = isComposing && { body: detail.trimEnd(), at: performance.now() };
  document.getElementById("composer-errors").replaceChildren();
  box.removeAttribute("aria-invalid");
});
box?.addEventListener("input", () => {
  const isBack = taken && performance.now() - taken.at < GRACE && taken.body.endsWith(box.value.trim());
  if (isBack) box.value = "";
  else taken = null;
});

// Said here and not only by the server, so that a whole book is not sent first. By code points, as the server counts.
document.addEventListener(
  "submit",
  (event) => {
    if (event.target !== box?.form) return;
    const [most, count] = [Number(box.dataset.most), Array.from(box.value.trimEnd()).length];
    if (count <= most) return;
    event.preventDefault();
    event.stopPropagation();
    const text = gettext(
      "A message has at most %(most)s characters; this one has %(count)s. Shorten it, or send it in parts.",
    );
    refuse(interpolate(text, { most, count }, true));
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

// The reason is spoken as an alert. Described by it as well, the box that has the focus would say it again.
function markRefused() {
  box.setAttribute("aria-invalid", "true");
  box.setAttribute("aria-describedby", "composer-hint");
}

// From the outbox; or from the server, which sends the reason along.
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
