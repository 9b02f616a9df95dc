// What was in view in a visible tab counts as read. Tells the server how far that is, shows the number of unread
// messages in the title and, where an older part is shown, refreshes the numbers in the list of rooms.

import { author, conversation, hasSocket, live, token, viewer } from "./page.js";

const { read: address, unread: unreadAtFirst, seen: seenAtFirst } = live?.dataset ?? {};
const rooms = document.getElementById("rooms");

const FIRST_PAUSE_MS = 1000; // until the server is told; it doubles each time, up to the maximum
const MAX_PAUSE_MS = 15000;
const MAX_UNANSWERED_PAUSE_MS = 300000; // while the server does not answer
const TIMEOUT_MS = 10000;
const ROOMS_PAUSE_MS = 60000; // between refreshes of the list of rooms

let seen = Number(seenAtFirst ?? 0); // the highest number that was in view
let told = seen; // and the one that the server has confirmed
let isTelling = false;
let pause = FIRST_PAUSE_MS;
let timer = null;
const inView = new Set();
// The title without a count, and as it was last shown.
let plain = live?.dataset.title ?? document.title;
let shown = document.title;
// Unread messages above those on this page.
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

  // The numbers after it are used again, for other messages.
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

// On other pages they come by the socket.
if (!hasSocket) {
  document.addEventListener("visibilitychange", refreshRooms);
  setInterval(refreshRooms, ROOMS_PAUSE_MS);
}

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
  pause = Math.min(pause, MAX_PAUSE_MS);
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
  pause = Math.min(pause * 2, isKnown ? MAX_PAUSE_MS : MAX_UNANSWERED_PAUSE_MS);
  if (isKnown) told = Math.max(told, seq);
  tellSoon();
}

// The page may be gone before a request under way is answered.
function tellAtOnce() {
  if (isTelling) isTaken(seen);
  else tell();
}

async function isTaken(seq) {
  const body = new URLSearchParams({ seq, viewer, csrfmiddlewaretoken: token() });
  try {
    const response = await fetch(address, { method: "POST", body, keepalive: true, signal: AbortSignal.timeout(TIMEOUT_MS) });
    // Any other answer is a refusal, or not from this site.
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
  // Browsers strip white space from titles.
  shown = document.title;
  document.querySelector("#rooms [aria-current] .unread")?.remove();
}

function refreshRooms() {
  if (!document.hidden && rooms) htmx.trigger(rooms, "refresh");
}
