// A panel of what was announced on this page, newest first. Without it, the link leads to a page with the same.

import { isFocusLost } from "./page.js";

const link = document.getElementById("announced-link");
const panel = document.getElementById("announced");
const MAX_LINES = 50;

if (link && panel && "popover" in HTMLElement.prototype) {
  const list = panel.querySelector("ol");

  document.addEventListener("announced", ({ detail }) => {
    const line = document.createElement("li");
    line.dir = "auto";
    line.textContent = detail;
    list.prepend(line);
    if (list.children.length > MAX_LINES) list.lastElementChild.remove();
    panel.querySelector(".empty").hidden = true;
  });

  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    panel.showPopover();
    panel.querySelector("h2").focus();
  });

  panel.addEventListener("toggle", ({ newState }) => {
    if (newState === "closed" && (isFocusLost() || panel.contains(document.activeElement))) link.focus();
  });
}
