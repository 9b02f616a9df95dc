// On every page. A page that the browser kept and shows again after Back belongs to the user who was signed in then: it
// stays hidden if they no longer are. Also tells the server that scripts run here.

const { viewer = "" } = document.documentElement.dataset;
const WEEK_SECONDS = 7 * 24 * 3600;
const TIMEOUT_MS = 10000;

addEventListener("pageshow", ({ persisted }) => {
  if (persisted) look();
});
document.cookie = `scripts=run; path=/; max-age=${WEEK_SECONDS}; samesite=lax`;

async function look() {
  document.body.style.visibility = "hidden";
  if ((await whoIsSignedIn()) === viewer) document.body.style.visibility = "";
  // From the server, or the browser's page that says it can't be reached.
  else location.reload();
}

async function whoIsSignedIn() {
  try {
    const response = await fetch("/accounts/viewer/", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? (await response.text()).trim() : undefined;
  } catch {
    return undefined;
  }
}

// Other scripts ask by this event, with a function to run if it is still the same user (page.js).
document.addEventListener("who-is-signed-in", async ({ detail }) => {
  if ((await whoIsSignedIn()) === viewer) detail();
});
