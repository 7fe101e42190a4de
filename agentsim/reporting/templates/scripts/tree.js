"use strict";
// Folds the subtrees of a lineage tree and searches its rows. Without it, all rows are shown.
for (const part of document.querySelectorAll('[data-script="tree"]')) {
  const rows = [...part.querySelectorAll("tbody tr")];
  const input = part.querySelector("input");
  const status = part.querySelector('[role="status"]');
  const names = rows.map((row) => row.cells[0].querySelector("bdi"));
  const below = rows.map((row) => Number(row.dataset.below));
  const depth = rows.map((row) => Number(row.dataset.depth));
  const texts = rows.map((row) => [0, 3, 4].map((at) => row.cells[at].textContent).join("\n").toLowerCase());
  const count = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
  // What was opened (true) or folded (false) by hand: without a search, and in the present one.
  const byHand = new Map();
  let inSearch = new Map();

  // Found rows, and with them all that stand above one.
  const search = (wanted) => {
    const found = new Set(), kept = new Set(), above = [];
    rows.forEach((_, at) => {
      above.length = depth[at];
      above.push(at);
      if (!texts[at].includes(wanted)) return;
      found.add(at);
      above.forEach((one) => kept.add(one));
    });
    return [found, kept];
  };

  const show = () => {
    const wanted = input.value.trim().toLowerCase();
    const [found, kept] = wanted ? search(wanted) : [new Set(), null];
    const changed = wanted ? inSearch : byHand;
    // Of each row above: whether what is below it shows wholly, as far as it was kept, or not at all.
    const modes = [];
    rows.forEach((row, at) => {
      const mode = depth[at] ? modes[depth[at] - 1] : "kept";
      row.hidden = mode === "none" || (mode === "kept" && kept !== null && !kept.has(at));
      row.classList.toggle("found", found.has(at));
      modes.length = depth[at];
      modes.push(row.hidden ? "none" : changed.has(at) ? (changed.get(at) ? "all" : "none") : mode);
    });
    rows.forEach((_, at) => {
      const button = names[at].previousElementSibling;
      if (!button) return;
      const open = rows.slice(at + 1, at + 1 + below[at]).some((row) => !row.hidden);
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "−" : "+";
      names[at].nextElementSibling.hidden = open;
    });
    const shown = rows.filter((row) => !row.hidden).length;
    const agents = new Set([...found].map((at) => names[at].textContent)).size;
    if (wanted && !found.size) status.textContent = "Nothing found";
    else if (wanted) status.textContent = `${count(found.size, "row")} of ${count(agents, "agent")} found, with all above them`;
    else status.textContent = shown < rows.length ? `${shown.toLocaleString("en")} of ${count(rows.length, "row")} shown` : "";
  };

  const change = (at, open) => (input.value.trim() ? inSearch : byHand).set(at, open);
  rows.forEach((row, at) => {
    if (!below[at]) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "fold";
    button.setAttribute("aria-label", `${below[at].toLocaleString("en")} below ${names[at].textContent}`);
    button.addEventListener("click", () => {
      change(at, button.getAttribute("aria-expanded") === "false");
      show();
    });
    const note = document.createElement("span");
    note.className = "folded";
    note.textContent = `+${below[at].toLocaleString("en")}`;
    names[at].before(button);
    names[at].after(note);
  });
  const all = (open) => {
    // The root stays open: a single row would tell nothing.
    rows.forEach((_, at) => { if (below[at]) change(at, open || depth[at] === 0); });
    show();
  };
  input.addEventListener("input", () => {
    inSearch = new Map();
    show();
  });
  part.querySelector(".fold-all").addEventListener("click", () => all(false));
  part.querySelector(".unfold-all").addEventListener("click", () => all(true));
  part.querySelector("tbody").classList.add("foldable");
  part.querySelector(".controls").hidden = false;
  show();
}
