// Keeps the page live: reconnects, says where in the room's numbered changes the page stands, notices a missing number or
// a silent server, and tells the reader while the page isn't live. The extension's own reconnecting is off (room.html): it
// can't try at once when the network is back, nor wait longer after connections that didn't last.

import { hasSocket, ifStillSignedIn, live, say, signInLink } from "./page.js";

const status = document.getElementById("connection-status");

const SIGNED_OUT = 4401;
const FINAL = {
  [SIGNED_OUT]: gettext("You are signed out, so this page shows nothing new. Sign in again to go on."),
  4403: gettext("You are no longer let into this room here, so this page shows nothing new."),
  4404: gettext("This room is gone, or you may no longer read it. This page shows nothing new."),
  4429: gettext("This page was closed because too much came at once. Wait a moment, then reload it."),
};
const PATIENCE = 2000; // milliseconds without a connection before the reader is told
const FIRST_PAUSE = 500; // milliseconds before trying again, at most; twice as long each time, up to the longest
const LONGEST_PAUSE = 15000;
const STEADY = 5000; // milliseconds after which a connection counts as one that works
const SILENCE = 45000; // milliseconds; the server says something every 30 seconds

if (hasSocket) follow(Number(live.dataset.head));

function follow(head) {
  // What the server calls this life of the database, where that is another than when the page was loaded.
  let epoch = null;
  let connection = null;
  let isOver = false;
  let ended = null;
  let told = false;
  let attempt = 0;
  let heardAt = Date.now();
  let openedAt = Infinity;
  let retry = null;
  let telling = setTimeout(tellNotLive, PATIENCE);

  live.addEventListener("htmx:ws:before:connection", ({ detail }) => {
    connection = detail.connection;
    heardAt = Date.now();
    const url = new URL(connection.url);
    url.searchParams.set("since", head);
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
    const found = /^<hx-seq after="(\d+)" value="(\d+)"(?: epoch="(\w*)")?>/.exec(detail.message.data);
    if (!found) return;
    const [after, value] = found.slice(1, 3).map(Number);
    if (found[3] !== undefined) {
      // The database has gone back, and with this frame the page has.
      [head, epoch] = [value, found[3]];
      live.dispatchEvent(new CustomEvent("went-back", { detail: { head } }));
    }
    // Something before this frame never came: connecting again from where we stand brings it.
    else if (after > head) giveUp();
    else head = Math.max(head, value);
  });

  live.addEventListener("htmx:ws:close", ({ detail }) => {
    if (detail.connection === connection) lost(detail.code);
  });

  // At once when there is reason to think that it works again; elsewhere at a random moment, so that the pages of
  // a server that was restarted do not all come together.
  addEventListener("online", () => connectNow(0));
  addEventListener("pageshow", ({ persisted }) => persisted && connectNow(0));
  document.addEventListener("visibilitychange", () => document.hidden || connectNow(SILENCE));
  // Who was signed out may have signed in again, in another tab.
  document.addEventListener("visibilitychange", askWhoIsSignedIn);
  addEventListener("focus", askWhoIsSignedIn);
  setInterval(() => connection && Date.now() - heardAt > SILENCE && giveUp(), SILENCE / 10);

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

  // A connection whose other end is gone may take minutes to close. The extension is told now that it has: it cleans up,
  // says so to all, and closes the socket itself.
  function giveUp() {
    connection.socket.dispatchEvent(new CloseEvent("close"));
  }

  function lost(code) {
    connection = null;
    if (Date.now() - openedAt > STEADY) attempt = 0;
    openedAt = Infinity;
    live.dispatchEvent(new CustomEvent("connection-lost", { detail: { code } }));
    if (FINAL[code]) {
      isOver = true;
      ended = code;
      // What ended the page has said so in the page already, with a way on.
      if (!document.getElementById("farewell")) tell(FINAL[code]);
      told = true;
      return;
    }
    telling ??= setTimeout(tellNotLive, PATIENCE);
    clearTimeout(retry);
    retry = setTimeout(connect, Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt++));
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
