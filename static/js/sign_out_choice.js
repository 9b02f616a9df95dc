// On the page for signing out: what was written here and waits to be sent belongs to who wrote it, and stays for when
// they are back. Who shares the computer takes it away instead.

import { prefixOf } from "./entries.js";

const { viewer } = document.documentElement.dataset;
const choice = document.getElementById("waiting");
const count = kept().length;

if (choice && count) {
  const text = ngettext(
    "%s message that you wrote here is not sent yet. It is kept in this browser, and sent when you sign in again and open its room.",
    "%s messages that you wrote here are not sent yet. They are kept in this browser, and sent when you sign in again and open their rooms.",
    count,
  );
  choice.querySelector("p").textContent = interpolate(text, [count]);
  choice.hidden = false;
  choice.closest("form").addEventListener("submit", () => {
    if (!choice.querySelector("input").checked) return;
    // What waits by then: another tab may have written more meanwhile.
    kept().forEach((key) => localStorage.removeItem(key));
    // Drafts as well (draft.js), which others would not be shown.
    sessionStorage.clear();
  });
}

function kept() {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefixOf(viewer)));
  } catch {
    return [];
  }
}
