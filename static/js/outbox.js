// What was written and is not yet known to be stored. Each message is shown at once, kept over a reload, and sent
// again under the same id until the server answers: one at a time, so that their order stays. It goes over the
// socket when that is open and by the form's own address when it is not. What the server gets again and again and
// never answers, perhaps because it dies of it, goes back to the composer.

import { entryOf, newId, prefixOf } from "./entries.js";
import { author, box, composer, emit, hasSocket, ifStillSignedIn, live, room, token, viewer } from "./page.js";

const PATIENCE = 8000; // milliseconds until an unanswered message is sent again by form
const PAUSE = 5000; // milliseconds between tries while neither way works; twice as long each time, up to the longest
const LONGEST_PAUSE = 60000;
const HOUR = 3600000;
const MOST_TRIES = 60; // after which, and after an hour, a message goes back to its writer
const LONGEST = 30000; // milliseconds that the form's address may take
const MOST_UNANSWERED = 5; // times that the server got a message and said nothing to it, over reloads too
const NO_ANSWER = gettext(
  "The server did not answer. This message is not sent by itself any more: change it, or send it again.",
);
const NO_WAY = gettext(
  "This message could not be sent for an hour. It is not sent by itself any more: change it, or send it again.",
);
const NO_GOODBYE = 1006; // the code of a connection that just ended
const UNAVAILABLE = 503; // neither stored nor refused, but answered: the database is away, or the server is leaving

if (composer && hasSocket) keep();

