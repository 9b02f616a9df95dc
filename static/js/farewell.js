// When a page's person is removed, or its room deleted, the composer goes. What was typed in it stays, to be copied: the
// box itself, so that what the outbox gives back comes into sight as well.

import { box, say } from "./page.js";

const errors = document.getElementById("composer-errors");
const region = document.getElementById("composer-region");

let hadFocus = false;

document.addEventListener("htmx:before:swap", () => {
  hadFocus = document.activeElement === box;
});

// Within the swap, before anything else runs: the next key must not reach a link that leads away.
document.addEventListener("htmx:before:settle", ({ target }) => {
  if (box && target === region && !box.isConnected) keep();
});

function keep() {
  const text = gettext("This was not sent. Copy it before you leave this page.");
  const kept = document.createElement("div");
  const label = document.createElement("label");
  kept.className = "field kept";
  label.htmlFor = box.id;
  label.textContent = text;
  errors.replaceChildren();
  box.readOnly = true;
  box.placeholder = " "; // as long as it is shown there is nothing in the box, and no need of it (composer.css)
  kept.append(errors, label, box);
  region.append(kept);
  const hasText = box.value.trim() !== "";
  if (hasText) say(text);
  if (hadFocus) (hasText ? box : (region.querySelector("a[href]") ?? region)).focus();
}
