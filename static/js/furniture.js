// Puts what only scripts use into the page. It comes as data, since text browsers show dialogs and templates to
// everyone.

const data = document.getElementById("furniture");
if (data) document.body.insertAdjacentHTML("beforeend", JSON.parse(data.textContent));
