// The page: drawing, what the network makes of it, and teaching.
const PAPER = 280, BLACK = 0, BLUE = 0xf67c3b, ORANGE = 0x206cf0; // as blue, green, red
const $ = id => document.getElementById(id), all = query => [...document.querySelectorAll(query)];
const paper = $("paper").getContext("2d");
const ink = new OffscreenCanvas(PAPER, PAPER).getContext("2d", { willReadFrequently: true });
let { cost, layers } = networkOf($("network").textContent);
let strokes = [], pen = [PAPER / 2, PAPER / 2];
let x = null, taught = null; // pixels, and the digit of the last lesson with the outputs before it
const middleOf = ({ width, height }) => [width, height].map(n => Math.floor((PAPER - n) / 2));
function paint(context, strokes) {
  context.clearRect(0, 0, PAPER, PAPER);
  for (const { picture, points, width, colour = "black" } of strokes) {
    Object.assign(context, { lineWidth: width, strokeStyle: colour });
    if (picture) context.drawImage(picture, ...middleOf(picture));
    else context.stroke(new Path2D(`M${points.join("L")}h.01`)); // a single point is a dot
  }
}
function look() { // at what is drawn
  const cursor = { points: [pen], width: 9, colour: "#888" }; // where the arrow keys draw
  paint(paper, $("paper").matches(":focus-visible") ? [...strokes, cursor] : strokes);
  paint(ink, strokes);
  const rgba = ink.getImageData(0, 0, PAPER, PAPER).data;
  const stages = prepare(gridOf(PAPER, PAPER, (r, c) => rgba[4 * (r * PAPER + c) + 3] / 255));
  for (const id of ["crop", "boxed", "image"]) drawInk($(id), stages?.[id] ?? [[0]]);
  x = stages && stages.image.flat();
  taught = null;
  show();
}
const largestSize = values => values.reduce((x, y) => Math.max(x, Math.abs(y)), 0);
function draw(canvas, values, shape, unit = largestSize(values), positive = BLUE) {
  const [n, rows, columns] = shape, across = Math.ceil(Math.sqrt(n)); // n images side by side
  const width = across * (columns + 1) - 1, height = Math.ceil(n / across) * (rows + 1) - 1;
  const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  values.forEach((value, i) => {
    const n = Math.floor(i / rows / columns), row = Math.floor(i / columns) % rows;
    const down = Math.floor(n / across) * (rows + 1) + row, right = n % across * (columns + 1);
    const opacity = 255 * Math.min(1, Math.abs(value) / (unit || 1));
    pixels[down * width + right + i % columns] = (opacity << 24) + (value < 0 ? ORANGE : positive);
  });
  Object.assign(canvas, { width, height }).getContext("2d").putImageData(image, 0, 0);
}
const drawInk = (canvas, ink) => draw(canvas, ink.flat(), [1, ink.length, ink[0].length], 1, BLACK);
function words(outputs, best, sure) {
  if (!x) return "Nothing is drawn yet.";
  const guess = ["I am not sure. Perhaps", "I think this is", "This is"][sure];
  if (!taught) return `${guess} ${best === 8 ? "an" : "a"} ${best}.`;
  const [was, is] = [taught.before, outputs].map(a => a[taught.digit]);
  const slow = cost === "quadratic" && is < was + 0.01 && was < 0.5;
  return `Output ${taught.digit} was ${was.toPrecision(2)}, and is ${is.toPrecision(2)}.`
    + (slow ? " With the quadratic cost, what is decidedly wrong learns slowly." : "");
}
function show() { // the network's answer, and how it comes about
  const as = forward(layers, x ?? Array(784).fill(0)), outputs = as.at(-1);
  const top = largest(outputs), best = outputs.indexOf(top);
  const says = words(outputs, best, (top > 0.5) + (top > 0.9));
  if ($("says").textContent !== says) $("says").textContent = says; // or it is read aloud again
  $("digit").textContent = $("speaking").textContent = x ? best : "?";
  $("hint").hidden = x;
  $("eta-value").textContent = (10 ** $("eta").value).toPrecision(2);
  all("li").forEach((row, j) => {
    row.className = x && j === best ? "best" : "";
    row.style.setProperty("--now", x ? outputs[j] : 0);
    row.style.setProperty("--before", taught ? taught.before[j] : -1);
    row.lastChild.textContent = x ? outputs[j].toFixed(3) : "";
    row.firstChild.disabled = !x;
  });
  const slopes = backward(layers, as, outputs.map((_, j) => (j === best ? 1 : 0))); // dz^L/dx
  const speaking = x?.map((x_k, k) => slopes[k] * (0.3 + 0.7 * x_k)) ?? [];
  draw($("slopes"), speaking, [1, SIDE, SIDE]);
  all("[name=neuron]").forEach((input, i) => showNeuron(input, ...neurons[i], as));
}
function showNeuron(input, l, j, as) { // with its weights if it is pointed at
  const { w, shape_in, shape: [, rows, columns] } = layers[l];
  const name = `Layer ${l + 1}, number ${j + 1}`;
  const a = part(as[l + 1], j, rows * columns), unit = Math.max(1, largestSize(as[l + 1]));
  draw(input.nextSibling, x ? a : [], [1, rows, columns], unit);
  input.ariaLabel = x && a.length === 1 ? `${name}: ${a[0].toFixed(2)}` : name;
  if (!input.checked) return;
  const images = w?.shape[2] ? w.shape.slice(1) : l ? layers[l - 1].shape : shape_in;
  const [n, height] = images, across = Math.max(10, Math.ceil(Math.sqrt(n))); // if one pixel each
  const weights = w ? part(w, j, w.length / w.shape[0]) : [];
  draw($("weights"), weights, height > 1 ? images : [1, Math.ceil(n / across), across]);
  $("pointed").textContent = name;
}
async function openPicture(file) {
  const picture = await createImageBitmap(file), sides = [picture.width, picture.height];
  const area = sides.map(n => Math.max(3, Math.round(n * PAPER / Math.max(...sides))));
  const context = new OffscreenCanvas(...area).getContext("2d");
  Object.assign(context, { fillStyle: "white", imageSmoothingQuality: "high" });
  context.fillRect(0, 0, ...area); // transparent is white
  context.drawImage(picture, 0, 0, ...area);
  drawInk(context.canvas, inkOf(context.getImageData(0, 0, ...area)));
  strokes = [{ picture: context.canvas }];
  look();
}
const kinds = { Layer: "neurons", Convolution: "feature maps", MaxPool: "pooled maps" };
const shapes = layers.map(({ shape }) => shape.filter(n => n > 1).join("×"));
$("name").textContent = `${[784, ...shapes].join("-")}, ${cost.replace("_", "-")} cost`;
$("outputs").innerHTML = range(10, j =>
  `<li><button aria-label="Teach: ${j}">${j}</button><i></i><span></span></li>`).join("");
