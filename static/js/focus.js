// Focus is never lost: where what had it is taken off the page or replaced, it goes to what has taken its place.

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

// The message that is nearest to where the number was.
function neighbour(seq) {
  if (!seq) return null;
  const distance = (item) => Math.abs(Number(item.dataset.seq) - seq);
  const items = Array.from(document.querySelectorAll("#messages [data-seq]"));
  return items.sort((a, b) => distance(a) - distance(b))[0]?.querySelector("article");
}

function inRegion(region) {
  if (!region?.isConnected) return null;
  // What a form was refused for is read out with its field.
  return region.querySelector("[aria-invalid=true]") ?? region.querySelector("textarea, a[href], button, [tabindex]") ?? region;
}
