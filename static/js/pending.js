// Shows what waits in the outbox (outbox.js) below the conversation, and beside each message what it waits for.

import { composer, preferences, say } from "./page.js";

const list = document.getElementById("pending");
const template = document.getElementById("pending-message");

const WORDS = {
  later: gettext("Not stored yet. It is kept here and sent again by itself."),
  "signed-out": gettext(
    "Not sent: you are signed out. It is kept here. Sign in again, then come back to this page: it is sent then.",
  ),
};
const SPOKEN = {
  later: gettext("Your message is not stored yet. It is kept and sent again by itself."),
  "signed-out": gettext("Your message is not sent, because you are signed out. It is kept here. Sign in again to send it."),
};

document.addEventListener("message-waits", ({ detail: { client_id, body } }) => {
  const item = template.content.firstElementChild.cloneNode(true);
  item.id = `pending-${client_id}`;
  item.querySelector("bdi").textContent = composer.dataset.name;
  item.querySelector(".body p").textContent = body;
  list.append(item);
});

// Beside all that wait, since none overtakes another; spoken only if it is new for one of them.
document.addEventListener("messages-explained", ({ detail: why }) => {
  const places = Array.from(list.querySelectorAll(":scope > :not([data-message]) .meta"));
  const news = places.filter((place) => place.textContent !== WORDS[why]);
  for (const place of news) {
    place.textContent = WORDS[why];
    place.closest("#pending > *").dataset.told = "";
  }
  if (news.length) say(SPOKEN[why]);
});

document.addEventListener("message-stored", ({ detail: { client_id, message, seq } }) => {
  const item = document.getElementById(`pending-${client_id}`);
  const oldest = document.querySelector("#messages > .message");
  const wasTold = item?.dataset.told !== undefined;
  if (item) item.dataset.message = message;
  // One that was stored long ago belongs above what this page shows, and won't arrive.
  if (seq < Number(oldest?.dataset.seq)) item?.remove();
  // If it was announced that something waits, the end of waiting is announced too.
  const isOver = wasTold && !list.querySelector(":scope > [data-told]:not([data-message])");
  if (isOver || preferences.saysSent) say(gettext("Sent"));
});

document.addEventListener("message-returned", ({ detail: { client_id } }) => {
  document.getElementById(`pending-${client_id}`)?.remove();
});

// The message itself may arrive before or after its acknowledgement; its pending copy goes once both have.
document.addEventListener("htmx:after:swap", () => {
  for (const item of list?.querySelectorAll("[data-message]") ?? []) {
    if (document.getElementById(`message-${item.dataset.message}`)) item.remove();
  }
});
