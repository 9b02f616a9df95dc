// Notices each new message by somebody else once, and says so as "message-arrived" on the document. History that is
// loaded, one's own messages, edits and deletions are no arrivals.

const conversation = document.getElementById("conversation");
const self = document.getElementById("composer")?.dataset.author;

if (conversation && document.querySelector("[hx-ws\\:connect]")) watch();

function watch() {
  let newest = Math.max(0, ...Array.from(conversation.querySelectorAll("[data-seq]"), (item) => Number(item.dataset.seq)));

  new MutationObserver((records) => {
    const added = records.flatMap((record) => Array.from(record.addedNodes)).filter((node) => node.dataset?.seq);
    document.getElementById("no-messages")?.remove();
    for (const item of added) {
      if (Number(item.dataset.seq) <= newest) continue;
      newest = Number(item.dataset.seq);
      if (item.dataset.author === self) continue;
      document.dispatchEvent(new CustomEvent("message-arrived", { detail: item }));
    }
  }).observe(conversation, { childList: true, subtree: true });
}
