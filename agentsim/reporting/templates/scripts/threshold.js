"use strict";
// Moves the threshold of the anomaly report. Every text was made in Python; only costs are worked out here.
(() => {
  for (const part of document.querySelectorAll('[data-script="threshold"]')) {
    const data = JSON.parse(part.querySelector('script[type="application/json"]').textContent);
    const find = (selector) => part.querySelector(selector);
    const range = find('input[type="range"]'), said = find("output"), here = find("svg .here");
    const field = (name) => find(`[name="${name}"]`);
    const show = (name, text) => { const place = find(`[data-shown="${name}"]`); if (place) place.textContent = text; };
    const rows = [...part.querySelectorAll("[data-kind]")];
    const bars = [...part.querySelectorAll(".bar i")];

    const cost = (at) =>
      (data.missed[at] * field("missed").value + data.wrong[at] * field("false_alarm").value) / data.days;
    const money = (value) => value.toLocaleString("en-GB", { maximumFractionDigits: value < 100 ? 2 : 0 });

    const moved = () => {
      const at = Number(range.value), across = 100 * at / Math.max(1, data.score.length - 1);
      here.setAttribute("x1", across);
      here.setAttribute("x2", across);
      show("score", data.score[at]);
      for (const [name, texts] of Object.entries(data.figures)) find(`[data-figure="${name}"]`).textContent = texts[at];
      rows.forEach((row, kind) => { row.textContent = data.kinds[kind][at]; });
      bars.forEach((bar, kind) => { bar.style.width = `${data.shares[kind][at]}%`; });
      show("stopped", data.stopped[at]);
      show("cost", money(cost(at)));
      range.setAttribute("aria-valuetext", `${data.score[at]}, ${data.figures.alerts_per_day[at]} alerts a day`);
      said.textContent = data.sentences[at];
    };
    const go = (at) => { range.value = at; moved(); };
    const toBudget = () => {
      const within = data.alerts_per_day.filter((alerts) => alerts <= Number(field("budget").value)).length;
      go(Math.max(0, within - 1));
    };
    const toCheapest = () => {
      const costs = data.score.map((_, at) => cost(at));
      go(costs.indexOf(Math.min(...costs)));
    };

    range.addEventListener("input", () => { field("budget").value = ""; moved(); });
    field("budget").addEventListener("input", () => { if (field("budget").value !== "") toBudget(); });
    for (const name of ["missed", "false_alarm"]) field(name).addEventListener("input", moved);
    field("default").addEventListener("click", () => { field("budget").value = ""; go(data.default); });
    field("cheapest").addEventListener("click", () => { field("budget").value = ""; toCheapest(); });
    for (const controls of part.querySelectorAll(".controls")) controls.hidden = false;
    find(".without").hidden = true;
    // A browser may have kept where the range stood before the page was loaded again.
    go(data.default);
  }
})();
