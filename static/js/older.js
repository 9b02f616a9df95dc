// Older messages come by themselves when their link is scrolled into view; but not while it has the focus, or what has the
// focus would be pushed out of sight. There it is a link: Enter loads them, and leads to the nearest of them.

let oldest = null;

// Stopped before htmx hears of it, so that "intersect once" still stands for the next time.
document.addEventListener(
  "intersect",
  (event) => {
    if (event.target.id === "older-link" && event.target === document.activeElement) event.stopImmediatePropagation();
  },
  { capture: true },
);

document.addEventListener("click", ({ target }) => {
  if (target.closest("#older-link")) oldest = document.querySelector("#messages > .message");
});

document.addEventListener("htmx:after:swap", () => {
  const nearest = oldest?.previousElementSibling?.querySelector("article");
  if (!nearest) return;
  oldest = null;
  nearest.focus();
});
