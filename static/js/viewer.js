// Frames are the same for everyone who reads their language: they have the site's time and the usual order. Shows what
// they bring by the viewer's clock and labels it in the viewer's order, as the server does in a page.

import { conversation, filled, live } from "./page.js";

const labels = live?.dataset.labels;
// The formats, words and changes of clocks by which the server shows times (clocks.py): those of browsers may differ.
// Null if the viewer sees times as frames have them. What a clock shows at a moment is worked out on both sides, since
// a frame goes to viewers in every zone; e2e/test_clocks.py compares them.
const clock = JSON.parse(document.getElementById("clock")?.textContent ?? "null");

if (conversation && (clock || labels)) {
  new MutationObserver((records) => {
    for (const record of records) {
      for (const node of record.addedNodes) {
        if (!(node instanceof Element)) continue;
        if (labels) node.querySelectorAll("article[aria-labelledby]").forEach(label);
        if (clock) node.querySelectorAll(".meta time").forEach(show);
      }
    }
  }).observe(conversation, { childList: true, subtree: true });
}

function label(article) {
  write(article, "aria-labelledby", filled(labels, { pk: article.id.replace("article-", "") }));
}

function show(time) {
  const seconds = Date.parse(time.dateTime) / 1000;
  const [own, site] = [localTime(seconds, clock.own), localTime(seconds, clock.site)];
  const day = own.date === site.date ? "" : clock.otherDay;
  write(time, "datetime", own.date + own.rest);
  write(time, "title", `${formatted(own, clock.full)} ${own.name}`);
  const shown = formatted(own, day + clock.times[own.G < 12 ? 0 : 1]);
  if (time.textContent !== shown) time.textContent = shown;
}

function write(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// The parts of a moment on a zone's clocks, most by their letters in Django's date filter.
function localTime(seconds, changes) {
  const [, offset, name] = changes.findLast(([since]) => since <= seconds) ?? changes[0];
  const moment = new Date((seconds + offset) * 1000);
  const [date, time] = moment.toISOString().slice(0, 19).split("T");
  const [Y, m, d] = date.split("-");
  const [H, i] = time.split(":");
  const [east, minutes] = [offset < 0 ? "-" : "+", Math.floor(Math.abs(offset) / 60)];
  const rest = `T${time}${east}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  const [j, n, G] = [d, m, H].map(Number);
  const [w, h] = [moment.getUTCDay(), G % 12 || 12];
  return { date, rest, name, Y, y: Y.slice(2), m, n, d, j, H, G, h: two(h), g: h, i, D: (w + 6) % 7 };
}

function formatted(parts, format) {
  const words = {
    F: clock.months[parts.n - 1],
    M: clock.shortMonths[parts.n - 1],
    l: clock.days[parts.D],
    D: clock.shortDays[parts.D],
  };
  return format.replace(/\\(.)|([a-zA-Z])/g, (all, escaped, letter) => escaped ?? words[letter] ?? parts[letter] ?? all);
}

function two(number) {
  return String(number).padStart(2, "0");
}
