// On the sign-out page: unsent messages stay in this browser for when their writer is back, unless they choose to
// remove them from a shared computer.

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
    // Asked for again: another tab may have added some.
    kept().forEach((key) => localStorage.removeItem(key));
    // Drafts as well (draft.js).
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
