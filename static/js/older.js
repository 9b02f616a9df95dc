// Loads older messages when their link is scrolled into view. Not when that would push what is being read out of view:
// while the link has focus, and in a low window, where the page scrolls instead of the conversation. Pressed, the link
// loads them and moves focus to the nearest one.

import { scroller } from "./page.js";

let oldest = null;

// Stopped before htmx hears it, so that "intersect once" still applies the next time.
document.addEventListener(
  "intersect",
  (event) => {
    if (event.target.id === "older-link" && !isAutomatic(event.target)) event.stopImmediatePropagation();
  },
  { capture: true },
);

function isAutomatic(link) {
  return getComputedStyle(scroller).overflowY !== "visible" && link !== document.activeElement;
}

// After a failure they are requested again when the link is scrolled into view again.
let hasLeft = false;
const failed = new IntersectionObserver((entries) => {
  const { target, isIntersecting } = entries.at(-1);
  if (!isIntersecting) hasLeft = true;
  else if (hasLeft && isAutomatic(target)) {
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

// After a failure, messages that are loaded automatically later must not take focus.
document.addEventListener("htmx:finally:request", ({ detail }) => {
  if (detail.ctx.sourceElement.id === "older-link") oldest = null;
});

document.addEventListener("htmx:after:swap", () => {
  const nearest = oldest?.previousElementSibling?.querySelector("article");
  if (!nearest) return;
  oldest = null;
  nearest.focus();
});
