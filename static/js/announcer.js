// Speaks each new message by somebody else once, author first, in the page's polite live region. History that is
// loaded, one's own messages, edits and deletions are not spoken.

const list = document.getElementById("conversation");
const announce = document.getElementById("announce");
const self = document.getElementById("composer")?.dataset.author;
const PAUSE = 250; // milliseconds between lines: screen readers swallow faster ones
const MOST_LINES = 3; // more than this waiting are told as a number

if (list && document.querySelector("[hx-ws\\:connect]")) speak();

function speak() {
  const queue = [];
  let timer = null;
  let newest = Math.max(0, ...Array.from(list.querySelectorAll("[data-seq]"), (item) => Number(item.dataset.seq)));

  new MutationObserver((records) => {
    const added = records.flatMap((record) => Array.from(record.addedNodes)).filter((node) => node.dataset?.seq);
    for (const item of added) {
      if (Number(item.dataset.seq) <= newest) continue;
      newest = Number(item.dataset.seq);
      if (item.dataset.author !== self) queue.push(item);
    }
    document.getElementById("no-messages")?.remove();
    timer ??= setTimeout(next, 0);
  }).observe(list, { childList: true, subtree: true });

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
}