function keep() {
  // By the account and not by its name, which may change; texts of an earlier release are found by that. No name has a
  // "#": somebody called "5" must not get what the fifth account wrote.
  const [prefix, formerly] = [`${prefixOf(viewer)}${room}:`, `outbox:${author}:${room}:`];
  const entries = stored();
  // A browser that restores a form when it reloads would restore the id of what was sent from it.
  composer.elements.client_id.value = newId();
  let socket = null;
  let underWay = null;
  let sentAt = 0;
  let timer = null;
  let pause = PAUSE;
  let isSignedOut = false;
  // What is said beside all that wait, while none gets through; none overtakes another.
  let words = null;
  // Given back, and kept in the storage until something is sent from the composer.
  const returned = [];
  // What the storage did not take: the browser asks before it goes with the page.
  const unkept = new Set();
  addEventListener("beforeunload", (event) => unkept.size && event.preventDefault());

  entries.filter(isHopeless).forEach((entry) => giveBack(entry));
  entries.forEach((entry) => emit("message-waits", entry));
  if (entries.length) timer = setTimeout(flush, PATIENCE);

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    accept({ body: box.value, client_id: composer.elements.client_id.value });
  });

  // What the form sends over the socket is the message whose turn it is, not what is being typed by now.
  live.addEventListener("htmx:ws:before:message:outgoing", (event) => {
    const { body, client_id } = underWay ?? {};
    if (client_id) event.detail.message.data = JSON.stringify({ body, client_id });
    else event.preventDefault();
  });

  live.addEventListener("htmx:ws:after:message:outgoing", () => {
    sentAt = Date.now();
  });

  function accept({ body, client_id }) {
    const entry = { body, client_id, at: Date.now() };
    returned.splice(0).forEach(forget);
    entries.push(entry);
    store(entry);
    emit("message-waits", entry);
    if (words) explain(words);
    // First: to empty the box may end what an input method is composing.
    box.dispatchEvent(new CustomEvent("taken", { detail: body }));
    box.value = "";
    composer.elements.client_id.value = newId();
    flush();
  }

  live.addEventListener("htmx:ws:after:connection", ({ detail }) => {
    socket = detail.connection.socket;
    underWay = null;
    isSignedOut = false;
    pause = PAUSE;
    flush();
  });

  // Whoever was signed out may have signed in again in another tab, and a network may be back.
  for (const [target, name] of [[document, "visibilitychange"], [window, "focus"], [window, "pageshow"], [window, "online"]]) {
    target.addEventListener(name, () => {
      if (document.hidden) return;
      pause = PAUSE;
      if (!isSignedOut) return flush();
      ifStillSignedIn(() => {
        isSignedOut = false;
        flush();
      });
    });
  }

  live.addEventListener("connection-lost", ({ detail }) => {
    socket = null;
    // A network that is lost is noticed later, or the browser knows of it.
    const isSudden = detail?.code === NO_GOODBYE && navigator.onLine && Date.now() - sentAt < PATIENCE;
    if (underWay && isSudden) countUnanswered(underWay);
    underWay = null;
    flush();
  });

  // Fragments that only the sender gets: <hx-sent client message seq>, <hx-refused client> and <hx-delayed client>.
  htmx.registerExtension("outbox", {
    htmx_process_sent: (fragment) => {
      const [client_id, message, seq] = ["client", "message", "seq"].map((name) => fragment.getAttribute(name));
      if (settle(client_id)) emit("message-stored", { client_id, message, seq: Number(seq) });
    },
    htmx_process_refused: (fragment) => {
      const entry = settle(fragment.getAttribute("client"));
      if (entry) returnToBox(entry);
    },
    // To the form's address only: nobody is signed in there, or somebody else.
    htmx_process_stranger: () => {
      if (!underWay) return;
      underWay = null;
      isSignedOut = true;
      explain("signed-out");
    },
    htmx_process_delayed: (fragment) => {
      if (underWay?.client_id === fragment.getAttribute("client")) tryLater(underWay);
    },
  });

  // Another tab has heard that it is stored, or its writer has taken it away from this computer (sign_out_choice.js).
  addEventListener("storage", ({ key, newValue }) => {
    if (newValue !== null || !key?.startsWith(prefix)) return;
    const entry = settle(key.slice(prefix.length));
    if (entry) emit("message-returned", entry);
  });

  function flush() {
    // Whose time is running goes on with it.
    if (underWay || isSignedOut || !entries.length) return;
    clearTimeout(timer);
    underWay = entries[0];
    sentAt = 0;
    if (socket?.readyState === WebSocket.OPEN) {
      timer = setTimeout(sendAgain, PATIENCE, underWay);
      htmx.trigger(composer, "send");
    } else {
      sendByForm(underWay);
    }
  }

  async function sendAgain(entry) {
    if (await isThere()) countUnanswered(entry);
    if (underWay === entry) sendByForm(entry);
  }

  async function sendByForm(entry) {
    sentAt = 0;
    let status = 0;
    let kind = null;
    // Where it was there just now, what gets no answer is not for want of a network.
    const wasThere = "unanswered" in entry && (await isThere());
    if (underWay !== entry) return;
    try {
      const { body, client_id } = entry;
      const fields = { body, client_id, viewer, csrfmiddlewaretoken: token() || composer.elements.csrfmiddlewaretoken.value };
      const response = await fetch(composer.action, {
        method: "POST",
        body: new URLSearchParams(fields),
        headers: { "HX-Request": "true" },
        signal: AbortSignal.timeout(LONGEST),
      });
      status = response.status;
      const text = await response.text();
      kind = response.headers.get("Parley-Answer");
      if (kind) entry.reason = kind === "refusal" && status < 500 ? text : undefined;
      if (kind !== "fragment") throw new Error(`The message was answered with ${response.status}`);
      await htmx.swap({ sourceElement: live, target: live, swap: "none", text });
    } catch {
      if (underWay !== entry) return;
      // What has not our mark is a proxy's, or the page of a network (answers.js), unless the site is there all the same.
      const isFromSite = kind || wasThere || (status > 0 && status < 502 && (await isThere()));
      if (underWay !== entry) return;
      if (isFromSite && status !== UNAVAILABLE) countUnanswered(entry);
      else entry.unanswered ??= 0;
      tryLater(entry);
    }
  }

  async function isThere() {
    try {
      const response = await fetch("/livez", { cache: "no-store", signal: AbortSignal.timeout(PAUSE) });
      return response.ok && (await response.text()) === "ok\n";
    } catch {
      return false;
    }
  }

  function countUnanswered(entry) {
    if (!entries.includes(entry)) return;
    entry.unanswered = (entry.unanswered ?? 0) + 1;
    store(entry);
    if (isHopeless(entry)) giveBack(entry);
  }

  function isHopeless(entry) {
    return entry.unanswered >= MOST_UNANSWERED || isTooLate(entry);
  }

  // A tab that is looked at often tries often; a computer that slept all night has tried once.
  function isTooLate(entry) {
    return entry.tries > MOST_TRIES && Date.now() - entry.at > HOUR;
  }

  function giveBack(entry) {
    const reason = entry.reason ?? (entry.unanswered >= MOST_UNANSWERED ? NO_ANSWER : NO_WAY);
    entries.splice(entries.indexOf(entry), 1);
    returned.push(entry);
    if (underWay === entry) underWay = null;
    pause = PAUSE;
    // Under the same id it is stored once, should it be stored after all; with something else it is another message.
    if (["", entry.body.trim()].includes(box.value.trim())) composer.elements.client_id.value = entry.client_id;
    returnToBox(entry, reason);
    queueMicrotask(flush);
  }

  function returnToBox(entry, reason) {
    emit("message-returned", entry);
    box.dispatchEvent(new CustomEvent("returned", { detail: { body: entry.body, reason } }));
  }

  // Neither the socket nor the form's address takes it now. It stays in the outbox and goes when one of them does.
  function tryLater(entry) {
    if (underWay !== entry) return;
    underWay = null;
    clearTimeout(timer);
    entry.tries = (entry.tries ?? 0) + 1;
    store(entry);
    if (isHopeless(entry)) {
      giveBack(entry);
      return;
    }
    explain("later");
    timer = setTimeout(flush, pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }

  function explain(why) {
    words = why;
    emit("messages-explained", why);
  }

  function settle(clientId) {
    const index = entries.findIndex((entry) => entry.client_id === clientId);
    if (index < 0) return undefined;
    const [entry] = entries.splice(index, 1);
    forget(entry);
    if (underWay === entry) underWay = null;
    pause = PAUSE;
    words = null;
    queueMicrotask(flush);
    return entry;
  }

  // Storage may be full or switched off; then an unsent message lives as long as the page.
  function store(entry) {
    try {
      localStorage.setItem(prefix + entry.client_id, JSON.stringify(entry));
      unkept.delete(entry);
    } catch {
      unkept.add(entry);
    }
  }

  function forget(entry) {
    unkept.delete(entry);
    try {
      for (const one of [prefix, formerly]) localStorage.removeItem(one + entry.client_id);
    } catch {}
  }

  function stored() {
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix) || key.startsWith(formerly));
      return keys.flatMap((key) => entryOf(localStorage.getItem(key))).sort((a, b) => a.at - b.at);
    } catch {
      return [];
    }
  }
}
