// Messages that are not yet known to be stored. Each is shown at once, kept across reloads and sent under the same id
// until the server answers: one at a time, to keep their order; over the socket if it is open, otherwise by POST. A
// message that the server never answers, perhaps because it crashes on it, is returned to the composer.

import { entryOf, newId, prefixOf } from "./entries.js";
import { author, box, composer, emit, hasSocket, ifStillSignedIn, live, room, token, viewer } from "./page.js";

const PATIENCE_MS = 8000; // until an unanswered message is sent again by POST
const FIRST_PAUSE_MS = 5000; // between tries while neither way works; it doubles each time, up to the maximum
const MAX_PAUSE_MS = 60000;
const HOUR_MS = 3600000;
const MAX_TRIES = 60; // after more, and an hour, a message is returned to its writer
const TIMEOUT_MS = 30000; // of a POST
const MAX_UNANSWERED = 5; // times that the server got a message and did not answer, across reloads
const NO_ANSWER = gettext(
  "The server did not answer. This message is not sent by itself any more: change it, or send it again.",
);
const NO_WAY = gettext(
  "This message could not be sent for an hour. It is not sent by itself any more: change it, or send it again.",
);
const ABNORMAL_CLOSURE = 1006;
const UNAVAILABLE = 503; // an answer, though neither stored nor refused: the database is down or the server is stopping

if (composer && hasSocket) keep();

