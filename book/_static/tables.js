// A table of sentences is too wide for a phone: there its rows lie below each other, each cell under the name of its
// column (book.css). Tables of numbers stay tables.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".bd-article table.table")) {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.innerText.trim());
    const rows = [...table.querySelectorAll("tbody tr")];
    const whole = rows.every((row) => row.cells.length === names.length);
    const longest = Math.max(0, ...rows.flatMap((row) => [...row.cells].slice(1).map((cell) => cell.innerText.length)));
    if (names.length < 3 || !whole || longest < 40 || table.matches(".claims, .written")) continue;
    table.classList.add("cards");
    for (const row of rows) [...row.cells].forEach((cell, i) => i && names[i] && (cell.dataset.column = names[i]));
  }
});
