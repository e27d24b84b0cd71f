// Charts in the colours of the style sheet, drawn again when light turns to dark or the page is printed.
const charts = (() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const drawers = [];
  const coarse = matchMedia("(pointer: coarse)").matches;  // a finger on a chart scrolls the page
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: coarse ? false : "hover",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    toImageButtonOptions: { scale: 2 },
  };

  // A copy in which every colour that names a custom property of the style sheet has that property's value.
  function painted(value, style, key) {
    if (typeof value === "string") {
      const name = /color$/.test(key) && /^var\((--[a-z0-9-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => painted(item, style, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, painted(item, style, name)]));
  }

  // Draws a figure in the element of that id, or what has changed of it.
  function draw(id, figure) {
    const style = getComputedStyle(document.documentElement);
    const layout = painted(figure.layout, style, "");
    layout.font.family = style.getPropertyValue("--sans");
    layout.dragmode = coarse ? false : "zoom";
    layout.uirevision ??= id;
    Plotly.react(id, painted(figure.data, style, ""), layout, { ...config, ...figure.config });
  }

  // Calls a function that draws: now, and whenever colours change.
  function keepDrawn(drawer) {
    drawers.push(drawer);
    drawer();
  }

  function toggle(button) {
    const shows = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shows));
    const traces = button.dataset.traces.split(" ").map(Number);
    for (const trace of traces) figures[button.dataset.chart].data[trace].visible = shows;
    Plotly.restyle(button.dataset.chart, { visible: shows }, traces);
  }

  function drawAll() {
    for (const drawer of drawers) drawer();
  }

  keepDrawn(() => Object.entries(figures).forEach(([id, figure]) => draw(id, figure)));
  for (const button of document.querySelectorAll(".keys button[data-traces]")) button.addEventListener("click", () => toggle(button));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  matchMedia("print").addEventListener("change", () => {
    drawAll();
    for (const chart of document.querySelectorAll(".js-plotly-plot")) Plotly.Plots.resize(chart);
  });
  return { draw, keepDrawn, coarse };
})();
