// Leaves clicks that ask for a new tab, a window or a download to the browser; htmx would load the page into this one.

const keys = ["ctrlKey", "metaKey", "shiftKey", "altKey"];

document.addEventListener(
  "click",
  (event) => {
    if (keys.some((key) => event[key]) && event.target.closest("a[href]")) event.stopPropagation();
  },
  { capture: true },
);
