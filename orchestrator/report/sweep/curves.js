// The curves of chosen trials: two charts over steps, and a chip for each trial.
const curves = (() => {
  const { sources, trials, steps, shown, most, layouts } = values.curves;
  const dashes = ["solid", "dash", "dot", "dashdot"];
  const symbols = ["circle", "square", "diamond", "triangle-up", "x", "triangle-down", "pentagon", "cross"];
  const shapes = {
    circle: "M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0Z", square: "M-4-4H4V4H-4Z", diamond: "M0-5L5 0L0 5L-5 0Z",
    "triangle-up": "M0-5L5 4H-5Z", x: "M-4-2L-2-4L0-2L2-4L4-2L2 0L4 2L2 4L0 2L-2 4L-4 2L-2 0Z",
    "triangle-down": "M0 5L5-4H-5Z", pentagon: "M0-5L5-1L3 5H-3L-5-1Z", cross: "M-2-5H2V-2H5V2H2V5H-2V2H-5V-2H-2Z",
  };
  const chips = document.getElementById("chips");
  const status = document.getElementById("curves-status");
  const select = document.getElementById("curves-source");
  const listeners = [];
  const looks = new Map();  // setting -> its colour and mark, for as long as one of its trials is shown
  let chosen = [];  // numbers of trials, the oldest first

  const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);
  const named = (number) => `${trials[number].id} (${trials[number].name})`;

  function lookOf(number) {
    const { group } = trials[number];
    const seed = trials.slice(0, number).filter((trial) => trial.group === group).length;
    const look = looks.get(group);
    return { color: `var(--line-${look})`, symbol: symbols[look], dash: dashes[seed % dashes.length] };
  }

  // Gives each shown setting the first look that none of the others has.
  function dealLooks() {
    const groups = new Set(chosen.map((number) => trials[number].group));
    for (const group of looks.keys()) if (!groups.has(group)) looks.delete(group);
    for (const group of groups) {
      const taken = new Set(looks.values());
      if (!looks.has(group)) looks.set(group, symbols.findIndex((_, look) => !taken.has(look)));
    }
  }

  function trace(number, xs, ys, hover) {
    const { color, symbol, dash } = lookOf(number);
    const { id, name } = trials[number];
    return {
      type: "scatter", mode: "lines+markers", name: escaped(`${id}: ${name}`), x: steps[xs], y: ys, line: { color, dash, width: 2 },
      marker: { color, symbol, size: 8, maxdisplayed: 7 }, hovertemplate: `%{fullData.name} ${hover}<extra></extra>`,
    };
  }

  function draw() {
    const source = Number(select.value);
    drawChart("curves-heldout", layouts[0], "%{y:+.2f} %", (own) => [own.heldoutSteps, own.heldout[source]]);
    drawChart("curves-losses", layouts[1], "%{y:.4f}", (own) => [own.steps, own.losses[source]]);
  }

  function drawChart(id, layout, hover, seriesOf) {
    const series = chosen.map((number) => [number, ...seriesOf(trials[number].curves)]).filter(([, , ys]) => ys);
    const data = series.map(([number, xs, ys]) => trace(number, xs, ys, hover));
    const last = Math.max(1, ...data.map((one) => one.x.at(-1)));
    const text = chosen.length ? "of this source, these trials have none" : "no trial is chosen";
    const note = { text, showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5, font: { size: 14 } };
    const xaxis = { ...layout.xaxis, range: [-0.02 * last, 1.02 * last] };
    const annotations = data.length ? [] : [note];
    charts.draw(id, { data, layout: { ...layout, xaxis, annotations, uirevision: `${select.value} ${chosen}` } });
  }

  // A picture of a mark, with a line through it where a dash is given.
  function glyph(symbol, color, dash) {
    const holder = document.createElement("span");
    const line = dash ? `<line class="${dash}" x1="-16" x2="16" stroke-width="2.5"/>` : "";
    const box = dash ? "-16 -6 32 12" : "-6 -6 12 12";
    holder.innerHTML = `<svg class="glyph" viewBox="${box}" aria-hidden="true">${line}<path d="${shapes[symbol]}"/></svg>`;
    holder.firstChild.style.setProperty("--c", color);
    return holder.firstChild;
  }

  function chipOf(number) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const { color, symbol, dash } = lookOf(number);
    button.type = "button";
    button.title = "hide";
    const text = document.createElement("span");
    text.textContent = trials[number].name;
    const id = document.createElement("span");
    id.className = "id";
    id.textContent = trials[number].id;
    button.append(glyph(symbol, color, dash), text, id, "×");
    button.setAttribute("aria-label", `Hide the curves of ${named(number)}`);
    button.addEventListener("click", () => {
      const place = chosen.indexOf(number);
      toggle([number]);
      const next = chips.querySelectorAll("button")[Math.min(place, chosen.length - 1)];
      (next ?? select).focus();
    });
    item.append(button);
    return item;
  }

  function show() {
    dealLooks();
    chips.replaceChildren(...chosen.map(chipOf));
    draw();
    for (const listener of listeners) listener();
  }

  const drawable = (numbers) => numbers.filter((number) => trials[number].curves).slice(0, most);

  // Whether all curves that there are of some trials are shown.
  function has(numbers) {
    const able = drawable(numbers);
    return able.length > 0 && able.every((number) => chosen.includes(number));
  }

  // Shows the curves of some trials, or hides them when all of them are shown; says what it did.
  function toggle(numbers) {
    const able = drawable(numbers);
    if (able.length === 0) return "It has no curves.";
    const hides = has(able);
    const rest = chosen.filter((number) => !able.includes(number));
    const all = hides ? rest : [...rest, ...able];
    const gone = all.slice(0, Math.max(0, all.length - most));
    chosen = all.slice(-most);
    status.textContent = gone.length ? `${gone.map(named).join(", ")} made room: at most ${most} are shown.` : "";
    show();
    return hides ? "Its curves are hidden." : "Its curves are shown.";
  }

  chosen = shown;
  dealLooks();
  chips.replaceChildren(...chosen.map(chipOf));
  charts.keepDrawn(draw);
  select.addEventListener("change", draw);
  return { toggle, has, onChange: (listener) => listeners.push(listener), escaped, symbols, glyph };
})();
