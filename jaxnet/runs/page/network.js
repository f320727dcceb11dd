// The network: the forward pass, and learning by the four equations of backpropagation.
"use strict";

const range = (n, f) => Array.from({ length: n }, (_, i) => f(i));
const total = numbers => numbers.reduce((x, y) => x + y, 0);
const largest = numbers => numbers.reduce((x, y) => Math.max(x, y));
const sigmoid = z => 1 / (1 + Math.exp(-z));
const activations = { // sigma and sigma'
  sigmoid: [z => z.map(x => sigmoid(x)), z => z.map(x => sigmoid(x) * sigmoid(-x))],
  tanh: [z => z.map(x => Math.tanh(x)), z => z.map(x => 1 - Math.tanh(x) ** 2)],
  relu: [z => z.map(x => Math.max(0, x)), z => z.map(x => (x > 0 ? 1 : 0))],
  linear: [z => z, z => z.map(() => 1)],
  softmax: [z => {
    const top = largest(z), powers = z.map(x => Math.exp(x - top)), sum = total(powers);
    return powers.map(x => x / sum);
  }],
};
const difference = (z, a, y) => a.map((a_j, j) => a_j - y[j]);
const outputErrors = { // delta^L = dC/dz^L of each cost  (BP1)
  quadratic: (z, a, y) => activations.sigmoid[1](z).map((prime, j) => (a[j] - y[j]) * prime),
  cross_entropy: difference, log_likelihood: difference, linear_quadratic: difference,
};

// A layer has the shape of its activations, and three methods: z of the activations a that enter,
// the error of those from its own error delta, and the gradient by its parameters.
class Layer {
  constructor(fields) { Object.assign(this, fields, { shape: [fields.b.length] }); }
  weigh(a) { // z = w a + b  (2.3)
    return this.b.map((b, j) => a.reduce((z, a_k, k) => z + this.w[j * a.length + k] * a_k, b));
  }
  carry(delta, a) { // w^T delta
    return a.map((_, k) => delta.reduce((sum, d, j) => sum + this.w[j * a.length + k] * d, 0));
  }
  gradient(delta, a) { // dC/db = delta (BP3), dC/dw = delta a^T (BP4)
    return { b: delta, w: this.w.map((_, i) => delta[Math.floor(i / a.length)] * a[i % a.length]) };
  }
}

// In images of a shape, where number i is, and the number at a place.
const placeOf = (i, [, rows, columns]) => [Math.floor(i / rows / columns), Math.floor(i / columns) % rows, i % columns];
const numberAt = ([map, row, column], [, rows, columns]) => (map * rows + row) * columns + column;
const sizeOf = shape => shape.reduce((n, side) => n * side);

class Convolution {
  constructor(fields) {
    const [maps, ...field] = fields.w.shape, [, rows, columns] = fields.shape_in;
    const offsets = range(sizeOf(field), i => numberAt(placeOf(i, field), fields.shape_in));
    Object.assign(this, fields, { offsets, shape: [maps, rows - field[1] + 1, columns - field[2] + 1] });
  }
  products(use) { // each z_j is b and a sum of products w_i a_k
    for (let j = 0; j < sizeOf(this.shape); j++) {
      const [map, row, column] = placeOf(j, this.shape), corner = numberAt([0, row, column], this.shape_in);
      this.offsets.forEach((offset, i) => use(j, map * this.offsets.length + i, corner + offset));
    }
  }
  weigh(a) {
    const z = Float64Array.from(range(sizeOf(this.shape), j => this.b[placeOf(j, this.shape)[0]]));
    this.products((j, i, k) => { z[j] += this.w[i] * a[k]; });
    return z;
  }
  carry(delta, a) {
    const error = new Float64Array(a.length);
    this.products((j, i, k) => { error[k] += this.w[i] * delta[j]; });
    return error;
  }
  gradient(delta, a) { // (BP3) and (BP4), summed over the places that share parameters
    const w = new Float64Array(this.w.length), b = new Float64Array(this.b.length);
    this.products((j, i, k) => { w[i] += delta[j] * a[k]; });
    delta.forEach((d, j) => { b[placeOf(j, this.shape)[0]] += d; });
    return { w, b };
  }
}

