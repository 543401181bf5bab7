// Updates the progress of a task, shows the current tab, and copies texts. Every page works without it.
"use strict";

const PAUSE = 500;
const LONGEST_PAUSE = 3000;
const SLOWER = 1.05; // Factor of the pause after a response without news.
const MOST_FAILURES = 10; // In a row: the server may be restarting.

async function watch(region) {
  let shown = region.innerHTML.trim();
  let pause = PAUSE;
  let failures = 0;
  while (region.querySelector("[data-in-progress]")) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * SLOWER, LONGEST_PAUSE);
    const answer = await read(region.dataset.watch);
    if (answer.status === 401) return location.assign("/app/login");
    if (answer.status === 200) {
      failures = 0;
      if (answer.text !== shown) {
        region.innerHTML = shown = answer.text;
        pause = PAUSE;
      }
    } else if ((answer.status >= 400 && answer.status < 500) || ++failures === MOST_FAILURES) {
      region.parentElement.querySelector("[data-lost]").hidden = false;
      return;
    }
  }
}

async function read(address) {
  try {
    const answer = await fetch(address, { headers: { "X-Part": "1" } });
    return { status: answer.status, text: (await answer.text()).trim() };
  } catch {
    return { status: 0 }; // No connection.
  }
}

for (const region of document.querySelectorAll("[data-watch]")) watch(region);

document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const label = button.innerHTML;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select it instead";
    }
    setTimeout(() => (button.innerHTML = label), 2000);
  });
}
