// Enter sends, Shift and Enter makes a new line; or, for who prefers it so, Enter makes a new line, Ctrl and Enter
// sends. Not while an input method composes a character, and not on a screen's own keyboard, which has no such keys.

const box = document.getElementById("composer-body");
const enterMakesLine = document.documentElement.dataset.enter === "line";

if (box && matchMedia("(hover: hover)").matches) {
  const hint = enterMakesLine
    ? gettext("Ctrl and Enter sends")
    : gettext("Enter sends, Shift and Enter makes a new line");
  document.getElementById("composer-hint").append(`. ${hint}`);
}

box?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || matchMedia("(hover: none)").matches) return;
  const sends = event.ctrlKey || event.metaKey || !(enterMakesLine || event.shiftKey);
  if (!sends) return;
  event.preventDefault();
  if (box.value.trim()) box.form.requestSubmit();
});
