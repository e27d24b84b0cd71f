// Tables that are sorted by the column whose header is pressed; pressed again, the other way.
(() => {
  // By what a cell is sorted: a number if it is one; nothing for an empty one.
  function keyOf(cell) {
    const text = cell.dataset.key ?? cell.textContent.trim();
    if (text === "" || text === "–") return null;
    return Number.isFinite(Number(text)) ? Number(text) : text;
  }

  function compare(one, other, sign) {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    return sign * String(one).localeCompare(String(other), "en", { numeric: true });
  }

  function sort(header, rows) {
    const headers = [...header.parentElement.cells];
    const column = headers.slice(0, header.cellIndex).reduce((columns, cell) => columns + cell.colSpan, 0);
    const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const keyed = rows.map((row, place) => [keyOf(row.cells[column]), place, row]);
    keyed.sort(([one, a], [other, b]) => compare(one, other, sign) || a - b);
    rows[0].parentElement.append(...keyed.map(([, , row]) => row));
  }

  // Long tables are laid out once the charts have been seen, or before, when they are scrolled to.
  addEventListener("load", () => setTimeout(() => {
    for (const box of document.querySelectorAll(".late")) box.classList.remove("late");
  }, 300));

  for (const table of document.querySelectorAll("table.sorted")) {
    const rows = [...table.tBodies[0].rows];
    for (const button of table.querySelectorAll(".sort")) button.addEventListener("click", () => sort(button.parentElement, rows));
  }
})();
