// Shows what comes of a task while it goes on, and copies texts. Every page says the same without it.
"use strict";

const PAUSE = 500;

async function watch(region) {
  let shown = region.innerHTML.trim();
  while (region.querySelector("[data-goes-on]")) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    try {
      const answer = await fetch(region.dataset.watch, { headers: { "X-Part": "1" } });
      if (answer.status === 401) return location.assign("/app/login");
      if (!answer.ok) continue;
      const text = (await answer.text()).trim();
      if (text !== shown) {
        region.innerHTML = shown = text;
      }
    } catch {
      // The server is away for the moment; it is asked again.
    }
  }
}

for (const region of document.querySelectorAll("[data-watch]")) watch(region);

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const words = button.innerHTML;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it instead";
    }
    setTimeout(() => (button.innerHTML = words), 2000);
  });
}
