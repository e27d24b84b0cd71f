// What the colours and marks of the frontier's points mean: a look for each value of the key that is chosen, and the legend of it.
const scales = (() => {
  const { points, keys } = values.frontier;
  const legend = document.getElementById("frontier-scale");
  const own = { control: "diamond", untrained: "x-thin" };
  const symbols = curves.symbols.filter((symbol) => symbol !== "diamond" && symbol !== "x");  // which look like those
  const mostEntries = 8;

  const property = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const compared = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const valuesOf = (key) => [...new Set(key.values.filter((value) => value !== null))].sort(compared);
  const channels = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

  // A colour of the scale, from its least value, 0, to its largest, 1: those of the style sheet, and between them.
  function ramp(share) {
    const stop = Math.min(3, Math.floor(share * 4));
    const [from, to] = [stop, stop + 1].map((number) => channels(property(`--scale-${number}`)));
    return `rgb(${from.map((value, channel) => Math.round(value + (to[channel] - value) * (share * 4 - stop))).join(",")})`;
  }

  // Whether values spread so far that their logarithms are what colours should tell apart.
  function isWide(key) {
    const found = valuesOf(key);
    return key.scale && found[0] > 0 && found.at(-1) / found[0] > 8;
  }

  function looksOf(key) {
    const found = valuesOf(key);
    const measure = isWide(key) ? Math.log : Number;
    const [low, high] = [measure(found[0]), measure(found.at(-1))];
    const hasMarks = keys.indexOf(key) > 0 && (!key.scale || found.length <= symbols.length);  // labels tell the first key's values
    return new Map(found.map((value, index) => {
      const color = key.scale ? ramp(high > low ? (measure(value) - low) / (high - low) : 0.5) : property(`--line-${index % 8}`);
      const text = key.texts[key.values.indexOf(value)];
      return [value, { color, symbol: hasMarks ? symbols[index % symbols.length] : "circle", text }];
    }));
  }

  function entry({ color, symbol, text }) {
    const item = document.createElement("span");
    item.append(curves.glyph(symbol, color), text);
    return item;
  }

  // Each value, or of many on a scale the ends.
  function showLegend(key, looks) {
    const title = document.createElement("b");
    title.textContent = isWide(key) ? `${key.name}, logarithmic` : key.name;
    if (!key.scale || looks.length <= mostEntries) return legend.replaceChildren(title, ...looks.map(entry));
    const band = document.createElement("span");
    band.className = "band";
    band.style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(ramp).join(", ")})`;
    return legend.replaceChildren(title, looks[0].text, band, looks.at(-1).text);
  }

  // The colour and the mark of every point, by the values of a key; the legend follows.
  function looksBy(key) {
    const looks = key ? looksOf(key) : new Map();
    if (key) showLegend(key, [...looks.values()]);
    return points.map(({ arm }, number) => {
      if (own[arm]) return { color: "var(--ink-soft)", symbol: own[arm] };
      return (key && looks.get(key.values[number])) ?? { color: "var(--general-0)", symbol: "circle" };
    });
  }

  return { looksBy };
})();
