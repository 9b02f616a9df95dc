// On every page. A page that the browser had kept, and shows again by Back, belongs to who was signed in then: where
// that has ended, or somebody else is signed in, nothing of it is seen. And the server is told that scripts run here.

const { viewer = "" } = document.documentElement.dataset;
const WEEK = 7 * 24 * 3600; // seconds
const LONGEST = 10000; // milliseconds that the server may take to say who is signed in

addEventListener("pageshow", ({ persisted }) => {
  if (persisted) look();
});
document.cookie = `scripts=run; path=/; max-age=${WEEK}; samesite=lax`;

async function look() {
  document.body.style.visibility = "hidden";
  if ((await whoIsSignedIn()) === viewer) document.body.style.visibility = "";
  // From the server, or as the browser says that there is none.
  else location.reload();
}

async function whoIsSignedIn() {
  try {
    const response = await fetch("/accounts/viewer/", { cache: "no-store", signal: AbortSignal.timeout(LONGEST) });
    return response.ok ? (await response.text()).trim() : undefined;
  } catch {
    return undefined;
  }
}

// Scripts that need to know ask by an event, with what is to be done if it is still the same person.
document.addEventListener("who-is-signed-in", async ({ detail }) => {
  if ((await whoIsSignedIn()) === viewer) detail();
});