class MaxPool {
  constructor(fields) {
    const { shape_in: [maps, rows, columns], size } = fields;
    Object.assign(this, fields, { shape: [maps, Math.floor(rows / size), Math.floor(columns / size)] });
  }
  winners(a) { // where the largest activation of each square is, the first of several
    return range(sizeOf(this.shape), j => {
      const [map, row, column] = placeOf(j, this.shape), n = this.size;
      const places = range(n * n, i => [map, row * n + Math.floor(i / n), column * n + i % n]);
      return places.map(place => numberAt(place, this.shape_in)).reduce((best, k) => (a[k] > a[best] ? k : best));
    });
  }
  weigh(a) { return Float64Array.from(this.winners(a), k => a[k]); }
  carry(delta, a) { // to the winners
    const error = new Float64Array(a.length);
    this.winners(a).forEach((k, j) => { error[k] = delta[j]; });
    return error;
  }
  gradient() { return {}; }
}

function forward(layers, x) { // z^l, and a^l = sigma(z^l) where a^0 = x  (2.1)
  const zs = [], as = [x];
  for (const layer of layers) {
    zs.push(layer.weigh(as.at(-1)));
    as.push(activations[layer.activation][0](zs.at(-1)));
  }
  return { zs, as };
}

function errors(layers, { zs, as }, outputError) { // delta^1, ..., delta^L
  const deltas = [outputError]; // (BP1)
  for (let l = layers.length - 2; l >= 0; l--) {
    const primes = activations[layers[l].activation][1](zs[l]);
    deltas.unshift(layers[l + 1].carry(deltas[0], as[l + 1]).map((error, j) => error * primes[j])); // (BP2)
  }
  return deltas;
}

function step(layers, cost, x, y, eta) { // one step of stochastic gradient descent, in place
  const pass = forward(layers, x), { zs, as } = pass;
  const deltas = errors(layers, pass, outputErrors[cost](zs.at(-1), as.at(-1), y));
  layers.forEach((layer, l) => {
    for (const [name, slopes] of Object.entries(layer.gradient(deltas[l], as[l]))) // (BP3), (BP4)
      slopes.forEach((slope, i) => { layer[name][i] -= eta * slope; }); // (1.20), (1.21)
  });
}

function slopes(layers, pass, output) { // dz^L/dx of one output: (BP2) down to the pixels
  const [error] = errors(layers, pass, pass.zs.at(-1).map((_, j) => (j === output ? 1 : 0)));
  return layers[0].carry(error, pass.as[0]);
}

const kinds = { Layer, Convolution, MaxPool };
function networkOf(description) { // the layers that jaxnet.runs.save_page writes
  return description.map(({ kind, ...fields }) => {
    for (const [name, { shape, float32 }] of Object.entries(fields)) if (float32) {
      const bytes = Uint8Array.from(atob(float32), character => character.charCodeAt(0));
      fields[name] = Object.assign(Float64Array.from(new Float32Array(bytes.buffer)), { shape });
    }
    return new kinds[kind](fields);
  });
}

function bookFile(layers, cost) { // the book's JSON; undefined for networks that it has no words for
  const name = { quadratic: "QuadraticCost", cross_entropy: "CrossEntropyCost" }[cost];
  if (!name || !layers.every(layer => layer instanceof Layer && layer.activation === "sigmoid")) return undefined;
  const weights = layers.map(({ w, w: { shape: [n, n_in] } }) => range(n, j => [...w.slice(j * n_in, (j + 1) * n_in)]));
  const biases = layers.map(({ b }) => Array.from(b, b_j => [b_j]));
  return JSON.stringify({ sizes: [784, ...biases.map(b => b.length)], weights, biases, cost: name });
}
