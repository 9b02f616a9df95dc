// What was in view in a visible tab counts as read. Tells the server how far that is, says in the title how much is
// not, and keeps the numbers in the list of rooms fresh.

const conversation = document.getElementById("conversation");
const { read: address, unread: unreadAtFirst } = document.querySelector(".live")?.dataset ?? {};
const rooms = document.getElementById("rooms");
const self = document.getElementById("composer")?.dataset.author;
const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value;

const PAUSE = 1000; // milliseconds until the server is told, at first; then twice as long each time, up to the longest
const LONGEST_PAUSE = 15000;
const ROOMS_PAUSE = 60000; // milliseconds between two looks at the other rooms
const HOUR = 3600; // seconds

let seen = 0; // the highest number that was in view
let told = 0; // and the one that the server knows of
let pause = PAUSE;
let timer = null;
const inView = new Set();
// What stands before the room's name in the title; a name may begin with brackets of its own.
let prefix = Number(unreadAtFirst) ? document.title.slice(0, document.title.indexOf(") ") + 2) : "";

if (conversation && address) {
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
  document.querySelector(".live").addEventListener("went-back", ({ detail }) => {
    seen = Math.min(seen, detail.head);
    told = Math.min(told, detail.head);
  });

  document.addEventListener("visibilitychange", () => (document.hidden ? tell() : look()));
  addEventListener("pagehide", tell);
  // A frame may bring the room's new name as the title.
  document.addEventListener("htmx:after:swap", showCount);
}

keepCookie();
document.addEventListener("visibilitychange", keepCookie);
document.addEventListener("visibilitychange", refreshRooms);
setInterval(refreshRooms, ROOMS_PAUSE);

function look() {
  if (!document.hidden) {
    for (const item of inView) seen = Math.max(seen, Number(item.dataset.seq));
    if (seen > told) timer ??= setTimeout(tell, pause);
  }
  showCount();
}

function tell() {
  clearTimeout(timer);
  timer = null;
  if (seen <= told) return;
  const body = new URLSearchParams({ seq: seen, csrfmiddlewaretoken: token });
  told = seen;
  pause = Math.min(pause * 2, LONGEST_PAUSE);
  // Where it fails the next message in view tells it.
  fetch(address, { method: "POST", body, keepalive: true }).catch(() => {});
}

function showCount() {
  const items = Array.from(conversation.querySelectorAll("[data-seq]"));
  const unread = items.filter((item) => Number(item.dataset.seq) > seen && item.dataset.author !== self).length;
  const plain = document.title.startsWith(prefix) ? document.title.slice(prefix.length) : document.title;
  prefix = unread ? `(${interpolate(ngettext("%s unread", "%s unread", unread), [unread])}) ` : "";
  if (document.title !== prefix + plain) document.title = prefix + plain;
  document.querySelector("#rooms [aria-current] .unread")?.remove();
}

function refreshRooms() {
  if (!document.hidden && rooms) htmx.trigger(rooms, "refresh");
}

// So that the server leaves it to this script to say what was read.
function keepCookie() {
  document.cookie = `scripts=run; path=/; max-age=${HOUR}; samesite=lax`;
}
