// Unsent text in the composer belongs to the person who typed it: kept for this tab across reloads, and shown to no one
// else. Browsers may or may not restore forms, whoever is signed in by then.

import { box, composer, room, viewer } from "./page.js";

if (box) keep();

function keep() {
  const [own, last] = [`draft:${viewer}:${room}`, `draft-by:${room}`];
  // Whether drafts are kept here, even if there is none now; and whether the form took the draft, not the outbox.
  const [known, submitted] = [`draft-known:${viewer}:${room}`, `draft-submitted:${viewer}:${room}`];
  // The server returns what it refused.
  const isGivenBack = box.defaultValue.trim() !== "";
  const isForeign = (read(last) ?? viewer) !== viewer;
  // After Back from a form that was sent, perhaps to something other than this site, its text is here again.
  const [{ type } = {}] = performance.getEntriesByType("navigation");
  if (read(submitted) && type !== "back_forward") write(own, "");
  write(submitted, "");
  const draft = read(own);
  // If drafts are kept here they are right: after Back the browser also restores what the outbox has sent since.
  let isTouched = isGivenBack || !(isForeign || read(known));
  putBack();

  // Chromium restores forms only after the scripts have run.
  addEventListener("pageshow", ({ persisted }) => persisted || putBack());

  box.addEventListener("input", save);
  box.addEventListener("returned", save);
  addEventListener("pagehide", save);
  box.addEventListener("taken", () => {
    isTouched = true;
    write(own, "");
    write(known, "yes");
  });
  document.addEventListener("submit", (event) => {
    if (event.target === composer && !event.defaultPrevented) write(submitted, "yes");
  });

  function putBack() {
    if (!isTouched) box.value = draft ?? "";
  }

  function save() {
    if (box.readOnly) return;
    isTouched = true;
    const isDraft = box.value.trim();
    write(own, isDraft ? box.value : "");
    write(known, "yes");
    if (isDraft) write(last, viewer);
  }
}

// Storage may be switched off; then restoring is left to the browser.
function read(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {}
}
