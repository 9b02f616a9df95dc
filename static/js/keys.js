// Keyboard shortcuts. Links or the Tab key can do the same; /keys/ lists them. Letters work only outside fields, and
// can be switched off in the preferences.

import { box, emit, preferences } from "./page.js";

const hasLetters = preferences.letters !== "off";

const always = {
  Home: () => focusOn(articles()[0]),
  End: () => focusOn(articles().at(-1)),
  Escape: () => focusOn(document.getElementById("composer-body") ?? document.getElementById("composer-region")),
};
const letters = {
  j: () => step(1),
  k: () => step(-1),
  u: () => focusOn(document.getElementById("first-unread")),
  r: sayAgain,
  "?": () => document.getElementById("keys-link").click(),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (document.querySelector("dialog[open], :popover-open")) return;
  const act = actionOf(event);
  if (act && act() !== false) event.preventDefault();
});

document.getElementById("skip-to-newest")?.addEventListener("click", (event) => {
  if (focusOn(articles().at(-1)) !== false) event.preventDefault();
});

function actionOf(event) {
  if (event.key === "F6") return () => nextRegion(event.shiftKey ? -1 : 1);
  if (event.key === "F8") return sayAgain;
  const isField = event.target.closest("input, textarea, select, [contenteditable]");
  if (isField) return event.key === "Escape" && event.target !== box ? always.Escape : undefined;
  if (event.key in always) return event.shiftKey ? undefined : always[event.key];
  return hasLetters ? letters[letterOf(event)] : undefined;
}

// The key's letter on a Latin keyboard, if the layout has another script.
function letterOf({ key, code }) {
  if (key === "؟") return "?";
  const isOtherLetter = /^\p{L}$/u.test(key) && !/\p{Script=Latin}/u.test(key);
  return (isOtherLetter && code.startsWith("Key") ? code.slice(3) : key).toLowerCase();
}

function articles() {
  return Array.from(document.querySelectorAll("#messages article"));
}

// If no message has focus, up and down both lead to the newest.
function step(by) {
  const all = articles();
  const at = all.indexOf(document.activeElement.closest("article"));
  return focusOn(at < 0 ? all.at(-1) : all[at + by]);
}

function focusOn(element) {
  if (!element) return false;
  element.focus();
  return true;
}

function sayAgain() {
  emit("say-again");
}

// Rooms, conversation, composer, members: those that are visible, in a circle.
function nextRegion(by) {
  const regions = [".rooms-navigation", "#scroller", "#composer-region", "#members-panel"]
    .map((selector) => document.querySelector(selector))
    .filter((region) => region?.checkVisibility());
  const at = regions.findIndex((region) => region.contains(document.activeElement));
  const first = regions.findIndex((region) => region.id === "scroller");
  const region = regions[at < 0 ? first : (at + by + regions.length) % regions.length];
  if (region.id === "scroller") return focusOn(articles().at(-1) ?? region);
  return focusOn(region.querySelector("[aria-current], textarea") ?? region.querySelector("h2[tabindex]") ?? region);
}
