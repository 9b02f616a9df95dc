// A message's own page, opened over the conversation: its link loads it here, and this shows and closes it. What was typed
// in it and not saved is there again when it is opened again.

const dialog = document.getElementById("dialog");
const body = document.getElementById("dialog-body");

if (dialog) {
  let opener = null;
  // By the form's address: its text, and the version of the message that it was typed for.
  const unsaved = new Map();

  // What comes into an open dialog is the form again, refused.
  let isRefused = false;

  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    if (dialog.open && ctx.target === body) isRefused = true;
    if (!body.childElementCount || dialog.open) return;
    isRefused = false;
    opener = document.activeElement?.id;
    dialog.showModal();
    putBack();
  });

  // The server says so when an edit or a deletion is done; the change itself comes by the socket.
  // The focus goes back at once: the event of closing comes later, and until then nothing would have it.
  document.addEventListener("message-done", () => {
    unsaved.delete(form()?.action);
    dialog.close();
    giveBack();
  });
  dialog.addEventListener("close", () => {
    keep();
    giveBack();
  });

  function form() {
    return body.querySelector("form:has(textarea[name])");
  }

  // What is on its way comes back by itself if it is refused (answers.js).
  function keep() {
    if (!form()) return;
    const { action, elements } = form();
    const isChanged = isRefused || elements.body.value !== elements.body.defaultValue;
    if (isChanged && !form().matches(".htmx-request")) {
      unsaved.set(action, { body: elements.body.value, version: elements.version.value });
    } else unsaved.delete(action);
  }

  function putBack() {
    const kept = unsaved.get(form()?.action);
    if (!kept) return;
    const { elements } = form();
    for (const [name, value] of Object.entries(kept)) elements[name].value = value;
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = gettext("What you typed is still here.");
    hint.id = "kept-edit";
    elements.body.before(hint);
    elements.body.setAttribute("aria-describedby", hint.id);
  }

  function giveBack() {
    // The message may have been swapped meanwhile; its link has the same id in its new form.
    document.getElementById(opener)?.focus();
    opener = null;
    body.replaceChildren();
  }
}
