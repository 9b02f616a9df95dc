// What stands in the composer and was not sent belongs to who typed it: kept for this tab over a reload, and given back
// to nobody else. Browsers restore forms by themselves, or do not, whoever is signed in by then.

const composer = document.getElementById("composer");
const box = document.getElementById("composer-body");

if (box) keep(composer.dataset.room, composer.elements.viewer.value);

function keep(room, viewer) {
  const [own, last] = [`draft:${viewer}:${room}`, `draft-by:${room}`];
  // The server gives back what it refused.
  const isGivenBack = box.defaultValue.trim() !== "";
  const isForeign = (read(last) ?? viewer) !== viewer;
  const draft = read(own);
  let isTouched = isGivenBack || !(isForeign || draft);
  putBack();

  // Chromium restores what it restores only after the scripts have run.
  addEventListener("pageshow", ({ persisted }) => persisted || putBack());

  box.addEventListener("input", save);
  box.addEventListener("returned", save);
  addEventListener("pagehide", save);
  // The outbox has it now; without it the form does, and is restored by Back.
  box.addEventListener("taken", () => {
    isTouched = true;
    write(own, "");
  });
  let sent = null;
  document.addEventListener("submit", (event) => {
    if (event.target === composer && !event.defaultPrevented) sent = box.value;
  });

  function putBack() {
    if (!isTouched) box.value = draft ?? "";
  }

  function save() {
    if (box.readOnly) return;
    isTouched = true;
    const isDraft = box.value.trim() && box.value !== sent;
    write(own, isDraft ? box.value : "");
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
