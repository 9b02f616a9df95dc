// When the viewer is removed or the room deleted, the composer goes. What was typed stays, to be copied: in the box
// itself, so that what the outbox returns is seen as well.

import { box, say } from "./page.js";

const errors = document.getElementById("composer-errors");
const region = document.getElementById("composer-region");

let hadFocus = false;

document.addEventListener("htmx:before:swap", () => {
  hadFocus = document.activeElement === box;
});

// During the swap, before anything else runs: the next key must not reach a link that leads away.
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
  box.placeholder = " "; // composer.css hides an empty box by this
  kept.append(errors, label, box);
  region.append(kept);
  const hasText = box.value.trim() !== "";
  if (hasText) say(text);
  if (hadFocus) (hasText ? box : (region.querySelector("a[href]") ?? region)).focus();
}
