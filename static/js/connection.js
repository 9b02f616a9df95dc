// Keeps the page's place in the room's numbered changes: says where it stands when it connects again, notices a
// number that is missing, and tells the reader while the page is not live.

const live = document.querySelector("[hx-ws\\:connect]");
const status = document.getElementById("connection-status");
const announce = document.getElementById("announce");

const FINAL = {
  4401: "You are signed out, so this page shows nothing new. Sign in again to go on.",
  4403: "You may no longer read this room. This page shows nothing new.",
  4404: "This room is gone, or you may no longer read it. This page shows nothing new.",
};
const PATIENCE = 2000; // milliseconds without a connection before the reader is told

if (live) follow(Number(live.dataset.head));

function follow(head) {
  let timer = setTimeout(tellNotLive, PATIENCE);
  let told = false;

  live.addEventListener("htmx:ws:after:connection", () => {
    clearTimeout(timer);
    timer = null;
    if (told) say("Live again.");
    told = false;
    status.hidden = true;
    status.textContent = "";
  });

  live.addEventListener("htmx:ws:after:message:incoming", ({ detail }) => {
    const [, after, value] = /^<hx-seq after="(\d+)" value="(\d+)">/.exec(detail.message.data)?.map(Number) ?? [];
    if (value === undefined) return;
    // Something before this frame never came: connecting again from where we stand brings it.
    if (after > head) detail.connection.socket?.close();
    else head = Math.max(head, value);
  });

  live.addEventListener("htmx:ws:before:connection", ({ detail }) => stateHead(detail.connection));

  live.addEventListener("htmx:ws:close", ({ detail }) => {
    stateHead(detail.connection);
    if (FINAL[detail.code]) tell(FINAL[detail.code]);
    else timer ??= setTimeout(tellNotLive, PATIENCE);
  });

  function stateHead(connection) {
    const url = new URL(connection.url);
    url.searchParams.set("since", head);
    connection.url = url.href;
  }

  function tellNotLive() {
    told = true;
    tell("Not live at the moment. Trying to connect again; you can go on writing.");
  }

  function tell(text) {
    clearTimeout(timer);
    status.textContent = text;
    status.hidden = false;
    say(text);
  }

  function say(text) {
    announce.textContent = text;
  }
}
