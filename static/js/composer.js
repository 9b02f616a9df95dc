// Enter sends, Shift and Enter makes a new line; not while an input method composes a character, and not on a
// screen's own keyboard, which has no Shift and Enter.

const box = document.getElementById("composer-body");

box?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(hover: none)").matches) return;
  event.preventDefault();
  if (box.value.trim()) box.form.requestSubmit();
});
