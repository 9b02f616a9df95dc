// Keeps the page live: reconnects, says where in the room's numbered changes the page stands, notices a missing number
// or a silent server, and tells the reader while the page isn't live. The extension's own reconnecting is off
// (room.html): it can't try at once when the network is back, nor wait longer after connections that didn't last.

import { hasSocket, ifStillSignedIn, live, say, signInLink } from "./page.js";

const status = document.getElementById("connection-status");

const SIGNED_OUT = 4401;
const FINAL = {
  [SIGNED_OUT]: gettext("You are signed out, so this page shows nothing new. Sign in again to go on."),
  4403: gettext("You are no longer let into this room here, so this page shows nothing new."),
  4404: gettext("This room is gone, or you may no longer read it. This page shows nothing new."),
  4429: gettext("This page was closed because too much came at once. Wait a moment, then reload it."),
};
const PATIENCE_MS = 2000; // without a connection before the reader is told
const FIRST_PAUSE_MS = 500; // the longest before the first retry; it doubles each time, up to the maximum
const MAX_PAUSE_MS = 15000;
const STEADY_MS = 5000; // a connection that lasts this long works
const MAX_SILENCE_MS = 45000; // the server says something every 30 seconds

if (hasSocket) follow(live.dataset.topic, Number(live.dataset.head));

function follow(room, roomHead) {
  // Where the page stands in each of its topics.
  const heads = new Map([[room, roomHead]]);
  // The server's name for the database's current life, if it is another than when the page was loaded.
  let epoch = null;
  let connection = null;
  let isOver = false;
  let ended = null;
  let told = false;
  let attempt = 0;
  let heardAt = Date.now();
  let openedAt = Infinity;
  let retry = null;
  let telling = setTimeout(tellNotLive, PATIENCE_MS);

  live.addEventListener("htmx:ws:before:connection", ({ detail }) => {
    connection = detail.connection;
    heardAt = Date.now();
    const url = new URL(connection.url);
    url.searchParams.set("since", heads.get(room));
    if (epoch !== null) url.searchParams.set("epoch", epoch);
    connection.url = url.href;
  });

  live.addEventListener("htmx:ws:after:connection", ({ detail }) => {
    if (detail.connection !== connection) return;
    heardAt = openedAt = Date.now();
    clearTimeout(telling);
    telling = null;
    if (told) say(gettext("Live again."));
    told = false;
    status.hidden = true;
    status.textContent = "";
  });

  live.addEventListener("htmx:ws:after:message:incoming", ({ detail }) => {
    if (detail.connection !== connection) return;
    heardAt = Date.now();
    const found = /^<hx-seq topic="([^"]*)" after="(\d+)" value="(\d+)"(?: epoch="(\w*)")?>/.exec(detail.message.data);
    if (!found) return;
    const topic = found[1];
    const [after, value] = found.slice(2, 4).map(Number);
    const head = heads.get(topic) ?? after;
    if (found[4] !== undefined) {
      // The database was restored to an earlier state, and this frame does the same to the page.
      heads.set(topic, value);
      epoch = found[4];
      if (topic === room) live.dispatchEvent(new CustomEvent("went-back", { detail: { head: value } }));
    }
    // Something before this frame never came: reconnecting from the last number brings it.
    else if (after > head) giveUp();
    else heads.set(topic, Math.max(head, value));
  });

  live.addEventListener("htmx:ws:close", ({ detail }) => {
    if (detail.connection === connection) lost(detail.code);
  });

  // At once when there is reason to think that it works again; otherwise at random, so that the pages of a restarted
  // server don't all come together.
  addEventListener("online", () => connectNow(0));
  addEventListener("pageshow", ({ persisted }) => persisted && connectNow(0));
  document.addEventListener("visibilitychange", () => document.hidden || connectNow(MAX_SILENCE_MS));
  // Someone who was signed out may have signed in again in another tab.
  document.addEventListener("visibilitychange", askWhoIsSignedIn);
  addEventListener("focus", askWhoIsSignedIn);
  setInterval(() => connection && Date.now() - heardAt > MAX_SILENCE_MS && giveUp(), MAX_SILENCE_MS / 10);

  function connectNow(silence) {
    if (connection && Date.now() - heardAt < silence) return;
    attempt = 0;
    if (connection) giveUp();
    connect();
  }

  function askWhoIsSignedIn() {
    if (ended !== SIGNED_OUT || document.hidden) return;
    ifStillSignedIn(() => {
      [isOver, ended] = [false, null];
      connectNow(0);
    });
  }

  // A connection whose other end is gone may take minutes to close. The extension is told now that it has: it cleans
  // up, says so to all, and closes the socket itself.
  function giveUp() {
    connection.socket.dispatchEvent(new CloseEvent("close"));
  }

  function lost(code) {
    connection = null;
    if (Date.now() - openedAt > STEADY_MS) attempt = 0;
    openedAt = Infinity;
    live.dispatchEvent(new CustomEvent("connection-lost", { detail: { code } }));
    if (FINAL[code]) {
      isOver = true;
      ended = code;
      // Unless a closing message in the page already says so and what to do.
      if (!document.getElementById("farewell")) tell(FINAL[code]);
      told = true;
      return;
    }
    telling ??= setTimeout(tellNotLive, PATIENCE_MS);
    clearTimeout(retry);
    retry = setTimeout(connect, Math.random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt++));
  }

  function connect() {
    clearTimeout(retry);
    if (!connection && !isOver) htmx.trigger(live, "reconnect");
  }

  function tellNotLive() {
    told = true;
    tell(gettext("Not live at the moment. Trying to connect again; you can go on writing."));
  }

  function tell(text) {
    clearTimeout(telling);
    status.textContent = text;
    if (ended === SIGNED_OUT) status.append(" ", signInLink());
    status.hidden = false;
    say(text);
  }
}
