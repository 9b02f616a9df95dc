// Frames are the same for everybody and have the site's time. Shows the times that they bring by the viewer's own clock,
// as the server does in a page.

const { clock, timeZone } = document.documentElement.dataset;
const conversation = document.getElementById("conversation");

if (conversation && (clock || timeZone)) {
  new MutationObserver((records) => {
    for (const record of records) {
      for (const node of record.addedNodes) {
        if (node instanceof Element) node.querySelectorAll(".meta time").forEach(show);
      }
    }
  }).observe(conversation, { childList: true, subtree: true });
}

function show(time) {
  const moment = new Date(time.dateTime);
  const siteDay = time.dateTime.slice(0, 10);
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat("en-GB", {
      timeZone,
      weekday: "short",
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
    ? `${hour % 12 || 12}:${parts.minute} ${hour < 12 ? "a.m." : "p.m."}`
    : `${parts.hour}:${parts.minute}`;
  const isSiteDay = `${parts.year}-${parts.month}-${parts.day}` === siteDay;
  const shown = isSiteDay ? text : `${parts.weekday} ${text}`;
  if (time.textContent !== shown) time.textContent = shown;
}
