// The table of trials: filtered, with buttons that show curves and copy commands.
(() => {
  const table = document.getElementById("trials");
  const find = document.getElementById("trials-find");
  const state = document.getElementById("trials-state");
  const count = document.getElementById("trials-count");
  const status = document.getElementById("trials-status");
  // What a cell can be found by: what it shows and is sorted by, the command itself, and nothing of buttons.
  function textOf(cell) {
    const text = cell.querySelector("code")?.textContent ?? (cell.querySelector("button") ? "" : cell.textContent);
    return `${text}\n${cell.dataset.key ?? ""}`.toLowerCase();
  }

  const rows = [...table.tBodies[0].rows].map((row) => ({
    row,
    number: Number(row.dataset.number),
    text: [...row.cells].map(textOf).join("\n"),
    state: row.querySelector(".state").lastChild.textContent.trim(),
    show: row.querySelector(".show"),
  }));

  function filter() {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const entry of rows) {
      const fits = entry.text.includes(wanted) && (state.value === "" || entry.state === state.value);
      entry.row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === rows.length ? `${shown} trials` : `${shown} of ${rows.length} trials`;
  }

  // From a page on disk, where a browser may not have or grant the clipboard's newer way.
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  async function copyOf(button) {
    const code = button.parentElement.querySelector("code");
    const done = await copy(code.textContent);
    button.focus();
    status.textContent = done ? "The command is copied." : "The browser does not let it be copied; it is shown beside the button.";
    if (!done && code.closest("details")) code.closest("details").open = true;
    button.textContent = done ? "copied" : "copy";
    button.addEventListener("blur", () => { button.textContent = "copy"; }, { once: true });
  }

  function showChosen() {
    for (const entry of rows) entry.show.setAttribute("aria-pressed", String(curves.has([entry.number])));
  }

  table.tBodies[0].addEventListener("click", ({ target }) => {
    if (target.matches(".show")) curves.toggle([Number(target.closest("tr").dataset.number)]);
  });
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copyOf(button));
  find.addEventListener("input", filter);
  state.addEventListener("change", filter);
  filter();
  curves.onChange(showChosen);
  showChosen();
})();
