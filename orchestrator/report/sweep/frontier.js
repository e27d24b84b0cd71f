// Uptake against forgetting: a point a setting. The pointer or the arrow keys find one, a click or Enter shows its curves.
(() => {
  const { points, keys, knee, limit, layout } = values.frontier;
  const element = document.getElementById("frontier");
  const readout = document.getElementById("frontier-readout");
  const note = document.getElementById("frontier-note");
  const source = document.getElementById("frontier-source");
  const keySelect = document.getElementById("frontier-key");
  const scale = document.getElementById("frontier-scale");
  const plain = { control: "diamond", untrained: "x-thin" };
  const symbols = curves.symbols.filter((symbol) => symbol !== "diamond" && symbol !== "x");  // those of controls and the base model
  const MARKS = 4;  // the number of their trace
  let focused = null;

  const style = () => getComputedStyle(document.documentElement);
  const byValue = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const parts = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

  // The colours of a scale, from its least value to its largest: those of the style sheet, and between them.
  function ramp(share) {
    const stops = [0, 1, 2, 3, 4].map((stop) => parts(style().getPropertyValue(`--scale-${stop}`).trim()));
    const at = Math.min(3, Math.floor(share * 4));
    return `rgb(${stops[at].map((from, part) => Math.round(from + (stops[at + 1][part] - from) * (share * 4 - at))).join(",")})`;
  }

  const valuesOf = (key) => [...new Set(key.values.filter((value) => value !== null))].sort(byValue);

  function isWide(key) {
    const found = valuesOf(key);
    return key.scale && found[0] > 0 && found.at(-1) / found[0] > 8;
  }

  // The look of each value of the chosen key: a colour, and a mark when there are few of a key that its label does not tell.
  function looksBy(key) {
    const found = valuesOf(key);
    const wide = isWide(key);
    const [low, high] = [found[0], found.at(-1)].map((value) => (wide ? Math.log(value) : value));
    return new Map(found.map((value, index) => {
      const share = high > low ? ((wide ? Math.log(value) : value) - low) / (high - low) : 0.5;
      const color = key.scale ? ramp(share) : style().getPropertyValue(`--line-${index % 8}`).trim();
      const symbol = keys.indexOf(key) > 0 && (!key.scale || found.length <= symbols.length) ? symbols[index % symbols.length] : "circle";
      return [value, { color, symbol, text: key.texts[key.values.indexOf(value)], share }];
    }));
  }

  function lookOf(number, key, looks) {
    const { arm } = points[number];
    if (plain[arm]) return { color: "var(--ink-soft)", symbol: plain[arm] };
    return (key && looks.get(key.values[number])) ?? { color: "var(--general-0)", symbol: "circle" };
  }

  const xOf = (point) => point.x[0];
  const yOf = (point) => point.y[source.value][0];
  const order = (coordinate) => points.map((_, number) => number).sort((a, b) => coordinate(points[a]) - coordinate(points[b]) || a - b);

  function rangeOf(spans, least) {
    const low = Math.min(...spans.map(([value, below]) => value - below)), high = Math.max(least, ...spans.map(([value, , above]) => value + above));
    const margin = 0.07 * (high - low || 1);
    return [low - margin, high + margin];
  }

  const width = document.createElement("canvas").getContext("2d");

  // Which labels are shown and where: the knee's first, then those of the front; none covers a mark or another label.
  function placeLabels(x, y) {
    const scaleX = (element.clientWidth - 70) / (x[1] - x[0]), scaleY = (element.clientHeight - 70) / (y[1] - y[0]);
    const at = points.map((point) => [xOf(point) * scaleX, -yOf(point) * scaleY]);
    const edge = [x[0] * scaleX, x[1] * scaleX];
    const taken = at.map(([px, py]) => [px - 7, py - 7, px + 7, py + 7]);
    const first = [...points.keys()].sort((a, b) => (b === knee) - (a === knee) || points[b].front - points[a].front || a - b);
    const places = points.map(() => null);
    width.font = `12px ${style().getPropertyValue("--sans")}`;
    for (const number of first) {
      const [px, py] = at[number];
      const long = width.measureText(points[number].label).width + 2;
      const sides = { "bottom right": [8, 8], "top left": [-8 - long, -23], "top right": [8, -23], "bottom left": [-8 - long, 8] };
      const free = Object.entries(sides).find(([, [dx, dy]]) => {
        const box = [px + dx, py + dy, px + dx + long, py + dy + 15];
        if (box[0] < edge[0] || box[2] > edge[1]) return false;
        return taken.every((other) => box[2] < other[0] || other[2] < box[0] || box[3] < other[1] || other[3] < box[1]);
      });
      if (!free || !points[number].label) continue;
      const [dx, dy] = free[1];
      taken.push([px + dx, py + dy, px + dx + long, py + dy + 15]);
      places[number] = free[0];
    }
    return places;
  }

  function errorBars(spans) {
    return { type: "data", symmetric: false, array: spans.map((span) => span[2]), arrayminus: spans.map((span) => span[1]), thickness: 1, width: 0, color: "var(--bars-color)" };
  }

  // Points of the front lie on top of the others, and the knee on top of all.
  const drawn = [...points.keys()].sort((a, b) => (a === knee) - (b === knee) || points[a].front - points[b].front || a - b);
  const size = points.length > 40 ? 10 : 13;

  function markTrace(x, y) {
    const key = keys[Number(keySelect?.value ?? 0)];
    const looks = key ? looksBy(key) : new Map();
    const places = placeLabels(x, y);
    if (key) showScale(key, looks);
    const each = drawn.map((number) => ({ ...points[number], ...lookOf(number, key, looks), place: places[number] }));
    return {
      type: "scatter", mode: "markers+text", cliponaxis: false,
      x: each.map(xOf), y: each.map(yOf), error_x: errorBars(each.map((point) => point.x)), error_y: errorBars(each.map((point) => point.y[source.value])),
      text: each.map((point) => (point.place ? curves.escaped(point.label) : "")), textposition: each.map((point) => point.place ?? "top center"),
      textfont: { color: "var(--ink-soft)", size: 12 }, customdata: each.map(hoverText), hovertemplate: "%{customdata}<extra></extra>",
      marker: {
        size, opacity: 1, symbol: each.map((point) => point.symbol),
        color: each.map((point) => (point.front ? point.color : "var(--surface)")),
        line: { width: 2, color: each.map((point) => point.color) },
      },
    };
  }

  const linesOf = (point) => [point.name, `uptake ${point.uptake}`, point.forgetting[source.value], ...point.facts];
  const hoverText = (point) => linesOf(point).map(curves.escaped).map((line, number) => (number ? line : `<b>${line}</b>`)).join("<br>");

  function figure() {
    const mean = source.value === "";
    const front = order(xOf).filter((number) => points[number].front).map((number) => points[number]);
    const spansY = points.map((point) => point.y[source.value]);
    const near = limit && mean && limit.y < 1.5 * Math.max(...spansY.map((span) => span[0]));
    const x = rangeOf(points.map((point) => point.x), 0), y = rangeOf(spansY, near ? limit.y : 0);
    const line = { type: "scatter", mode: "lines", x: front.map(xOf), y: front.map(yOf), hoverinfo: "skip", visible: mean, line: { color: "var(--ink-faint)", width: 1.5 } };
    const ring = { type: "scatter", mode: "markers", hoverinfo: "skip", cliponaxis: false };
    const top = { ...layout.yaxis, range: y, title: { ...layout.yaxis.title, text: mean ? "forgetting" : `forgetting of ${curves.escaped(source.value)}` } };
    const far = 100 * (x[1] - x[0]);
    const rule = { ...line, visible: Boolean(limit) && mean, x: [x[0] - far, x[1] + far], y: [limit?.y, limit?.y], line: { color: "var(--warn)", width: 1.25, dash: "dash" } };
    const words = { text: limit?.text, xref: "paper", x: 0, xanchor: "left", y: limit?.y, yanchor: "bottom", showarrow: false, font: { color: "var(--warn)", size: 12 } };
    const shown = points.filter((point) => curves.has(point.trials));
    const at = focused === null ? [] : [points[focused]];
    const kneeAt = knee === null ? [] : [points[knee]];
    return {
      data: [
        { ...ring, x: shown.map(xOf), y: shown.map(yOf), marker: { size: 27, color: "var(--halo-color)", line: { width: 0 } } },
        rule,
        line,
        { ...ring, x: kneeAt.map(xOf), y: kneeAt.map(yOf), marker: { size: 22, symbol: "circle-open", color: "var(--spec)", line: { width: 2.5 } } },
        markTrace(x, y),
        { ...ring, x: at.map(xOf), y: at.map(yOf), marker: { size: 32, symbol: "square-open", color: "var(--general-0)", line: { width: 2 } } },
      ],
      layout: {
        ...layout, xaxis: { ...layout.xaxis, range: x }, yaxis: top, uirevision: source.value,
        annotations: limit && mean ? [words] : [],
      },
    };
  }

  // What the colours mean: each value, or the ends of a scale of many.
  function showScale(key, looks) {
    const entry = ({ color, text, symbol }) => {
      const item = document.createElement("span");
      item.append(curves.glyph(symbol, color), text);
      return item;
    };
    const found = [...looks.values()];
    const title = document.createElement("b");
    title.textContent = isWide(key) ? `${key.name}, logarithmic` : key.name;
    if (!key.scale || found.length <= 8) return scale.replaceChildren(title, ...found.map(entry));
    const band = document.createElement("span");
    band.className = "band";
    band.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(ramp).join(", ")})`;
    return scale.replaceChildren(title, found[0].text, band, found.at(-1).text);
  }

  function draw() {
    charts.draw("frontier", figure());
    note.textContent = source.value === "" ? "" : "The front and the knee are those of the mean.";
  }

  function read(number, more = "") {
    const point = points[number];
    const state = point.trials.length === 0 ? "" : curves.has(point.trials) ? "curves shown" : "curves not shown";
    readout.textContent = [...linesOf(point), state].filter(Boolean).join("; ") + `. ${more}`;
  }

  function toggle(number) {
    read(number, curves.toggle(points[number].trials));
  }

  function focus(number) {
    focused = number;
    draw();
    read(number);
  }

  // The neighbour in an order that goes with the key: right and left by uptake, up and down by forgetting.
  function move(key) {
    const along = order(key === "ArrowUp" || key === "ArrowDown" ? yOf : xOf);
    const step = key === "ArrowRight" || key === "ArrowUp" ? 1 : -1;
    if (key === "Home" || key === "End") return along.at(key === "Home" ? 0 : -1);
    if (focused === null) return knee ?? along[0];
    return along[Math.max(0, Math.min(along.length - 1, along.indexOf(focused) + step))];
  }

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (/^(Arrow(Up|Down|Left|Right)|Home|End)$/.test(event.key)) focus(move(event.key));
    else if ((event.key === "Enter" || event.key === " ") && focused !== null) toggle(focused);
    else if (event.key === "Escape") { focused = null; draw(); }
    else return;
    event.preventDefault();
  });
  element.addEventListener("blur", () => { focused = null; draw(); });
  source.addEventListener("change", draw);
  keySelect?.addEventListener("change", draw);
  curves.onChange(draw);
  charts.keepDrawn(draw);
  element.on("plotly_click", ({ points: [hit] }) => { if (hit.curveNumber === MARKS) toggle(drawn[hit.pointNumber]); });
})();
