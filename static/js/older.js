// Older messages come by themselves when their link is scrolled into view. Not where they would push out of sight what one
// looks at: while the link has the focus, and in a low window, where the page scrolls and not the conversation. There it is
// a link: pressed, it loads them and leads to the nearest of them.

import { scroller } from "./page.js";

let oldest = null;

// Stopped before htmx hears of it, so that "intersect once" still stands for the next time.
document.addEventListener(
  "intersect",
  (event) => {
    if (event.target.id === "older-link" && !comeByThemselves(event.target)) event.stopImmediatePropagation();
  },
  { capture: true },
);

function comeByThemselves(link) {
  return getComputedStyle(scroller).overflowY !== "visible" && link !== document.activeElement;
}

// What did not come is asked for again when the link is scrolled into view again.
let hasLeft = false;
const failed = new IntersectionObserver((entries) => {
  const { target, isIntersecting } = entries.at(-1);
  if (!isIntersecting) hasLeft = true;
  else if (hasLeft && comeByThemselves(target)) {
    failed.disconnect();
    htmx.trigger(target, "again");
  }
});

document.addEventListener("htmx:finally:request", ({ detail }) => {
  const link = detail.ctx.sourceElement;
  if (link.id !== "older-link" || !link.isConnected) return;
  hasLeft = false;
  failed.disconnect();
  failed.observe(link);
});

document.addEventListener("click", ({ target }) => {
  if (target.closest("#older-link")) oldest = document.querySelector("#messages > .message");
});

// Where they did not come, what comes later by itself must not take the focus there.
document.addEventListener("htmx:finally:request", ({ detail }) => {
  if (detail.ctx.sourceElement.id === "older-link") oldest = null;
});

document.addEventListener("htmx:after:swap", () => {
  const nearest = oldest?.previousElementSibling?.querySelector("article");
  if (!nearest) return;
  oldest = null;
  nearest.focus();
});
