// Frames are the same for all who read their language: they have the site's time and the usual order. Shows what they
// bring by the viewer's own clock, and labels it in the viewer's own order, as the server does in a page.

const { clock, timeZone, order } = document.documentElement.dataset;
const conversation = document.getElementById("conversation");
const ORDERS = { text: ["body", "author", "time"], time: ["time", "author", "body"] };

if (conversation && (clock || timeZone || order)) {
  new MutationObserver((records) => {
    for (const record of records) {
      for (const node of record.addedNodes) {
        if (!(node instanceof Element)) continue;
        if (clock || timeZone) node.querySelectorAll(".meta time").forEach(show);
        if (order) node.querySelectorAll("article[aria-labelledby]").forEach(label);
      }
    }
  }).observe(conversation, { childList: true, subtree: true });
}

function label(article) {
  const pk = article.id.replace("article-", "");
  const labels = ORDERS[order].map((part) => `${part}-${pk}`).join(" ");
  if (article.getAttribute("aria-labelledby") !== labels) article.setAttribute("aria-labelledby", labels);
}

function show(time) {
  const moment = new Date(time.dateTime);
  const siteDay = time.dateTime.slice(0, 10);
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat("en-GB", {
      timeZone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    })
      .formatToParts(moment)
      .map(({ type, value }) => [type, value]),
  );
  const hour = Number(parts.hour);
  const text = clock
    ? `${hour % 12 || 12}:${parts.minute} ${hour < 12 ? pgettext("clock", "a.m.") : pgettext("clock", "p.m.")}`
    : `${parts.hour}:${parts.minute}`;
  const isSiteDay = `${parts.year}-${parts.month}-${parts.day}` === siteDay;
  const shown = isSiteDay ? text : `${weekday(moment)} ${text}`;
  if (time.textContent !== shown) time.textContent = shown;
}

function weekday(moment) {
  return new Intl.DateTimeFormat(document.documentElement.lang, { timeZone, weekday: "short" }).format(moment);
}
