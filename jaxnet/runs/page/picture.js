// From ink, 1 on strokes and 0 on paper, to MNIST's form, as jaxnet/pictures/preparing.py does it.
"use strict";

const SIDE = 28, BOX = 20, INK = 0.25, FINE = 160, MIN_STROKE = 1.9, USUAL_STROKE = 2.4;
const round = x => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)); // as Python does
const clip = (x, low, high) => Math.min(Math.max(x, low), high);

class Grid {
  constructor(rows, columns, at) {
    Object.assign(this, { rows, columns, data: new Float32Array(rows * columns) });
    for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < columns; c++, i++) this.data[i] = at(r, c, i);
  }
  map(f) { return new Grid(this.rows, this.columns, (r, c, i) => f(this.data[i], i)); }
  window(top, left, rows, columns) { // a part of it, or itself on more paper
    const inside = (r, c) => r >= 0 && c >= 0 && r < this.rows && c < this.columns;
    const at = (r, c) => (inside(r, c) ? this.data[r * this.columns + c] : 0);
    return new Grid(rows, columns, (r, c) => at(r + top, c + left));
  }
  cut() { // the part that has ink
    let [top, left, bottom, right] = [this.rows, this.columns, 0, 0];
    this.data.forEach((x, i) => {
      const r = Math.floor(i / this.columns), c = i % this.columns;
      if (x > INK) [top, left, bottom, right] = [Math.min(top, r), Math.min(left, c), r, Math.max(right, c)];
    });
    return this.window(top, left, bottom - top + 1, right - left + 1);
  }
}

// Pillow's filters: how far they reach, and their weights.
const box = [0.5, x => (x > -0.5 && x <= 0.5 ? 1 : 0)], bilinear = [1, x => Math.max(0, 1 - Math.abs(x))];
const near = x => (1.5 * x - 2.5) * x * x + 1, far = x => ((-0.5 * x + 2.5) * x - 4) * x + 2;
const bicubic = [2, x => (Math.abs(x) < 1 ? near(Math.abs(x)) : Math.abs(x) < 2 ? far(Math.abs(x)) : 0)];

function resizedAndTurned({ rows, columns, data }, n, [reach, filter]) { // to n columns, which become rows
  const scale = columns / n, stretch = Math.max(scale, 1);
  const taps = range(n, c => {
    const centre = (c + 0.5) * scale, from = Math.max(0, Math.floor(centre - reach * stretch + 0.5));
    const to = Math.min(columns, Math.floor(centre + reach * stretch + 0.5));
    const weights = range(to - from, k => filter((from + k - centre + 0.5) / stretch)), sum = total(weights);
    return [from, weights.map(w => w / sum)];
  });
  return new Grid(n, rows, (c, r) => {
    const [from, weights] = taps[c];
    return weights.reduce((sum, w, k) => sum + w * data[r * columns + from + k], 0);
  });
}
const resized = (grid, rows, columns, filter) =>
  resizedAndTurned(resizedAndTurned(grid, columns, filter), rows, filter);

function distances({ rows, columns, data }) { // from each pixel of a part to the nearest one outside of it
  const down = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) down[i] = data[i] && (i < columns ? Infinity : down[i - columns] + 1);
  for (let i = data.length - columns - 1; i >= 0; i--) down[i] = Math.min(down[i], down[i + columns] + 1);
  return new Grid(rows, columns, (r, c, i) => {
    let nearest = down[i] ** 2;
    for (let k = 1; k * k < nearest && k < columns; k++) {
      if (k <= c) nearest = Math.min(nearest, k * k + down[i - k] ** 2);
      if (c + k < columns) nearest = Math.min(nearest, k * k + down[i + k] ** 2);
    }
    return Math.sqrt(nearest);
  });
}

function withUsualStrokes(crop) { // half as far from MNIST's usual width, as pens differ
  const scale = Math.max(1, FINE / Math.max(crop.rows, crop.columns));
  if (Math.max(crop.rows, crop.columns) <= BOX) return crop; // too coarse to measure strokes
  const smooth = resized(crop, round(scale * crop.rows), round(scale * crop.columns), bicubic);
  const length = Math.max(smooth.rows, smooth.columns), pad = 1 + Math.floor(length / 20);
  const fine = smooth.window(-pad, -pad, smooth.rows + 2 * pad, smooth.columns + 2 * pad);
  const half = largest(fine.data) / 2, strokes = fine.map(x => (x > half ? 1 : 0));
  const inside = distances(strokes).data, outside = distances(strokes.map(x => 1 - x)).data;
  // In a stroke of w pixels the mean distance to the nearest paper is (w + 2) / 4.
  const before = (4 * total(inside) / total(strokes.data) - 2) * BOX / length;
  const after = Math.max((before + USUAL_STROKE) / 2, MIN_STROKE);
  const wider = (after - before) / 2 * length / BOX, either = wider > 0 ? Math.max : Math.min; // on each side
  const edge = i => clip((strokes.data[i] ? inside[i] : 1 - outside[i]) + wider, 0, 1);
  return fine.map((x, i) => clip(either(x, edge(i)), 0, 1)).cut();
}

function prepare(ink) { // the stages to MNIST's form; null if nothing is drawn
  if (largest(ink.data) <= INK) return null;
  const crop = withUsualStrokes(ink.cut()), scale = BOX / Math.max(crop.rows, crop.columns);
  const [rows, columns] = [crop.rows, crop.columns].map(n => Math.max(1, round(scale * n)));
  const small = resized(crop, rows, columns, scale < 1 ? box : bilinear), top = largest(small.data);
  const boxed = small.map(x => round(255 * Math.max(x, 0) / top) / 256);
  const offset = (n, place) => { // so that the centre of mass is within half a pixel of 14
    const centre = boxed.data.reduce((sum, x, i) => sum + place(i) * x, 0) / total(boxed.data);
    return clip(Math.ceil(SIDE / 2 - 0.5 - centre), 0, SIDE - n);
  };
  const down = offset(rows, i => Math.floor(i / columns)), right = offset(columns, i => i % columns);
  return { crop, boxed, image: boxed.window(-down, -right, SIDE, SIDE) };
}

function inkOf({ data, height, width }) { // of a picture: how far a colour is from the paper's at the border
  const quantile = (numbers, q) => numbers.sort((a, b) => a - b)[Math.floor(q * (numbers.length - 1))];
  const atBorder = (_, i) => i < width || i >= width * (height - 1) || (i + 1) % width < 2;
  const paper = range(3, k => quantile(range(width * height, i => data[4 * i + k]).filter(atBorder), 0.5));
  const far = (i, k) => Math.abs(data[4 * i + k] - paper[k]);
  const depth = new Grid(height, width, (r, c, i) => Math.max(far(i, 0), far(i, 1), far(i, 2)));
  const half = largest(depth.data) / 2, core = quantile(depth.data.filter(x => x > half), 0.9);
  return depth.map(x => (half < 5 || x < 0.1 * core ? 0 : clip(x / core, 0, 1))); // or it is blank
}
