// The network: the forward pass, and learning by the four equations of backpropagation.
const range = (n, f) => Array(n).fill(0).map((_, i) => f(i));
const total = numbers => numbers.reduce((x, y) => x + y, 0);
const largest = numbers => numbers.reduce((x, y) => Math.max(x, y));
const part = (numbers, j, n) => numbers.slice(j * n, (j + 1) * n);
const activations = { // sigma, of z_j in z, and sigma' by a_j = sigma(z_j)
  sigmoid: [z_j => 1 / (1 + Math.exp(-z_j)), a_j => a_j * (1 - a_j)],
  tanh: [z_j => Math.tanh(z_j), a_j => 1 - a_j * a_j],
  relu: [z_j => Math.max(0, z_j), a_j => (a_j > 0 ? 1 : 0)],
  linear: [z_j => z_j, () => 1],
  softmax: [(z_j, j, z) => 1 / total(z.map(z_k => Math.exp(z_k - z_j)))],
};
// The places in images of a shape, and where each is in a list of their numbers.
const placesIn = ([maps, rows, columns]) => range(maps * rows * columns, i =>
  [Math.floor(i / rows / columns), Math.floor(i / columns) % rows, i % columns]);
const indexOf = ([map, row, column], [, rows, columns]) => (map * rows + row) * columns + column;
// A convolution (of images of one pixel, if fully connected), or max-pooling, without weights.
class Layer {
  constructor(fields) {
    const { w, size = 1, shape_in = [w.shape[1], 1, 1] } = fields, [n, rows, columns] = shape_in;
    const [maps, depth, height = 1, width = 1] = w?.shape ?? [n, 1, size, size];
    const sides = [rows - height, columns - width].map(room => Math.floor(room / size) + 1);
    const shape = [maps, ...sides], places = placesIn(shape);
    const field = placesIn([depth, height, width]).map(place => indexOf(place, shape_in));
    Object.assign(this, fields, { size, shape_in, shape, places, field });
  }
  connect(a, use) { // use(j, k, w, i) for each weight w, number i, from a_k to z_j
    const { w, size, shape_in, field } = this;
    this.places.forEach(([map, row, column], j) => {
      const corner = indexOf([w ? 0 : map, row * size, column * size], shape_in);
      const ks = field.map(offset => corner + offset), first = map * ks.length;
      if (w) ks.forEach((k, i) => use(j, k, w[first + i], first + i));
      else use(j, ks.reduce((best, k) => (a[k] > a[best] ? k : best)), 1); // the first largest
    });
  }
  weigh(a) { // z = w a + b  (2.3)
    const z = this.places.map(([map]) => this.b?.[map] ?? 0);
    this.connect(a, (j, k, w) => { z[j] += w * a[k]; });
    return z;
  }
  carry(delta, a) { // w^T delta
    const error = Array(a.length).fill(0);
    this.connect(a, (j, k, w) => { error[k] += w * delta[j]; });
    return error;
  }
  learn(delta, a, eta) { // dC/db = delta (BP3), dC/dw = delta a^T (BP4), and (1.20), (1.21)
    this.places.forEach(([map], j) => { this.b[map] -= eta * delta[j]; });
    this.connect(a, (j, k, w, i) => { this.w[i] -= eta * delta[j] * a[k]; });
  }
}
function forward(layers, x) { // a^0 = x, ..., a^L, where a^l = sigma(z^l)  (2.1)
  const as = [x];
  for (const layer of layers) as.push(layer.weigh(as.at(-1)).map(activations[layer.activation][0]));
  return as;
}
function backward(layers, as, delta, eta = 0) { // from delta^L: learns, and returns dC/dx
  for (let l = layers.length - 1; l >= 0; l--) {
    const error = layers[l].carry(delta, as[l]), before = layers[l - 1]?.activation ?? "linear";
    if (eta && layers[l].w) layers[l].learn(delta, as[l], eta);
    delta = error.map((e, k) => e * activations[before][1](as[l][k])); // (BP2)
  }
  return delta;
}
function step(layers, cost, x, y, eta) { // one step of stochastic gradient descent, in place
  const as = forward(layers, x), errors = as.at(-1).map((a_j, j) => a_j - y[j]);
  const prime = activations[cost === "quadratic" ? "sigmoid" : "linear"][1]; // others cancel sigma'
  backward(layers, as, errors.map((e, j) => e * prime(as.at(-1)[j])), eta); // (BP1)
}
function networkOf(json) { // what jaxnet.runs.save_page writes
  const numbers = ({ shape, float32 }) => {
    const bytes = Uint8Array.from(atob(float32), character => character.charCodeAt(0));
    return Object.assign(Float64Array.from(new Float32Array(bytes.buffer)), { shape });
  };
  return JSON.parse(json, (_, value) =>
    value?.float32 ? numbers(value) : value?.kind ? new Layer(value) : value);
}
function bookFile(layers, costName) { // the book's JSON, if it has words for the network
  const cost = { quadratic: "QuadraticCost", cross_entropy: "CrossEntropyCost" }[costName];
  const known = ({ kind, activation }) => kind === "Layer" && activation === "sigmoid";
  if (!cost || !layers.every(known)) return undefined;
  const weights = layers.map(({ w }) => range(w.shape[0], j => [...part(w, j, w.shape[1])]));
  const biases = layers.map(({ b }) => Array.from(b, b_j => [b_j]));
  return JSON.stringify({ sizes: [784, ...biases.map(b => b.length)], weights, biases, cost });
}
