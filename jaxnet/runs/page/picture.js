// From ink, 1 on strokes and 0 on paper, to MNIST's form, as jaxnet/pictures/preparing.py does it.
const SIDE = 28, BOX = 20, INK = 0.25, FINE = 160, MIN_STROKE = 1.9, USUAL_STROKE = 2.4;
const round = x => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)); // as Python
const clip = (x, low, high) => Math.min(Math.max(x, low), high);
// A grid is an array of rows.
const gridOf = (rows, columns, at) => range(rows, r => range(columns, c => at(r, c)));
const mapped = (grid, f) => grid.map((row, r) => row.map((x, c) => f(x, r, c)));
const windowOf = (grid, top, left, rows, columns) => // a part of it, or all of it on more paper
  gridOf(rows, columns, (r, c) => grid[r + top]?.[c + left] ?? 0);
const turned = (grid, n, f) => // n numbers of each row, which become a column
  gridOf(n, grid.length, (i, r) => Math.fround(f(grid[r], i)));
const transposed = grid => turned(grid, grid[0].length, (row, c) => row[c]);
const longest = grid => Math.max(grid.length, grid[0].length);
const inked = row => largest(row) > INK;
const trimmed = grid => grid.slice(grid.findIndex(inked), grid.findLastIndex(inked) + 1);
const cut = grid => transposed(trimmed(transposed(trimmed(grid)))); // the part that has ink
// Pillow's filters: how far they reach, and their weights.
const box = [0.5, x => (x > -0.5 && x <= 0.5 ? 1 : 0)], bilinear = [1, x => 1 - Math.abs(x)];
const cubic = x => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2);
const bicubic = [2, x => cubic(Math.abs(x))];
function scaledAndTurned(grid, factor, [reach, filter]) { // along the rows, which become columns
  const { length } = grid[0], n = Math.max(1, round(factor * length));
  const scale = length / n, stretch = Math.max(scale, 1);
  const taps = range(n, i => {
    const centre = (i + 0.5) * scale, end = k => clip(Math.floor(k + 0.5), 0, length);
    const [from, to] = [centre - reach * stretch, centre + reach * stretch].map(end);
    const weights = range(to - from, k => filter((from + k - centre + 0.5) / stretch));
    return [from, weights.map(w => w / total(weights))];
  });
  return turned(grid, n, (row, i) =>
    taps[i][1].reduce((sum, w, k) => sum + w * row[taps[i][0] + k], 0));
}
const scaled = (grid, ...how) => scaledAndTurned(scaledAndTurned(grid, ...how), ...how);
function distances(grid) { // from each place that is not 0 to the nearest one that is
  const nearest = (squares, i) => { // in a row, from the square of the distance at each place
    let found = squares[i], end = squares.length - 1;
    for (let k = 1; k * k < found && k <= end; k++) {
      const left = squares[Math.max(i - k, 0)], right = squares[Math.min(i + k, end)];
      found = Math.min(found, k * k + left, k * k + right);
    }
    return found;
  };
  const squares = turned(mapped(grid, x => (x ? Infinity : 0)), grid[0].length, nearest);
  return mapped(turned(squares, grid.length, nearest), Math.sqrt);
}
function withUsualStrokes(crop) { // half as far from MNIST's usual width, as pens differ
  if (longest(crop) <= BOX) return crop; // too coarse to measure strokes
  const smooth = scaled(crop, Math.max(1, FINE / longest(crop)), bicubic);
  const length = longest(smooth), pad = 1 + Math.floor(length / 20);
  const [rows, columns] = [smooth, smooth[0]].map(side => side.length + 2 * pad);
  const fine = windowOf(smooth, -pad, -pad, rows, columns), half = largest(fine.flat()) / 2;
  const inside = distances(mapped(fine, x => (x > half ? 1 : 0)));
  const outside = distances(mapped(inside, x => (x ? 0 : 1)));
  // In a stroke of w pixels the mean distance to the nearest paper is (w + 2) / 4.
  const depths = inside.flat().filter(x => x);
  const before = (4 * total(depths) / depths.length - 2) * BOX / length;
  const after = Math.max((before + USUAL_STROKE) / 2, MIN_STROKE);
  const wider = (after - before) / 2 * length / BOX, either = wider > 0 ? Math.max : Math.min;
  const edge = (r, c) => clip((inside[r][c] || 1 - outside[r][c]) + wider, 0, 1);
  return cut(mapped(fine, (x, r, c) => clip(either(x, edge(r, c)), 0, 1)));
}
function prepare(ink) { // the stages to MNIST's form; null if nothing is drawn
  if (!ink.some(inked)) return null;
  const crop = withUsualStrokes(cut(ink)), scale = BOX / longest(crop);
  const small = scaled(crop, scale, scale < 1 ? box : bilinear), top = largest(small.flat());
  const boxed = mapped(small, x => round(255 * Math.max(x, 0) / top) / 256);
  const offset = lines => { // so that the centre of mass is within half a pixel of 14
    const centre = total(lines.map((line, i) => i * total(line))) / total(lines.flat());
    return clip(Math.ceil(SIDE / 2 - 0.5 - centre), 0, SIDE - lines.length);
  };
  const [down, right] = [boxed, transposed(boxed)].map(offset);
  return { crop, boxed, image: windowOf(boxed, -down, -right, SIDE, SIDE) };
}
function inkOf({ data, height, width }) { // how far a picture's colours are from its border's
  const quantile = (numbers, q) =>
    numbers.sort((a, b) => a - b)[Math.floor(q * (numbers.length - 1))];
  const colours = gridOf(height, width, (r, c) => [...part(data, r * width + c, 4)]);
  const border = colours.flatMap((row, r) => (r % (height - 1) ? [row[0], row.at(-1)] : row));
  const paper = range(3, k => quantile(border.map(colour => colour[k]), 0.5));
  const distance = colour => largest(paper.map((level, k) => Math.abs(colour[k] - level)));
  const depth = mapped(colours, distance), half = largest(depth.flat()) / 2;
  const core = quantile(depth.flat().filter(x => x > half), 0.9);
  return mapped(depth, x => (half < 5 || x < 0.1 * core ? 0 : clip(x / core, 0, 1))); // or blank
}
