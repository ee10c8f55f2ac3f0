// Sorting and filters for the table of claims. Without scripts the table is shown whole, in the order of the register.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.claims")) {
    const rows = [...table.tBodies[0].rows];
    const heads = [...table.tHead.rows[0].cells];
    const column = (name) => heads.findIndex((head) => head.innerText.trim() === name);

    const bar = document.createElement("form");
    bar.className = "claims-filter";
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "filter: words in any column";
    field.setAttribute("aria-label", "words that a row must have");
    const menu = (label, options) => {
      const select = document.createElement("select");
      select.setAttribute("aria-label", label);
      for (const [value, text] of [["", `any ${label}`], ...options]) select.add(new Option(text, value));
      return select;
    };
    const scales = [...new Set(rows.map((row) => row.className.match(/scale-(\w+)/)?.[1]))].map((s) => [s, s]);
    const scale = menu("scale", scales);
    const words = (row) => row.cells[column("verdict")].querySelector("strong")?.innerText ?? "";
    const verdict = menu("verdict", [...new Set(rows.map(words))].filter(Boolean).map((v) => [v, v]));
    // What is folded away is not searched: a word in it would find rows that do not show it.
    const shownText = new Map(
      rows.map((row) => {
        const copy = row.cloneNode(true);
        copy.querySelectorAll("details").forEach((folded) => folded.remove());
        return [row, copy.textContent.toLowerCase()];
      }),
    );
    const count = document.createElement("output");
    bar.append(field, scale, verdict, count);
    table.before(bar);

    const show = () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = shownText.get(row);
        const fits =
          wanted.every((word) => text.includes(word)) &&
          (!scale.value || row.classList.contains(`scale-${scale.value}`)) &&
          (!verdict.value || words(row) === verdict.value);
        row.hidden = !fits;
        shown += fits;
      }
      count.value = `${shown} of ${rows.length} claims`;
    };
    bar.addEventListener("input", show);
    bar.addEventListener("submit", (event) => event.preventDefault());

    // Durations are sorted as such; everything else as text in which numbers count as numbers.
    const units = { s: 1, min: 60, h: 3600, days: 86400 };
    const seconds = (text) => {
      const found = text.match(/^([\d.]+) (s|min|h|days)/);
      return found ? found[1] * units[found[2]] : Infinity;
    };
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[index].innerText.trim();
        const order = (a, b) =>
          index === column("cost")
            ? seconds(key(a)) - seconds(key(b)) || 0
            : key(a).localeCompare(key(b), "en", { numeric: true });
        table.tBodies[0].append(...[...rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
      });
    });

    // A link to one claim finds it even if it is filtered out later.
    document.querySelector(`${location.hash || "#none"}`)?.scrollIntoView();
    show();
  }
});
