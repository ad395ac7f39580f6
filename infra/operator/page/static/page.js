"use strict";
// A search or a change may take seconds: the page says so, and a second press does nothing.
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    form.querySelector(".busy").textContent = form.dataset.busy;
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
}
// A page that comes back from the browser's cache is busy no more.
addEventListener("pageshow", (shown) => {
  if (!shown.persisted) return;
  for (const words of document.querySelectorAll(".busy")) words.textContent = "";
  for (const button of document.querySelectorAll("form[data-busy] button")) button.disabled = false;
});
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}
