// Where the names of points fit: beside their own, on no other point and on no other name.
const labels = (() => {
  const ruler = document.createElement("canvas").getContext("2d");
  const [size, line, mark, gap] = [12, 15, 7, 8];  // in pixels: of letters, of a line, half of a mark, from a point to its name

  const overlaps = (one, other) => one[0] <= other[2] && other[0] <= one[2] && one[1] <= other[3] && other[1] <= one[3];

  function sidesOf([x, y], width) {
    const box = (left, top) => [left, top, left + width, top + line];
    return {
      "bottom right": box(x + gap, y + gap), "top left": box(x - gap - width, y - gap - line),
      "top right": box(x + gap, y - gap - line), "bottom left": box(x - gap - width, y + gap),
    };
  }

  // The side of each name, or none where it finds no place.
  // at: of points, in pixels; order: which of them choose first; edges: left and right ones of the picture.
  function place(names, at, order, edges) {
    ruler.font = `${size}px ${getComputedStyle(document.documentElement).getPropertyValue("--sans")}`;
    const taken = at.map(([x, y]) => [x - mark, y - mark, x + mark, y + mark]);
    const places = names.map(() => null);
    for (const number of order.filter((number) => names[number])) {
      const sides = Object.entries(sidesOf(at[number], ruler.measureText(names[number]).width + 2));
      const free = sides.find(([, box]) => box[0] >= edges[0] && box[2] <= edges[1] && !taken.some((other) => overlaps(box, other)));
      if (!free) continue;
      [places[number]] = free;
      taken.push(free[1]);
    }
    return places;
  }

  return { place, size };
})();
