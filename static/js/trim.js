// Keeps a page that is open for days from growing without end: while its reader is at the newest message, the oldest
// ones go, and the link to older messages brings them back.

import { conversation, hasSocket, scroller } from "./page.js";

const template = document.getElementById("older-template");

const MOST = 400; // messages on the page
const KEPT = 200; // after some have gone
const AT_END = 80; // pixels from the end that count as being there

if (conversation && template && hasSocket) {
  new MutationObserver(trim).observe(conversation, { childList: true, subtree: true });
}

function trim() {
  const items = conversation.querySelectorAll("#messages > .message");
  // The list is laid out from its end, so that its scroll position there is 0.
  if (items.length <= MOST || Math.abs(scroller.scrollTop) > AT_END) return;
  const gone = Array.from(items).slice(0, -KEPT);
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
