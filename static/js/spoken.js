// The text of a message's body as it is read out, with the numbers of its lists, which style sheets draw. Frames do not
// carry it a second time, so spoken.py has the same rule; e2e/test_same_rules.py compares the two.

export function spoken(body) {
  const copy = body.cloneNode(true);
  for (const list of copy.querySelectorAll("ol")) {
    let number = list.start;
    for (const item of list.children) {
      number = item.value || number;
      item.prepend(`${number++}. `);
    }
  }
  return copy.textContent.trim();
}
