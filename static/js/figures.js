// Draws the figures of a page. The server made them; each is JSON in a script tag that names where it goes.
(() => {
  "use strict";
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function themed(layout) {
    const axis = { gridcolor: style("--line"), linecolor: style("--line"), zerolinecolor: style("--line"), automargin: true };
    const axes = {};
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      axes[name] = { ...layout[name], ...axis };
      if (layout[name].title) axes[name].title = { ...layout[name].title, standoff: 8 }; // clear of the numbers
    }
    return {
      ...layout, ...axes, autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { ...layout.font, color: style("--ink"), family: "Inter, sans-serif", size: 12 },
    };
  }

  function draw(source) {
    const place = document.getElementById(source.dataset.figure);
    if (!place || !window.Plotly) return;
    // the same two colours, a little lighter in the dark theme
    const figure = JSON.parse(source.textContent.replaceAll("#0072b2", style("--blue")).replaceAll("#e69f00", style("--orange")));
    place.style.height = `${figure.layout.height || 300}px`;
    Plotly.react(place, figure.data, themed(figure.layout), { displayModeBar: false, responsive: true });
  }

  const drawAll = (root) => root.querySelectorAll("script[data-figure]").forEach(draw);
  document.addEventListener("DOMContentLoaded", () => {
    drawAll(document);
    // the theme is a class of <html>: draw again in its colours
    new MutationObserver(() => drawAll(document)).observe(document.documentElement, { attributeFilter: ["class"] });
  });
  // a part that is loaded anew keeps open what somebody has opened in it
  let opened = new Set();
  const parts = () => [...document.querySelectorAll("details:has(> summary)")];
  const title = (part) => part.firstElementChild.textContent;
  document.addEventListener("htmx:beforeSwap", () => { opened = new Set(parts().filter((part) => part.open).map(title)); });
  document.addEventListener("htmx:afterSettle", () => {
    parts().filter((part) => opened.has(title(part))).forEach((part) => { part.open = true; });
    drawAll(document);
  });
})();
