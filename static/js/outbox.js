// What was written and is not yet known to be stored. Each message is shown at once, kept over a reload, and sent
// again under the same id until the server answers: one at a time, so that their order stays. It goes over the
// socket when that is open and by the form's own address when it is not. What the server gets again and again and
// never answers, perhaps because it dies of it, goes back to the composer.

const composer = document.getElementById("composer");
const live = document.querySelector("[hx-ws\\:connect]");
const say = (text) => document.dispatchEvent(new CustomEvent("say", { detail: text }));

const PATIENCE = 8000; // milliseconds until an unanswered message is sent again by form
const PAUSE = 5000; // milliseconds between tries while neither way works; twice as long each time, up to the longest
const LONGEST_PAUSE = 60000;
const MOST_TRIES = 60; // after which, and after an hour, a message goes back to its writer
const HOUR = 3600000; // who comes back to the page, or writes on, makes tries come sooner
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

if (composer && live) keep(composer, live);

function keep(composer, live) {
  const box = composer.elements.body;
  const list = document.getElementById("pending");
  const template = document.getElementById("pending-message");
  // By the account and not by its name, which may change; texts of an earlier release are found by that.
  const viewer = composer.elements.viewer.value;
  const [prefix, formerly] = [viewer, composer.dataset.author].map((one) => `outbox:${one}:${composer.dataset.room}:`);
  const entries = stored();
  // A browser that restores a form when it reloads would restore the id of what was sent from it.
  composer.elements.client_id.value = newId();
  let socket = null;
  let underWay = null;
  let sentAt = 0;
  let timer = null;
  let pause = PAUSE;
  let isSignedOut = false;
  // Given back, and kept in the storage until something is sent from the composer.
  const returned = [];

  entries.filter(isHopeless).forEach(giveBack);
  entries.forEach(show);
  if (entries.length) timer = setTimeout(flush, PATIENCE);

  live.addEventListener("htmx:ws:before:message:outgoing", (event) => {
    // The extension would send at once or keep it in memory only; the outbox sends it in its turn.
    event.preventDefault();
    accept(event.detail.message.values);
  });

  live.addEventListener("htmx:ws:error", ({ detail }) => {
    // Without a connection the extension gives up on what is sent; the form's address may still take it.
    if (detail.error === "Connection not open") accept(Object.fromEntries(new FormData(composer)));
  });

  function accept({ body, client_id }) {
    const entry = { body, client_id, at: Date.now() };
    returned.splice(0).forEach(forget);
    entries.push(entry);
    store(entry);
    show(entry);
    // First: to empty the box may end what an input method is composing.
    box.dispatchEvent(new CustomEvent("taken", { detail: body }));
    box.value = "";
    composer.elements.client_id.value = newId();
    document.getElementById("composer-errors").replaceChildren();
    box.removeAttribute("aria-invalid");
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
      const goOn = () => {
        isSignedOut = false;
        flush();
      };
      if (isSignedOut) document.dispatchEvent(new CustomEvent("who-is-signed-in", { detail: goOn }));
      else flush();
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

  // Fragments that only the sender gets: <hx-sent client message>, <hx-refused client> and <hx-delayed client>.
  htmx.registerExtension("outbox", {
    htmx_process_sent: (fragment) => {
      const pending = document.getElementById(`pending-${fragment.getAttribute("client")}`);
      if (pending) pending.dataset.message = fragment.getAttribute("message");
      const entry = settle(fragment.getAttribute("client"));
      // Who has heard that something waits hears too that nothing of it does any more.
      const isOver = entry?.isTold && !entries.some(({ isTold }) => isTold);
      if (entry && (isOver || document.documentElement.dataset.saysSent)) say(gettext("Sent"));
    },
    htmx_process_refused: (fragment) => {
      const entry = settle(fragment.getAttribute("client"));
      if (!entry) return;
      putIntoComposer(entry);
    },
    // To the form's address only: nobody is signed in there, or somebody else.
    htmx_process_stranger: () => {
      if (!underWay) return;
      underWay = null;
      isSignedOut = true;
      noteSignedOut();
    },
    htmx_process_delayed: (fragment) => {
      if (underWay?.client_id === fragment.getAttribute("client")) tryLater(underWay);
    },
  });

  // The message itself may come before or after its acknowledgement; the pending one goes when it is there.
  document.addEventListener("htmx:after:swap", () => {
    for (const pending of list.querySelectorAll("[data-message]")) {
      if (document.getElementById(`message-${pending.dataset.message}`)) pending.remove();
    }
  });

  function flush() {
    clearTimeout(timer);
    if (isSignedOut) noteSignedOut();
    if (underWay || isSignedOut || !entries.length) return;
    underWay = entries[0];
    sentAt = 0;
    if (socket?.readyState === WebSocket.OPEN) {
      const { body, client_id } = underWay;
      socket.send(JSON.stringify({ body, client_id, headers: { "HX-Request": "true" } }));
      sentAt = Date.now();
      timer = setTimeout(sendAgain, PATIENCE, underWay);
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
    // Where it was there just now, what gets no answer is not for want of a network.
    const wasThere = "unanswered" in entry && (await isThere());
    if (underWay !== entry) return;
    try {
      const { body, client_id } = entry;
      const fields = { body, client_id, viewer, csrfmiddlewaretoken: token() };
      const response = await fetch(composer.action, {
        method: "POST",
        body: new URLSearchParams(fields),
        headers: { "HX-Request": "true" },
        signal: AbortSignal.timeout(LONGEST),
      });
      status = response.status;
      const text = await response.text();
      if (!text.startsWith("<hx-")) throw new Error(`The message was answered with ${response.status}`);
      await htmx.swap({ sourceElement: live, target: live, swap: "none", text });
    } catch {
      if (underWay !== entry) return;
      // From 502 on it is a proxy that answers.
      const isFromSite = status > 0 && status < 502;
      if (isFromSite || (wasThere && status !== UNAVAILABLE)) countUnanswered(entry);
      else entry.unanswered ??= 0;
      tryLater(entry);
    }
  }

  async function isThere() {
    try {
      return (await fetch("/livez", { cache: "no-store", signal: AbortSignal.timeout(PAUSE) })).ok;
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
    return entry.unanswered >= MOST_UNANSWERED;
  }

  function giveBack(entry, reason = NO_ANSWER) {
    entries.splice(entries.indexOf(entry), 1);
    returned.push(entry);
    if (underWay === entry) underWay = null;
    pause = PAUSE;
    // Under the same id it is stored once, should it be stored after all; with something else it is another message.
    if (!box.value.trim()) composer.elements.client_id.value = entry.client_id;
    putIntoComposer(entry);
    box.dispatchEvent(new CustomEvent("refused", { detail: reason }));
    queueMicrotask(flush);
  }

  function putIntoComposer(entry) {
    document.getElementById(`pending-${entry.client_id}`)?.remove();
    box.value = box.value.trim() ? `${entry.body}\n\n${box.value}` : entry.body;
    box.setAttribute("aria-invalid", "true");
    // The reason is spoken as an alert. Described by it as well, the box that has the focus would say it again.
    box.setAttribute("aria-describedby", "composer-hint");
  }

  // Neither the socket nor the form's address takes it now. It stays in the outbox and goes when one of them does.
  function tryLater(entry) {
    if (underWay !== entry) return;
    underWay = null;
    clearTimeout(timer);
    entry.tries = (entry.tries ?? 0) + 1;
    if (entry.tries > MOST_TRIES && Date.now() - entry.at > HOUR) {
      giveBack(entry, NO_WAY);
      return;
    }
    store(entry);
    note(
      gettext("Not stored yet. It is kept here and sent again by itself."),
      gettext("Your message is not stored yet. It is kept and sent again by itself."),
    );
    timer = setTimeout(flush, pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }

  function noteSignedOut() {
    note(
      gettext("Not sent: you are signed out. It is kept here. Sign in again, then come back to this page: it is sent then."),
      gettext("Your message is not sent, because you are signed out. It is kept here. Sign in again to send it."),
    );
  }

  // Says beside all that waits, one behind the other, how it stands with it, and speaks that once.
  function note(text, spoken) {
    let isNews = false;
    for (const entry of entries) {
      const place = document.querySelector(`#pending-${entry.client_id} .meta`);
      if (!place || place.textContent === text) continue;
      place.textContent = text;
      entry.isTold = isNews = true;
    }
    if (isNews) say(spoken);
  }

  // Who signs in anew, perhaps in another tab, gets another one; the cookie has it.
  function token() {
    return /(?:^|; )csrftoken=(\w+)/.exec(document.cookie)?.[1] ?? composer.elements.csrfmiddlewaretoken.value;
  }

  function settle(clientId) {
    const index = entries.findIndex((entry) => entry.client_id === clientId);
    if (index < 0) return undefined;
    const [entry] = entries.splice(index, 1);
    forget(entry);
    if (underWay === entry) underWay = null;
    pause = PAUSE;
    queueMicrotask(flush);
    return entry;
  }

  function show(entry) {
    const item = template.content.firstElementChild.cloneNode(true);
    item.id = `pending-${entry.client_id}`;
    item.querySelector("bdi").textContent = composer.dataset.name;
    item.querySelector(".body p").textContent = entry.body;
    list.append(item);
  }

  // Storage may be switched off; then an unsent message lives as long as the page.
  function store(entry) {
    try {
      localStorage.setItem(prefix + entry.client_id, JSON.stringify(entry));
    } catch {}
  }

  function forget(entry) {
    try {
      for (const one of [prefix, formerly]) localStorage.removeItem(one + entry.client_id);
    } catch {}
  }

  function stored() {
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix) || key.startsWith(formerly));
      return keys.map((key) => JSON.parse(localStorage.getItem(key))).sort((a, b) => a.at - b.at);
    } catch {
      return [];
    }
  }
}

// crypto.randomUUID is missing on plain http outside loopback.
function newId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  random[6] = (random[6] & 0x0f) | 0x40;
  random[8] = (random[8] & 0x3f) | 0x80;
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
