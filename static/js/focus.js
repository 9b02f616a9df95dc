// Keeps focus: when the focused element is removed or replaced, focus moves to its successor.

import { isFocusLost } from "./page.js";

let last = null;

document.addEventListener("focusin", ({ target }) => {
  const message = target.closest("[data-seq]");
  const region = target.closest("#composer-region, #members-panel, .rooms-navigation, dialog");
  last = { target, id: target.id, seq: Number(message?.dataset.seq ?? 0), region };
});

new MutationObserver(() => {
  if (!last || !isFocusLost() || last.target.isConnected) return;
  const place = document.getElementById(last.id) ?? neighbour(last.seq) ?? inRegion(last.region) ?? document.getElementById("main");
  place.focus({ preventScroll: !place.closest("dialog") });
}).observe(document.body, { childList: true, subtree: true });

// The message nearest to the number.
function neighbour(seq) {
  if (!seq) return null;
  const distance = (item) => Math.abs(Number(item.dataset.seq) - seq);
  const items = Array.from(document.querySelectorAll("#messages [data-seq]"));
  return items.sort((a, b) => distance(a) - distance(b))[0]?.querySelector("article");
}

function inRegion(region) {
  if (!region?.isConnected) return null;
  // A refused field is read out with the reason.
  return region.querySelector("[aria-invalid=true]") ?? region.querySelector("textarea, a[href], button, [tabindex]") ?? region;
}
