"use strict";
// Shows of all reports those that have every word in the field.
{
  const search = document.querySelector(".search");
  const reports = Array.from(document.querySelectorAll(".reports > li"));
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  if (search) {
    const field = search.querySelector("input");
    const told = search.querySelector("output");
    const texts = reports.map((report) => plain(report.textContent));

    const filter = () => {
      const words = plain(field.value).split(/\s+/).filter(Boolean);
      let found = 0;
      reports.forEach((report, place) => {
        report.hidden = !words.every((word) => texts[place].includes(word));
        found += report.hidden ? 0 : 1;
      });
      told.textContent = words.length ? `${found} of ${reports.length} reports` : `${reports.length} reports`;
    };

    field.addEventListener("input", filter);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        field.value = "";
        filter();
      }
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        field.focus();
        field.select();
      }
    });
    search.hidden = false;
    // A browser that comes back to the page may have kept what stood in the field.
    window.addEventListener("pageshow", filter);
  }
}