const neuron = '<label><input type="radio" name="neuron"><canvas></canvas></label>';
$("layers").innerHTML = layers.map(({ kind, shape: [n], activation }, l) => `<fieldset>
  <legend>Layer ${l + 1}: ${n} ${kinds[kind]}, ${activation}</legend>
  ${neuron.repeat(n)}</fieldset>`).join("");
const neurons = layers.flatMap(({ shape: [n] }, l) => range(n, j => [l, j]));
document.querySelector("[name=neuron]").checked = true;
$("save").hidden = !bookFile(layers, cost);
paper.scale($("paper").width / PAPER, $("paper").width / PAPER);
for (const context of [paper, ink]) Object.assign(context, { lineCap: "round", lineJoin: "round" });
const place = ({ clientX, clientY }) => {
  const { left, top, width } = $("paper").getBoundingClientRect();
  return [clientX - left, clientY - top].map(z => z * PAPER / width);
};
const begin = point => strokes.push({ points: [point], width: Number($("width").value) });
$("paper").onpointerdown = $("paper").onpointermove = event => {
  const begins = event.type === "pointerdown" && !event.button;
  if (event.isPrimary && begins) $("paper").setPointerCapture(event.pointerId);
  if (!event.isPrimary || !$("paper").hasPointerCapture(event.pointerId)) return;
  if (begins) begin(place(event));
  strokes.at(-1)?.points?.push(...[...event.getCoalescedEvents?.() ?? [], event].map(place));
  look();
};
const moves = { ArrowLeft: [-7, 0], ArrowRight: [7, 0], ArrowUp: [0, -7], ArrowDown: [0, 7] };
$("paper").onkeydown = event => { // arrows move the pen, and draw with Shift
  if (!moves[event.key]) return;
  event.preventDefault();
  if (event.shiftKey && strokes.at(-1)?.points?.at(-1) !== pen) begin(pen);
  pen = pen.map((z, i) => clip(z + moves[event.key][i], 0, PAPER));
  if (event.shiftKey) strokes.at(-1).points.push(pen);
  look();
};
$("paper").onfocus = $("paper").onblur = look;
$("undo").onclick = () => { strokes.pop(); look(); };
$("clear").onclick = () => { strokes = []; look(); };
$("reset").onclick = () => { ({ layers } = networkOf($("network").textContent)); look(); };
$("save").onclick = ({ target }) => {
  target.href = URL.createObjectURL(new Blob([bookFile(layers, cost)])); // that it then follows
};
all("li button").forEach((button, digit) => {
  button.onclick = () => { // one step, with the right digit as the target
    taught = { digit, before: forward(layers, x).at(-1) };
    step(layers, cost, x, range(10, j => (j === digit ? 1 : 0)), 10 ** $("eta").value);
    show();
  };
});
$("layers").onpointerover = event => event.target.closest("label")?.click();
$("layers").onchange = $("eta").oninput = show;
const refuse = () => { $("says").textContent = "This browser cannot read that as a picture."; };
const open = ([file]) => openPicture(file).catch(refuse);
$("file").onchange = ({ target }) => { open(target.files); target.value = ""; };
document.ondragover = event => event.preventDefault();
document.ondrop = event => { event.preventDefault(); open(event.dataTransfer.files); };
$("eta").value = cost === "quadratic" ? 0.5 : -1;
look();
