// What stands in the composer and was not sent belongs to who typed it: kept for this tab over a reload, and given back
// to nobody else. Browsers restore forms by themselves, or do not, whoever is signed in by then.

import { box, composer, room, viewer } from "./page.js";

if (box) keep();

function keep() {
  const [own, last] = [`draft:${viewer}:${room}`, `draft-by:${room}`];
  // That drafts are kept here, even if there is none; and that the form took the draft away, not the outbox.
  const [known, submitted] = [`draft-known:${viewer}:${room}`, `draft-submitted:${viewer}:${room}`];
  // The server gives back what it refused.
  const isGivenBack = box.defaultValue.trim() !== "";
  const isForeign = (read(last) ?? viewer) !== viewer;
  // Back, after a form that went, perhaps came to something else than this site: then its text is here again.
  const [{ type } = {}] = performance.getEntriesByType("navigation");
  if (read(submitted) && type !== "back_forward") write(own, "");
  write(submitted, "");
  const draft = read(own);
  // What is known here is right: by Back the browser also restores what the outbox has sent since.
  let isTouched = isGivenBack || !(isForeign || read(known));
  putBack();

  // Chromium restores what it restores only after the scripts have run.
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

// Storage may be switched off; then it is left to the browser.
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
