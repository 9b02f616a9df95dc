// Speaks in the page's polite live region: new messages, as the viewer's level for the room says, and what other
// scripts have to say ("say" on the document). One line at a time.

import { composer, emit, filled, live, preferences } from "./page.js";
import { spoken } from "./spoken.js";

const region = document.getElementById("announce");
const { saysChanges } = preferences;
const level = live?.dataset.announces;
// The server decides who is named (mentions.py): each message has the words that follow an @, and this pattern matches
// those that name the viewer.
const pattern = composer?.dataset.named;
const named = pattern ? new RegExp(pattern, "u") : null;

const PAUSE_MS = 250; // between lines: screen readers drop faster ones
const EMPTY_MS = 50; // before the next line
const COLLECTING_MS = 1200; // after a message, to announce those that follow together
const MAX_LINES = 3; // more are announced as a count

const lines = [];
let arrived = [];
let collecting = null;
let isBurst = false;
let speaking = null;
let last = "";

document.addEventListener("say", ({ detail }) => speak(detail));
document.addEventListener("say-again", () => speak(last || gettext("Nothing has been announced yet.")));

document.addEventListener("message-arrived", ({ detail }) => {
  if (level === "off" || (level === "mentions" && !names(detail))) return;
  arrived.push(detail);
  collecting ??= setTimeout(tell, 0);
});

document.addEventListener("message-changed", ({ detail }) => {
  if (!saysChanges) return;
  const isDeleted = detail.classList.contains("deleted");
  speak(`${isDeleted ? gettext("Deleted") : gettext("Edited")}: ${line(detail)}`);
});

function tell() {
  const items = arrived;
  // The rest of a burst is counted too, however small it is.
  isBurst = items.length > MAX_LINES || (isBurst && items.length > 1);
  arrived = [];
  collecting = items.length ? setTimeout(tell, COLLECTING_MS) : null;
  if (!items.length) return;
  if (!isBurst && level !== "count") items.map(line).forEach(speak);
  else speak(interpolate(ngettext("%s new message", "%s new messages", items.length), [items.length]));
}

function speak(text) {
  lines.push(text);
  speaking ??= setTimeout(next, 0);
}

function next() {
  const text = lines.shift();
  speaking = text === undefined ? null : setTimeout(next, PAUSE_MS);
  if (text === undefined) return;
  // Behind a modal dialog the page's own region is silent.
  const heard = document.querySelector("dialog[open] [aria-live]") ?? region;
  // Emptied first: otherwise screen readers may say only the letters that differ, and nothing if the text is the same.
  heard.textContent = "";
  setTimeout(() => (heard.textContent = text), EMPTY_MS);
  if (text !== last) emit("announced", text);
  last = text;
}

function line(item) {
  const [author, time] = [".author", ".meta time"].map((part) => item.querySelector(part).textContent.trim());
  return filled(live.dataset.line, { author, time, text: spoken(item.querySelector(".body")) });
}

function names({ dataset: { mentions } }) {
  return Boolean(named && mentions?.split(" ").some((word) => named.test(word)));
}
