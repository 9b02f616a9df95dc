// What the outbox stores of a message: its text, its id and how sending went.

// An empty list if it is invalid, so that one bad entry doesn't lose the others.
export function entryOf(json) {
  try {
    const entry = JSON.parse(json);
    return typeof entry.body === "string" && /^[\da-f-]{36}$/.test(entry.client_id) ? [entry] : [];
  } catch {
    return [];
  }
}

// Begins the keys under which one account's messages wait in the browser's storage; the room follows.
export function prefixOf(viewer) {
  return `outbox:#${viewer}:`;
}

// crypto.randomUUID is missing on plain http outside loopback.
export function newId() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  random[6] = (random[6] & 0x0f) | 0x40;
  random[8] = (random[8] & 0x3f) | 0x80;
  const hex = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
