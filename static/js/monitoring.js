// A dashboard that stays true while it is open, and its figures as PNG files.
(() => {
  "use strict";
  const PARTS = [".st > .head", "#board"];

  // ---- live: ask for the page again, with what tells the server which state of it is shown
  function follow(place) {
    const every = 1000 * Number(place.dataset.live), said = place.querySelector("span"), button = place.querySelector("button");
    if (!every) return;
    let tag = place.dataset.tag, paused = false, timer = 0, running = false;
    const now = () => new Date().toISOString().slice(11, 19);

    async function ask() {
      if (running || paused || document.hidden) return;
      running = true;
      try {
        const answer = await fetch(location.href, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
        if (answer.status === 200 && !answer.redirected) {
          tag = answer.headers.get("ETag");
          put(await answer.text());
        } else if (answer.status !== 304) {
          said.textContent = answer.redirected ? "Log in again to follow." : `The site answered ${answer.status}; trying again.`;
          if (answer.redirected) stop();
          return;
        }
        said.textContent = `As of ${now()} UTC, again every ${every / 1000} s.`;
      } catch {
        said.textContent = `The site does not answer since ${now()} UTC; trying again.`;
      } finally {
        running = false;
      }
    }
    const start = () => { stop(); timer = setInterval(ask, every); };
    const stop = () => clearInterval(timer);
    button.hidden = false;
    button.addEventListener("click", () => {
      paused = !paused;
      button.textContent = paused ? "Follow" : "Pause";
      if (paused) said.textContent = `As of ${now()} UTC, paused.`;
      else ask();
    });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
    start();
  }

  function put(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    document.dispatchEvent(new Event("htmx:beforeSwap")); // figures.js keeps open what is open
    for (const part of PARTS) {
      const old = document.querySelector(part), made = fresh.querySelector(part);
      if (!old || !made) continue;
      if (window.Plotly) old.querySelectorAll(".js-plotly-plot").forEach((plot) => Plotly.purge(plot));
      old.replaceWith(document.adoptNode(made));
    }
    document.dispatchEvent(new Event("htmx:afterSettle"));
  }

  // ---- PNG: drawn by the browser; through an SVG in a data address, which the page's policy allows
  async function png(button) {
    const plot = document.getElementById(button.dataset.png);
    if (!plot || !window.Plotly) return;
    const width = 1000, height = 520, title = button.closest(".card").querySelector("h3").firstChild.textContent.trim();
    const image = new Image();
    // an image has none of the page's fonts: measured in another, words would be cut
    const font = { ...plot.layout.font, family: "sans-serif" }, margin = { ...plot.layout.margin, t: 80 };
    const layout = { ...plot.layout, font, margin, autosize: false, title: { text: title, x: 0.02, y: 0.97 } };
    image.src = await Plotly.toImage({ data: plot.data, layout }, { format: "svg", width, height });
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--card").trim() || "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => {
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${button.dataset.name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }, "image/png");
  }

  document.addEventListener("DOMContentLoaded", () => { document.querySelectorAll("[data-live]").forEach(follow); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-png]");
    if (button) png(button);
  });
})();
