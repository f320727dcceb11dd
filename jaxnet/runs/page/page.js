// The page: drawing, what the network makes of it, and teaching.
"use strict";

const PAPER = 280, BLACK = 0, BLUE = 0xf67c3b, ORANGE = 0x206cf0; // colours are blue, green, red
const $ = id => document.getElementById(id), all = query => [...document.querySelectorAll(query)];
const newPaper = () => new OffscreenCanvas(PAPER, PAPER).getContext("2d", { willReadFrequently: true });
const paper = $("paper").getContext("2d"), ink = newPaper();
const { cost, layers: description } = JSON.parse($("network").textContent);
let layers = networkOf(description), strokes = [], pen = [PAPER / 2, PAPER / 2];
let x = null, taught = null; // pixels, and the digit of the last lesson with the outputs before it

function paint(context) {
  context.setTransform(context.canvas.width / PAPER, 0, 0, context.canvas.height / PAPER, 0, 0);
  context.clearRect(0, 0, PAPER, PAPER);
  for (const { picture, points, width } of strokes) {
    if (picture) { context.drawImage(picture, 0, 0); continue; }
    Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round", strokeStyle: "black" });
    context.beginPath();
    points.forEach(point => context.lineTo(...point));
    context.lineTo(points.at(-1)[0] + 0.01, points.at(-1)[1]); // a single point is a dot
    context.stroke();
  }
}

function look() { // at what is drawn
  [paper, ink].forEach(paint);
  if ($("paper").matches(":focus-visible")) { // shows where the arrow keys draw
    paper.beginPath();
    paper.arc(...pen, 6, 0, 2 * Math.PI);
    Object.assign(paper, { lineWidth: 2, strokeStyle: "#888" }).stroke();
  }
  const rgba = ink.getImageData(0, 0, PAPER, PAPER).data;
  const stages = prepare(new Grid(PAPER, PAPER, (r, c, i) => rgba[4 * i + 3] / 255));
  for (const name of ["crop", "boxed", "image"]) {
    const { rows, columns, data } = stages?.[name] ?? new Grid(BOX, BOX, () => 0);
    draw($(name), data, [1, rows, columns], 1, [BLACK]);
  }
  x = stages && Float64Array.from(stages.image.data);
  taught = null;
  show();
}

function draw(canvas, values, [n, rows, columns], unit, [positive, negative] = [BLUE, ORANGE]) { // n images
  const across = Math.ceil(Math.sqrt(n)), down = Math.ceil(n / across);
  const width = across * (columns + 1) - 1, height = down * (rows + 1) - 1, pixels = new Uint32Array(width * height);
  values.forEach((value, i) => {
    const [k, r, c] = placeOf(i, [n, rows, columns]), opacity = 255 * Math.min(1, Math.abs(value) / (unit || 1));
    const place = (Math.floor(k / across) * (rows + 1) + r) * width + k % across * (columns + 1) + c;
    pixels[place] = (opacity << 24) + (value < 0 ? negative : positive);
  });
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width), 0, 0);
}

const largestSize = values => largest(values.map(Math.abs));
const imagesOf = ([n, ...sides]) => (sides.length ? [n, ...sides] // how a layer's neurons are laid out
  : Math.sqrt(n) % 1 ? [1, Math.ceil(n / 10), 10] : [1, Math.sqrt(n), Math.sqrt(n)]);

function show() { // the network's answer, and how it comes about
  const pass = forward(layers, x ?? new Float64Array(784)), outputs = pass.as.at(-1);
  const best = outputs.indexOf(largest(outputs)), certainty = (outputs[best] > 0.5) + (outputs[best] > 0.9);
  const surely = ["I am not sure. Perhaps", "I think this is", "This is"][certainty];
  const answer = `${surely} ${best === 8 ? "an" : "a"} ${best}.`;
  const says = !x ? "Nothing is drawn yet." : taught ? lesson(taught, outputs) : answer;
  if ($("says").textContent !== says) $("says").textContent = says; // or it would be read aloud again
  $("digit").textContent = x ? best : "?";
  $("paper").closest("main").classList.toggle("blank", !x);
  all("#outputs li").forEach((row, j) => {
    row.className = x && j === best ? "best" : "";
    row.style.setProperty("--now", x ? outputs[j] : 0);
    row.style.setProperty("--before", taught ? taught.before[j] : -1);
    row.lastChild.textContent = x ? outputs[j].toFixed(3) : "";
    row.firstChild.disabled = !x;
  });
  const speaking = x ? slopes(layers, pass, best).map((slope, i) => slope * (0.3 + 0.7 * x[i])) : [0];
  draw($("slopes"), speaking, [1, SIDE, SIDE], largestSize(speaking));
  $("speaking").textContent = x ? best : "the answer";
  layers.forEach(({ shape: [, rows = 1, columns = 1] }, l) => {
    const a = pass.as[l + 1].map(a_j => (x ? a_j : 0)), unit = Math.max(1, largestSize(a)), n = rows * columns;
    all(`[name=neuron][value^="${l} "]`).forEach((input, j) => {
      draw(input.nextSibling, a.slice(j * n, (j + 1) * n), [1, rows, columns], unit);
      input.ariaLabel = `Layer ${l + 1}, number ${j + 1}${n === 1 ? `: ${a[j].toFixed(2)}` : ""}`;
    });
  });
  showWeights();
}

function lesson({ digit, before }, outputs) {
  const slow = cost === "quadratic" && outputs[digit] < before[digit] + 0.01 && before[digit] < 0.5;
  return `Output ${digit} was ${before[digit].toPrecision(2)}, and is ${outputs[digit].toPrecision(2)}.`
    + (slow ? " With the quadratic cost, what is decidedly wrong learns slowly." : "");
}

