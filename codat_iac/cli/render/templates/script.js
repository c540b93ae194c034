
"use strict";
(() => {
  // Filtering, and copying links. Without scripts the page shows everything, and a link is there to select.
  const bar = document.querySelector(".filter");
  if (bar) {
    const field = document.getElementById("filter");
    const said = document.getElementById("shown");
    const chips = [...bar.querySelectorAll("[data-kind]")];
    const groups = [...document.querySelectorAll("[data-group]")].map(group => ({
      group,
      rows: [...group.querySelectorAll("[data-row]")].map(row => ({
        row,
        text: row.textContent.replace(/\s+/g, " ").toLowerCase(),
        kinds: row.dataset.kinds ? row.dataset.kinds.split(" ") : null,
      })),
    }));
    const pressed = chip => chip.getAttribute("aria-pressed") === "true";
    const all = groups.reduce((sum, { rows }) => sum + rows.length, 0);
    const apply = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = chips.filter(pressed).map(chip => chip.dataset.kind);
      let shown = 0;
      for (const { group, rows } of groups) {
        let here = 0;
        for (const { row, text, kinds } of rows) {
          const fits = words.every(word => text.includes(word))
            && (!wanted.length || (kinds !== null && wanted.some(kind => kinds.includes(kind))));
          row.hidden = !fits;
          here += fits;
        }
        group.hidden = !here;
        shown += here;
      }
      const filtered = words.length || wanted.length;
      said.textContent = filtered ? `${shown.toLocaleString("en")} of ${all.toLocaleString("en")}` : "";
    };
    let timer;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, 120);
    });
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(!pressed(chip)));
        apply();
      });
    }
    bar.hidden = false;
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const url = button.closest("[data-row]").querySelector(".url");
      try {
        await navigator.clipboard.writeText(url.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(url);
        button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C";
      }
      setTimeout(() => { button.textContent = "Copy link"; }, 2000);
    });
  }
})();
