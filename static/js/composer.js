// Enter sends, Shift and Enter makes a new line; not while an input method composes a character.

const box = document.getElementById("composer-body");

box?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (box.value.trim()) box.form.requestSubmit();
});
