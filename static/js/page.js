// What the scripts of a room's page share: what the server has written there of the viewer and the room, and small
// helpers.

export const preferences = document.documentElement.dataset;
export const viewer = preferences.viewer ?? "";
export const live = document.querySelector(".live");
// False if an older part of the conversation is shown.
export const hasSocket = Boolean(live?.hasAttribute("hx-ws:connect"));
export const conversation = document.getElementById("conversation");
export const scroller = document.getElementById("scroller");
// Null for those who only read.
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

// Runs the function if this page's viewer is signed in, perhaps again (session.js).
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

// Signing in again in another tab changes the CSRF token: then the cookie has it, and the page's forms don't.
export function token() {
  return /(?:^|; )csrftoken=(\w+)/.exec(document.cookie)?.[1] ?? "";
}

// A pattern from the server, filled in.
export function filled(pattern, parts) {
  return pattern.replace(/{(\w+)}/g, (all, name) => parts[name]);
}
