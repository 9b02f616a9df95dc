// A message's own page in a dialog over the conversation: its link loads it here. Unsaved text is there again when it
// is reopened.

const dialog = document.getElementById("dialog");
const body = document.getElementById("dialog-body");

if (dialog) {
  let opener = null;
  // By the form's address: the text, and the version of the message it was typed for.
  const unsaved = new Map();

  // What is swapped into an open dialog is the form again, refused.
  let isRefused = false;

  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    if (dialog.open && ctx.target === body) isRefused = true;
    if (!body.childElementCount || dialog.open) return;
    isRefused = false;
    opener = document.activeElement?.id;
    dialog.showModal();
    putBack();
  });

  // Sent by the server when an edit or a deletion is done; the change itself comes by the socket. Focus returns at
  // once: the close event comes later, and until then nothing would have it.
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

  // What has been sent comes back if it is refused (answers.js).
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
    // The message may have been swapped since; its new link has the same id.
    document.getElementById(opener)?.focus();
    opener = null;
    body.replaceChildren();
  }
}
