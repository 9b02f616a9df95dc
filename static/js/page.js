// What several scripts of a room's page know of it, as the server wrote it there. Of the viewer, the root has it; of the
// room, the part of the page that is live.

export const preferences = document.documentElement.dataset;
export const viewer = preferences.viewer ?? "";
export const live = document.querySelector(".live");
// Not where an older part of the conversation is shown.
export const hasSocket = Boolean(live?.hasAttribute("hx-ws:connect"));
export const conversation = document.getElementById("conversation");
export const scroller = document.getElementById("scroller");
// Nothing for who only reads along.
export const composer = document.getElementById("composer");
export const box = document.getElementById("composer-body");
export const { author, room } = composer?.dataset ?? {};

export function emit(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

// To be spoken, one after another (announcer.js).
export function say(text) {
  emit("say", text);
}

// Acts if this page's viewer is signed in, perhaps again (session.js).
export function ifStillSignedIn(act) {
  emit("who-is-signed-in", act);
}

// In a new tab: what was typed here would be lost.
export function signInLink() {
  const link = document.createElement("a");
  link.href = live.dataset.signIn;
  link.target = "_blank";
  link.textContent = gettext("Sign in (opens a new tab)");
  return link;
}

export function isFocusLost() {
  return !document.activeElement || document.activeElement === document.body;
}

// Of this site's forms. Whoever signs in anew in another tab gets another one, which the cookie has and forms have not.
export function token() {
  return /(?:^|; )csrftoken=(\w+)/.exec(document.cookie)?.[1] ?? "";
}

// A pattern of the server's with its parts put in.
export function filled(pattern, parts) {
  return pattern.replace(/{(\w+)}/g, (all, name) => parts[name]);
}