function keep() {
  // By account, since names may change; an earlier release stored by name. No name has a "#", so a user called "5"
  // doesn't get what account 5 wrote.
  const [prefix, formerly] = [`${prefixOf(viewer)}${room}:`, `outbox:${author}:${room}:`];
  const entries = stored();
  // Browsers that restore forms on reload would restore the id of a message that was sent.
  composer.elements.client_id.value = newId();
  let socket = null;
  let underWay = null;
  let sentAt = 0;
  let timer = null;
  let pause = FIRST_PAUSE_MS;
  let isSignedOut = false;
  // Shown beside all that wait while none gets through, since none overtakes another.
  let words = null;
  // Returned, and kept in storage until something is sent from the composer.
  const returned = [];
  // Storage didn't take these: the browser asks before they are lost with the page.
  const unkept = new Set();
  addEventListener("beforeunload", (event) => unkept.size && event.preventDefault());

  entries.filter(isHopeless).forEach((entry) => giveBack(entry));
  entries.forEach((entry) => emit("message-waits", entry));
  if (entries.length) timer = setTimeout(flush, PATIENCE_MS);

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    accept({ body: box.value, client_id: composer.elements.client_id.value });
  });

  // The form sends the message whose turn it is, not what is being typed by now.
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
    // First, since emptying the box may end what an input method is composing.
    box.dispatchEvent(new CustomEvent("taken", { detail: body }));
    box.value = "";
    composer.elements.client_id.value = newId();
    flush();
  }

  live.addEventListener("htmx:ws:after:connection", ({ detail }) => {
    socket = detail.connection.socket;
    underWay = null;
    isSignedOut = false;
    pause = FIRST_PAUSE_MS;
    flush();
  });

  // Someone who was signed out may have signed in again in another tab, and the network may be back.
  for (const [target, name] of [[document, "visibilitychange"], [window, "focus"], [window, "pageshow"], [window, "online"]]) {
    target.addEventListener(name, () => {
      if (document.hidden) return;
      pause = FIRST_PAUSE_MS;
      if (!isSignedOut) return flush();
      ifStillSignedIn(() => {
        isSignedOut = false;
        flush();
      });
    });
  }

  live.addEventListener("connection-lost", ({ detail }) => {
    socket = null;
    // A lost network would be noticed later, or known to the browser.
    const isSudden = detail?.code === ABNORMAL_CLOSURE && navigator.onLine && Date.now() - sentAt < PATIENCE_MS;
    if (underWay && isSudden) countUnanswered(underWay);
    underWay = null;
    flush();
  });

  // Fragments that only the sender gets; docs/architecture.md lists them.
  htmx.registerExtension("outbox", {
    htmx_process_sent: (fragment) => {
      const [client_id, message, seq] = ["client", "message", "seq"].map((name) => fragment.getAttribute(name));
      if (settle(client_id)) emit("message-stored", { client_id, message, seq: Number(seq) });
    },
    htmx_process_refused: (fragment) => {
      const entry = settle(fragment.getAttribute("client"));
      if (entry) returnToBox(entry);
    },
    // Only in answer to a POST: no one is signed in, or someone else is.
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

  // Another tab has heard that it is stored, or its writer has removed it from this computer (sign_out_choice.js).
  addEventListener("storage", ({ key, newValue }) => {
    if (newValue !== null || !key?.startsWith(prefix)) return;
    const entry = settle(key.slice(prefix.length));
    if (entry) emit("message-returned", entry);
  });

  function flush() {
    // While one is under way its timer keeps running.
    if (underWay || isSignedOut || !entries.length) return;
    clearTimeout(timer);
    underWay = entries[0];
    sentAt = 0;
    if (socket?.readyState === WebSocket.OPEN) {
      timer = setTimeout(sendAgain, PATIENCE_MS, underWay);
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
    // If the server could be reached just now, a missing answer is not the network's fault.
    const wasThere = "unanswered" in entry && (await isThere());
    if (underWay !== entry) return;
    try {
      const { body, client_id } = entry;
      const fields = { body, client_id, viewer, csrfmiddlewaretoken: token() || composer.elements.csrfmiddlewaretoken.value };
      const response = await fetch(composer.action, {
        method: "POST",
        body: new URLSearchParams(fields),
        headers: { "HX-Request": "true" },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      status = response.status;
      const text = await response.text();
      kind = response.headers.get("Parley-Answer");
      if (kind) entry.reason = kind === "refusal" && status < 500 ? text : undefined;
      if (kind !== "fragment") throw new Error(`The message was answered with ${response.status}`);
      await htmx.swap({ sourceElement: live, target: live, swap: "none", text });
    } catch {
      if (underWay !== entry) return;
      // An answer without our mark is from a proxy or a network's sign-in page, unless the site can be reached as well.
      const isFromSite = kind || wasThere || (status > 0 && status < 502 && (await isThere()));
      if (underWay !== entry) return;
      if (isFromSite && status !== UNAVAILABLE) countUnanswered(entry);
      else entry.unanswered ??= 0;
      tryLater(entry);
    }
  }

  async function isThere() {
    try {
      const response = await fetch("/livez", { cache: "no-store", signal: AbortSignal.timeout(FIRST_PAUSE_MS) });
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
    return entry.unanswered >= MAX_UNANSWERED || isTooLate(entry);
  }

  // A tab that is visited often tries often; a computer that slept all night has tried once.
  function isTooLate(entry) {
    return entry.tries > MAX_TRIES && Date.now() - entry.at > HOUR_MS;
  }

  function giveBack(entry) {
    const reason = entry.reason ?? (entry.unanswered >= MAX_UNANSWERED ? NO_ANSWER : NO_WAY);
    entries.splice(entries.indexOf(entry), 1);
    returned.push(entry);
    if (underWay === entry) underWay = null;
    pause = FIRST_PAUSE_MS;
    // Under the same id it is stored only once if the server has stored it after all; unless other text is with it.
    if (["", entry.body.trim()].includes(box.value.trim())) composer.elements.client_id.value = entry.client_id;
    returnToBox(entry, reason);
    queueMicrotask(flush);
  }

  function returnToBox(entry, reason) {
    emit("message-returned", entry);
    box.dispatchEvent(new CustomEvent("returned", { detail: { body: entry.body, reason } }));
  }

  // Neither way works now. It stays in the outbox until one does.
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
    pause = Math.min(2 * pause, MAX_PAUSE_MS);
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
    pause = FIRST_PAUSE_MS;
    words = null;
    queueMicrotask(flush);
    return entry;
  }

  // Storage may be full or switched off; then an unsent message lasts as long as the page.
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