function showWeights() { // of the neuron pointed at
  const [l, j] = all(":checked")[0].value.split(" ").map(Number);
  const { w = [0], b = [0] } = layers[l], n = w.length / b.length;
  const shape = w.shape?.length === 4 ? w.shape.slice(1) : imagesOf(l ? layers[l - 1].shape : [784]);
  const weights = w.slice(j * n, (j + 1) * n);
  draw($("weights"), weights, shape, largestSize(weights));
  $("pointed").textContent = `Layer ${l + 1}, number ${j + 1}`;
}

function teach(digit) { // one step, with the right digit as the target
  taught = { digit, before: forward(layers, x).as.at(-1) };
  step(layers, cost, x, taught.before.map((_, j) => (j === digit ? 1 : 0)), 10 ** $("eta").value);
  show();
}

async function openPicture(file) {
  const picture = await createImageBitmap(file), scale = PAPER / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width, picture.height].map(n => Math.max(3, Math.round(n * scale)));
  const [left, top] = [width, height].map(n => Math.floor((PAPER - n) / 2)), context = newPaper();
  Object.assign(context, { fillStyle: "white", imageSmoothingQuality: "high" }); // transparent is white
  context.fillRect(left, top, width, height);
  context.drawImage(picture, left, top, width, height);
  const image = context.getImageData(left, top, width, height), pixels = new Uint32Array(image.data.buffer);
  inkOf(image).data.forEach((value, i) => { pixels[i] = (255 * value) << 24; });
  context.clearRect(0, 0, PAPER, PAPER);
  context.putImageData(image, left, top);
  strokes = [{ picture: context.canvas }];
  look();
}

const units = { Layer: "neurons", Convolution: "feature maps", MaxPool: "pooled maps" };
const neuron = (l, j) => `<label><input type="radio" name="neuron" value="${l} ${j}"><canvas></canvas></label>`;
const shapes = [784, ...layers.map(({ shape }) => shape.join("×"))];
$("name").textContent = `${shapes.join("-")}, ${cost.replace("_", "-")} cost`;
const output = j => `<li><button aria-label="Teach: ${j}">${j}</button><i></i><span></span></li>`;
$("outputs").innerHTML = range(10, output).join("");
$("layers").innerHTML = layers.map(({ shape: [n], activation }, l) => `<fieldset><legend>Layer ${l + 1}: ${n}
  ${units[description[l].kind]}, ${activation}</legend>${range(n, j => neuron(l, j)).join("")}</fieldset>`).join("");
all("fieldset").forEach((set, l) => {
  const { shape } = layers[l], columns = shape[1] ? 10 : imagesOf(shape)[2];
  set.style.gridTemplateColumns = `repeat(${columns}, minmax(0, ${shape[1] ? 3 : 1.65}rem))`;
});
all("[name=neuron]")[0].checked = true;
$("save").hidden = !bookFile(layers, cost);

const place = ({ clientX, clientY }) => {
  const { left, top, width } = $("paper").getBoundingClientRect();
  return [(clientX - left) * PAPER / width, (clientY - top) * PAPER / width];
};
let frame = 0;
const lookSoon = () => { frame ||= requestAnimationFrame(() => { frame = 0; look(); }); };
const begin = point => strokes.push({ points: [point], width: Number($("width").value) });
$("paper").onpointerdown = event => {
  if (!event.isPrimary || event.button) return;
  $("paper").setPointerCapture(event.pointerId);
  begin(place(event));
  lookSoon();
};
$("paper").onpointermove = event => {
  if (!$("paper").hasPointerCapture(event.pointerId)) return;
  const events = event.getCoalescedEvents?.() ?? [];
  strokes.at(-1)?.points?.push(...(events.length ? events : [event]).map(place));
  lookSoon();
};
$("paper").onkeydown = event => { // arrows move the pen, and draw with Shift
  const move = { ArrowLeft: [-7, 0], ArrowRight: [7, 0], ArrowUp: [0, -7], ArrowDown: [0, 7] }[event.key];
  if (!move) return;
  event.preventDefault();
  if (event.shiftKey && strokes.at(-1)?.points?.at(-1) !== pen) begin(pen);
  pen = pen.map((z, i) => clip(z + move[i], 0, PAPER));
  if (event.shiftKey) strokes.at(-1).points.push(pen);
  look();
};
$("paper").onfocus = $("paper").onblur = look;
$("undo").onclick = () => { strokes.pop(); look(); };
$("clear").onclick = () => { strokes = []; look(); };
$("reset").onclick = () => { layers = networkOf(description); taught = null; show(); };
$("save").onclick = () => {
  const href = URL.createObjectURL(new Blob([bookFile(layers, cost)], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href, download: "network.json" }).click();
};
$("eta").oninput = () => { $("eta-value").textContent = (10 ** $("eta").value).toPrecision(2); };
all("#outputs button").forEach((button, j) => { button.onclick = () => teach(j); });
$("layers").onpointerover = event => event.target.closest("label")?.click();
$("layers").onchange = showWeights;
const openFirst = ([file]) => {
  if (file) openPicture(file).catch(() => { $("says").textContent = "This browser cannot read that picture."; });
};
$("file").onchange = ({ target }) => { openFirst(target.files); target.value = ""; };
document.ondragover = event => event.preventDefault();
document.ondrop = event => { event.preventDefault(); openFirst(event.dataTransfer.files); };
$("eta").value = cost === "quadratic" ? 0.5 : -1;
$("eta").oninput();
look();
