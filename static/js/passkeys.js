// Passkeys need JavaScript. Shows what offers them, and says what went wrong.

const section = document.getElementById("passkey-section");
const problem = document.getElementById("passkey-problem");

if (section && window.PublicKeyCredential) section.hidden = false;

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  console.info(event.detail.exception);
  problem.textContent = reason(event.detail.exception);
});

function reason(exception) {
  if (/^[\d.]+$|^\[/.test(location.hostname)) {
    return gettext("Browsers do not make passkeys for an address of numbers. Open this site by its name, such as localhost.");
  }
  if (exception.name === "NotAllowedError") return gettext("No passkey was used. Try again, or sign in another way.");
  if (exception.name === "InvalidStateError") return gettext("This device has a passkey for your account already.");
  return gettext("The passkey could not be used. Try again, or sign in another way.");
}
