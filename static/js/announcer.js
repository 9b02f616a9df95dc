// Speaks in the page's polite live region: messages that arrive, as the room's level wants it, and what other scripts
// have to say ("say" on the document). One line at a time, author first unless the viewer likes another order.

import { composer, emit, filled, live, preferences } from "./page.js";
import { spoken } from "./spoken.js";

const region = document.getElementById("announce");
const { saysChanges } = preferences;
const level = live?.dataset.announces;
// Whom a message names the server says: in each message the words behind an @, and here which of them name the viewer.
const pattern = composer?.dataset.named;
const named = pattern ? new RegExp(pattern, "u") : null;

const PAUSE = 250; // milliseconds between lines: screen readers swallow faster ones
const EMPTY = 50; // milliseconds that the region is empty before the next line
const COLLECTING = 1200; // milliseconds in which what follows a message is collected
const MOST_LINES = 3; // more than this collected are told as a number

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
  // What is left of a burst is told as a number too, however little it is.
  isBurst = items.length > MOST_LINES || (isBurst && items.length > 1);
  arrived = [];
  collecting = items.length ? setTimeout(tell, COLLECTING) : null;
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
  speaking = text === undefined ? null : setTimeout(next, PAUSE);
  if (text === undefined) return;
  // Behind a modal dialog the page's own region is silent.
  const heard = document.querySelector("dialog[open] [aria-live]") ?? region;
  // Emptied first: of a text that turns into another, screen readers may say no more than the letters that differ, and of
  // the same text again nothing.
  heard.textContent = "";
  setTimeout(() => (heard.textContent = text), EMPTY);
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
