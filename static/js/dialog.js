// A message's own page, opened over the conversation: its link loads it here, and this shows and closes it.

const dialog = document.getElementById("dialog");
const body = document.getElementById("dialog-body");

if (dialog) {
  let opener = null;

  document.addEventListener("htmx:after:swap", () => {
    if (!body.childElementCount || dialog.open) return;
    opener = document.activeElement?.id;
    dialog.showModal();
  });

  // The server says so when an edit or a deletion is done; the change itself comes by the socket.
  // The focus goes back at once: the event of closing comes later, and until then nothing would have it.
  document.addEventListener("message-done", () => {
    dialog.close();
    giveBack();
  });
  dialog.addEventListener("close", giveBack);

  function giveBack() {
    // The message may have been swapped meanwhile; its link has the same id in its new form.
    document.getElementById(opener)?.focus();
    opener = null;
    body.replaceChildren();
  }
}
