// Speaks each message that arrives once, author first, in the page's polite live region.

const announce = document.getElementById("announce");
const PAUSE = 250; // milliseconds between lines: screen readers swallow faster ones
const MOST_LINES = 3; // more than this waiting are told as a number

const queue = [];
let timer = null;

document.addEventListener("message-arrived", ({ detail }) => {
  queue.push(detail);
  timer ??= setTimeout(next, 0);
});

function next() {
  timer = null;
  if (!queue.length) return;
  const text = queue.length > MOST_LINES ? `${queue.splice(0).length} new messages` : line(queue.shift());
  // The same text again would be no change, and so not be spoken: a space that nobody hears makes it one.
  announce.textContent = text === announce.textContent ? `${text}\u00a0` : text;
  timer = setTimeout(next, PAUSE);
}

function line(item) {
  return `${item.querySelector(".author").textContent.trim()}: ${item.querySelector(".body").textContent.trim()}`;
}
