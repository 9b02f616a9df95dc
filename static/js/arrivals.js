// Notices each new message of other people once ("message-arrived" on the document), and each of theirs that is edited
// or deleted ("message-changed"). Loaded history and the viewer's own messages are neither.

import { author, conversation, emit, hasSocket, live } from "./page.js";

if (conversation && hasSocket) watch();

function watch() {
  const versions = new Map();
  const items = Array.from(conversation.querySelectorAll("[data-seq]"));
  items.forEach(remember);
  let newest = Math.max(0, ...items.map((item) => Number(item.dataset.seq)));

  // The numbers after it are used again, for other messages.
  live.addEventListener("went-back", ({ detail }) => {
    newest = detail.head;
    versions.clear();
  });

  new MutationObserver((records) => {
    const added = records.flatMap((record) => Array.from(record.addedNodes)).filter((node) => node.dataset?.seq);
    document.getElementById("no-messages")?.remove();
    for (const item of added) {
      const isNew = Number(item.dataset.seq) > newest;
      const isChanged = versions.has(item.id) && versions.get(item.id) < Number(item.dataset.version);
      remember(item);
      // The viewer's own message may arrive before others' that belong above it.
      if (item.dataset.author !== author) newest = Math.max(newest, Number(item.dataset.seq));
      if (item.dataset.author !== author && (isNew || isChanged)) {
        emit(isNew ? "message-arrived" : "message-changed", item);
      }
    }
  }).observe(conversation, { childList: true, subtree: true });

  function remember(item) {
    versions.set(item.id, Number(item.dataset.version));
  }
}
