// What was in view in a visible tab counts as read. Tells the server how far that is until it has heard, says in the
// title how much is not read, and keeps the numbers in the list of rooms fresh.

import { author, conversation, live, token, viewer } from "./page.js";

const { read: address, unread: unreadAtFirst, seen: seenAtFirst } = live?.dataset ?? {};
const rooms = document.getElementById("rooms");

const PAUSE = 1000; // milliseconds until the server is told, at first; then twice as long each time, up to the longest
const LONGEST_PAUSE = 15000;
const LONGEST_UNHEARD = 300000; // the longest while the server does not answer
const LONGEST = 10000; // milliseconds that it may take
const ROOMS_PAUSE = 60000; // milliseconds between two looks at the other rooms

let seen = Number(seenAtFirst ?? 0); // the highest number that was in view
let told = seen; // and the one that the server has said it knows of
let isTelling = false;
let pause = PAUSE;
let timer = null;
const inView = new Set();
// The title without a count, and as it was last shown.
let plain = live?.dataset.title ?? document.title;
let shown = document.title;
// Unread messages that stand above those of this page.
let above = 0;

if (conversation && address) {
  above = Math.max(0, Number(unreadAtFirst) - countUnread());
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inView.add(target);
      else inView.delete(target);
    }
    look();
  });
  const observe = (node) => node.dataset?.seq && observer.observe(node);
  conversation.querySelectorAll("[data-seq]").forEach(observe);
  new MutationObserver((records) => {
    for (const record of records) {
      record.addedNodes.forEach(observe);
      record.removedNodes.forEach((node) => inView.delete(node));
    }
    look();
  }).observe(conversation, { childList: true, subtree: true });

  // Its numbers are given anew, to other messages.
  live.addEventListener("went-back", ({ detail }) => {
    seen = Math.min(seen, detail.head);
    told = Math.min(told, detail.head);
  });

  document.addEventListener("visibilitychange", () => (document.hidden ? tellAtOnce() : tryAgain()));
  addEventListener("online", tryAgain);
  live.addEventListener("htmx:ws:after:connection", tryAgain);
  addEventListener("pagehide", tellAtOnce);
  // A frame may bring the room's new name as the title.
  document.addEventListener("htmx:after:swap", showCount);
}

document.addEventListener("visibilitychange", refreshRooms);
setInterval(refreshRooms, ROOMS_PAUSE);

function look() {
  if (!document.hidden) {
    for (const item of inView) seen = Math.max(seen, Number(item.dataset.seq));
    tellSoon();
  }
  showCount();
}

function tryAgain() {
  clearTimeout(timer);
  timer = null;
  pause = Math.min(pause, LONGEST_PAUSE);
  look();
  tellSoon();
}

function tellSoon() {
  if (seen > told && !isTelling) timer ??= setTimeout(tell, pause);
}

async function tell() {
  clearTimeout(timer);
  timer = null;
  if (seen <= told || isTelling) return;
  const seq = seen;
  isTelling = true;
  const isKnown = await isTaken(seq);
  isTelling = false;
  pause = Math.min(pause * 2, isKnown ? LONGEST_PAUSE : LONGEST_UNHEARD);
  if (isKnown) told = Math.max(told, seq);
  tellSoon();
}

// The page may not be there any more when what is under way is answered.
function tellAtOnce() {
  if (isTelling) isTaken(seen);
  else tell();
}

async function isTaken(seq) {
  const body = new URLSearchParams({ seq, viewer, csrfmiddlewaretoken: token() });
  try {
    const response = await fetch(address, { method: "POST", body, keepalive: true, signal: AbortSignal.timeout(LONGEST) });
    // Anything else comes from somebody else, or is a refusal.
    return response.headers.get("Parley-Answer") === "done";
  } catch {
    return false;
  }
}

function countUnread() {
  const items = Array.from(conversation.querySelectorAll("[data-seq]:not(.deleted)"));
  return items.filter((item) => Number(item.dataset.seq) > seen && item.dataset.author !== author).length;
}

function showCount() {
  if (document.title !== shown) plain = document.title;
  if (seen > Number(seenAtFirst)) above = 0;
  const unread = above + countUnread();
  const prefix = unread ? `(${interpolate(ngettext("%s unread", "%s unread", unread), [unread])}) ` : "";
  shown = prefix + plain;
  if (document.title !== shown) document.title = shown;
  // What is stripped from a title when it is set counts as the same.
  shown = document.title;
  document.querySelector("#rooms [aria-current] .unread")?.remove();
}

function refreshRooms() {
  if (!document.hidden && rooms) htmx.trigger(rooms, "refresh");
}
