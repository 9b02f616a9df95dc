// htmx swaps in only answers with our own mark (apps/core/answers.py) that were made for this page's viewer and are
// still wanted. A proxy's page, a sign-in page, a refusal or no answer at all becomes a message beside what was asked
// for; what was typed stays and can be sent again.

import { say, signInLink, token, viewer } from "./page.js";

const bar = document.getElementById("refusal");

const NO_ANSWER = gettext("No answer came from the server. Try again in a moment.");
const NOT_OURS = gettext("Something else answered in place of this site (%s), perhaps your network. Try again in a moment.");
const TOO_MUCH = gettext("That was more than this site takes at once. Shorten it, and try again.");
const SOMEBODY_ELSE = gettext("Somebody else is signed in now, in another tab. Reload this page to go on.");
const NOT_STORED = gettext("Your change was not stored.");
const KEPT = gettext("What you typed is still here.");

// The latest request for each place: an earlier one that is answered late is no longer wanted there.
const latest = new WeakMap();

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (token() && ctx.request.body.has("csrfmiddlewaretoken")) ctx.request.body.set("csrfmiddlewaretoken", token());
});

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  clear(ctx);
  if (!formOf(ctx)) latest.set(ctx.target, ctx);
});

document.addEventListener("htmx:before:response", (event) => {
  const { ctx } = event.detail;
  const { raw } = ctx.response;
  const kind = raw.headers.get("Parley-Answer");
  const isForUs = raw.headers.get("Parley-Viewer") === viewer;
  if (kind === "fragment" && isForUs && isWanted(ctx)) return;
  event.preventDefault();
  // Its headers might otherwise redirect the page or close the dialog.
  ctx.hx = {};
  if (kind === "refusal" || kind === "signed-out") raw.text().then((text) => tell(ctx, text, kind), () => tell(ctx, NO_ANSWER));
  else if (kind !== "fragment") tell(ctx, raw.status === 413 ? TOO_MUCH : interpolate(NOT_OURS, [raw.status]));
  else if (!isForUs) tell(ctx, SOMEBODY_ELSE);
  else if (raw.status >= 400) tell(ctx, NOT_STORED);
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => ctx && tell(ctx, NO_ANSWER));

function formOf({ sourceElement }) {
  return sourceElement.matches("form") ? sourceElement : null;
}

// Before a form in the dialog is answered, another message may have been opened there.
function isWanted(ctx) {
  const form = formOf(ctx);
  return form ? form.isConnected : latest.get(ctx.target) === ctx;
}

function tell(ctx, text, kind) {
  const form = formOf(ctx);
  if (!form && latest.get(ctx.target) !== ctx) return;
  const note = ctx.sourceElement.dataset.note && document.getElementById(ctx.sourceElement.dataset.note);
  if (note) return tellQuietly(note, text);
  const box = document.createElement("div");
  box.className = "refusal";
  const typed = Array.from(form?.querySelectorAll("textarea:not([readonly])") ?? []).filter(({ value }) => value.trim());
  box.append(alertOf(typed.length ? `${text} ${KEPT}` : text));
  if (kind === "signed-out") {
    const link = signInLink();
    link.className = "button button-quiet";
    box.append(link);
  }
  if (form?.isConnected) {
    (form.querySelector(".actions") ?? form.querySelector("button")).before(box);
    return;
  }
  box.append(...typed.map(copyOf));
  if (!form && ctx.sourceElement.isConnected) box.append(button(gettext("Try again"), () => tryAgain(ctx.sourceElement)));
  box.append(button(gettext("Close"), () => close(box, ctx.sourceElement)));
  forgetWords();
  bar.append(box);
}

// The bar disappears with the button that was pressed, so focus returns to where it was before.
function tryAgain(link) {
  link.focus();
  link.click();
}

function close(box, source) {
  (source.isConnected ? source : document.getElementById("composer-body"))?.focus();
  box.remove();
}

// For what the page asks for automatically, again and again: said once for as long as it fails.
function tellQuietly(note, text) {
  if (!note.textContent && document.getElementById("connection-status").hidden) say(text);
  note.textContent = text;
}

function clear(ctx) {
  formOf(ctx)?.querySelector(".refusal")?.remove();
  if (!ctx.sourceElement.dataset.note) forgetWords();
}

// A returned text stays until its writer closes it: there is no other copy.
function forgetWords() {
  for (const box of Array.from(bar.children)) if (!box.querySelector("textarea")) box.remove();
}

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  const { note } = ctx.sourceElement?.dataset ?? {};
  if (note) document.getElementById(note).textContent = "";
});

function alertOf(text) {
  const words = document.createElement("p");
  words.className = "error";
  words.setAttribute("role", "alert");
  words.textContent = text;
  return words;
}

function button(text, act) {
  const one = document.createElement("button");
  one.type = "button";
  one.className = "button button-quiet";
  one.textContent = text;
  one.addEventListener("click", act);
  return one;
}

function copyOf({ value }) {
  const copy = document.createElement("textarea");
  copy.readOnly = true;
  copy.dir = "auto";
  copy.rows = 3;
  copy.setAttribute("aria-label", gettext("What you typed"));
  copy.value = value;
  return copy;
}
