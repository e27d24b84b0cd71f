// Uptake against forgetting: a point a setting. The pointer or the arrow keys find one, a click or Enter shows its curves.
(() => {
  const { points, keys, knee, limit, layout } = values.frontier;
  const [element, readout, note, source, gainSelect, keySelect] = ["", "-readout", "-note", "-source", "-gain", "-key"]
    .map((end) => document.getElementById(`frontier${end}`));
  const MARKS = 4;  // the number of their trace
  const margin = 70;  // about what axes take of the picture, in pixels
  const size = points.length > 40 ? 10 : 13;
  let focused = null;
  let drawnWidth = 0;
  let tapped = -Infinity;  // when, in milliseconds

  const gain = () => gainSelect?.value ?? "";  // a probe, or the held-out loss of the spec
  const xOf = (point) => point.x[gain()][0];
  const yOf = (point) => point.y[source.value][0];
  const numbers = [...points.keys()];
  const order = (coordinate) => [...numbers].sort((a, b) => coordinate(points[a]) - coordinate(points[b]) || a - b);
  const front = () => order(xOf).filter((number) => points[number].front);
  const knees = (a, b) => (a === knee) - (b === knee);
  const drawn = [...numbers].sort((a, b) => knees(a, b) || points[a].front - points[b].front || a - b);  // the knee on top of all

  function rangeOf(spans, least) {
    const low = Math.min(...spans.map(([value, below]) => value - below));
    const high = Math.max(least, ...spans.map(([value, , above]) => value + above));
    const beside = 0.07 * (high - low || 1);
    return [low - beside, high + beside];
  }

  function placesOf([left, right], [bottom, top]) {
    const across = (element.clientWidth - margin) / (right - left), up = (element.clientHeight - margin) / (top - bottom);
    const at = points.map((point) => [xOf(point) * across, -yOf(point) * up]);
    return labels.place(points.map((point) => point.label), at, [...drawn].reverse(), [left * across, right * across]);
  }

  function bars(spans) {
    const ends = { array: spans.map((span) => span[2]), arrayminus: spans.map((span) => span[1]) };
    return { type: "data", symmetric: false, ...ends, thickness: 1, width: 0, color: "var(--bars-color)" };
  }

  const linesOf = (point) => [point.name, point.gain[gain()], point.forgetting[source.value], ...point.facts];

  function hoverText(point) {
    const [name, ...lines] = linesOf(point).map(curves.escaped);
    return [`<b>${name}</b>`, ...lines].join("<br>");
  }

  function marks(x, y) {
    const looks = scales.looksBy(keys[Number(keySelect?.value ?? 0)]);
    const places = placesOf(x, y);
    const each = drawn.map((number) => ({ ...points[number], ...looks[number], place: places[number] }));
    return {
      type: "scatter", mode: "markers+text", cliponaxis: false, x: each.map(xOf), y: each.map(yOf),
      error_x: bars(each.map((point) => point.x[gain()])), error_y: bars(each.map((point) => point.y[source.value])),
      text: each.map((point) => (point.place ? curves.escaped(point.label) : "")),
      textposition: each.map((point) => point.place ?? "top center"), textfont: { color: "var(--ink-soft)", size: labels.size },
      customdata: each.map(hoverText), hovertemplate: "%{customdata}<extra></extra>",
      marker: {
        size, opacity: 1, symbol: each.map((point) => point.symbol), line: { width: 2, color: each.map((point) => point.color) },
        color: each.map((point) => (point.front ? point.color : "var(--surface)")),
      },
    };
  }

  function line(x, y, look, visible) {
    return { type: "scatter", mode: "lines", hoverinfo: "skip", x, y, line: look, visible };
  }

  // Something around some points.
  function around(some, marker) {
    return { type: "scatter", mode: "markers", hoverinfo: "skip", cliponaxis: false, x: some.map(xOf), y: some.map(yOf), marker };
  }

  function limitText(y) {
    const font = { color: "var(--warn)", size: 12 };
    return { text: limit.text, xref: "paper", x: 0, xanchor: "left", y, yanchor: "bottom", showarrow: false, font };
  }

  const isMean = () => source.value === "";
  const largest = () => Math.max(...points.map(yOf));
  const isOwn = () => isMean() && gain() === "";  // what the front and the knee are of
  const showsLimit = () => limit !== null && isMean() && limit.y < 1.5 * largest();

  const gainTitle = () => `probe ${curves.escaped(gain())}: items answered right, change in percentage points`;

  function figure() {
    const x = rangeOf(points.map((point) => point.x[gain()]), 0);
    const y = rangeOf(points.map((point) => point.y[source.value]), showsLimit() ? limit.y : 0);
    const far = 100 * (x[1] - x[0]);
    const shown = points.filter((point) => curves.has(point.trials));
    const [onFront, at, kneeAt] = [front(), [focused], [knee]].map((some) => some.filter((n) => n !== null).map((n) => points[n]));
    const across = gain() === "" ? layout.xaxis : { ...layout.xaxis, ticksuffix: "", title: { ...layout.xaxis.title, text: gainTitle() } };
    const title = isMean() ? "forgetting" : `forgetting of ${curves.escaped(source.value)}`;
    return {
      config: { doubleClick: false },  // two quick clicks are two clicks
      data: [
        around(shown, { size: 27, color: "var(--halo-color)", line: { width: 0 } }),
        line([x[0] - far, x[1] + far], [limit?.y, limit?.y], { color: "var(--warn)", width: 1.25, dash: "dash" }, showsLimit()),
        line(onFront.map(xOf), onFront.map(yOf), { color: "var(--ink-faint)", width: 1.5 }, isOwn()),
        around(kneeAt, { size: 22, symbol: "circle-open", color: "var(--spec)", line: { width: 2.5 } }),
        marks(x, y),
        around(at, { size: 32, symbol: "square-open", color: "var(--general-0)", line: { width: 2 } }),
      ],
      layout: {
        ...layout, uirevision: JSON.stringify([source.value, gain()]), annotations: showsLimit() ? [limitText(limit.y)] : [],
        xaxis: { ...across, range: x }, yaxis: { ...layout.yaxis, range: y, title: { ...layout.yaxis.title, text: title } },
      },
    };
  }

  function draw() {
    drawnWidth = element.clientWidth;
    charts.draw("frontier", figure());
    const above = limit !== null && isMean() && !showsLimit();
    const words = isOwn() ? "" : "The front and the knee are of held-out losses: the spec’s, and the mean of the general sources’.";
    note.textContent = above ? `The ${limit.text} lies above what is shown.` : words;
  }

  function read(number, more = "") {
    const point = points[number];
    const state = point.trials.length === 0 ? [] : [curves.has(point.trials) ? "curves shown" : "curves not shown"];
    readout.textContent = `${[...linesOf(point), ...state].join("; ")}. ${more}`;
  }

  function toggle(number) {
    const says = curves.toggle(points[number].trials);
    read(number, says);
  }

  function focus(number) {
    focused = number;
    draw();
    if (number !== null) read(number);
  }

  // The neighbour in an order that goes with the key: right and left by uptake, up and down by forgetting.
  function next(key) {
    const along = order(key === "ArrowUp" || key === "ArrowDown" ? yOf : xOf);
    if (key === "Home" || key === "End") return along.at(key === "Home" ? 0 : -1);
    if (focused === null) return knee ?? along[0];
    const step = key === "ArrowRight" || key === "ArrowUp" ? 1 : -1;
    return along[Math.max(0, Math.min(along.length - 1, along.indexOf(focused) + step))];
  }

  function press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (/^(Arrow(Up|Down|Left|Right)|Home|End)$/.test(event.key)) focus(next(event.key));
    else if (/^(Enter| )$/.test(event.key) && focused !== null) toggle(focused);
    else if (event.key === "Escape") focus(null);
    else return;
    event.preventDefault();
  }

  // A tap comes twice: as itself, and as the click of a mouse that browsers make of it.
  function click({ points: [hit], event }) {
    const isEcho = event.type.startsWith("mouse") && event.timeStamp - tapped < 700;
    if (event.type.startsWith("touch")) tapped = event.timeStamp;
    if (!isEcho && hit.curveNumber === MARKS) toggle(drawn[hit.pointNumber]);
  }

  // Names find other places in a narrower picture; a phone's window changes its height, too, while it scrolls.
  function resize() {
    if (element.clientWidth !== drawnWidth) draw();
  }

  for (const select of [source, gainSelect, keySelect]) select?.addEventListener("change", draw);
  curves.onChange(draw);
  charts.keepDrawn(draw);
  addEventListener("resize", () => requestAnimationFrame(resize));
  element.addEventListener("keydown", press);
  element.addEventListener("blur", () => focus(null));
  element.on("plotly_click", click);
})();
