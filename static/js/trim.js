// Keeps a page that is open for days from growing endlessly: while the newest message is in view, the oldest ones are
// removed; the link to older messages brings them back.

import { conversation, hasSocket, scroller } from "./page.js";

const template = document.getElementById("older-template");

const MAX_MESSAGES = 400;
const KEPT_MESSAGES = 200; // when there were more
const AT_END_PIXELS = 80; // from the end count as being there

if (conversation && template && hasSocket) {
  new MutationObserver(trim).observe(conversation, { childList: true, subtree: true });
}

function trim() {
  const items = conversation.querySelectorAll("#messages > .message");
  // The list is laid out from its end, where its scroll position is 0.
  if (items.length <= MAX_MESSAGES || Math.abs(scroller.scrollTop) > AT_END_PIXELS) return;
  const gone = Array.from(items).slice(0, -KEPT_MESSAGES);
  if (gone.some((item) => item.contains(document.activeElement))) return;
  const first = items[gone.length];
  const days = conversation.querySelectorAll("h2.day");
  const day = Array.from(days).findLast((one) => one.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING);
  const older = document.getElementById("older");
  older.replaceChildren(template.content.cloneNode(true));
  const link = older.querySelector("a");
  for (const name of ["href", "hx-get"]) {
    link.setAttribute(name, link.getAttribute(name).replace("before=0", `before=${first.dataset.seq}`));
  }
  if (day && !first.contains(day)) older.append(day.cloneNode(true));
  for (const item of gone) item.remove();
  htmx.process(older);
}
