// The attention maps of a page: a small picture of each layer and head to choose from, and a large one to read.
"use strict";
(() => {
  const inputs = JSON.parse(document.getElementById("attention-data").textContent);
  const root = document.getElementById("attention");
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const [chooser, gallery, canvas, readout] = ["input", "gallery", "map", "readout"].map(part);
  const chosen = { input: 0, layer: null, head: 0 }; // head 0 is the mean over all heads
  let cells = null; // where the large picture's cells lie, for the pointer

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  for (const input of inputs) {
    input.weights = bytes(input.data);
    if (!input.picture) continue;
    input.image = new Image();
    input.image.addEventListener("load", () => drawLarge());
    input.image.src = input.picture;
  }

  const weightsOf = ({ shape: [, heads, rows, columns], weights }, layer, head) => {
    const size = rows * columns, map = new Float32Array(size);
    const from = head ? head - 1 : 0, count = head ? 1 : heads;
    for (let h = from; h < from + count; h++) {
      const start = (layer * heads + h) * size;
      for (let i = 0; i < size; i++) map[i] += weights[start + i] / 255 / count;
    }
    return map;
  };
  const shade = (weight) => Math.pow(weight, 0.6); // small weights would be invisible on a linear scale
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const name = (layer, head) => `layer ${layer + 1}, ${head ? `head ${head}` : "mean of all heads"}`;

  const drawSmall = (target, input, layer, head) => {
    const [, , rows, columns] = input.shape, map = weightsOf(input, layer, head);
    target.width = columns;
    target.height = rows;
    const brush = target.getContext("2d");
    brush.fillStyle = colour("--model");
    map.forEach((weight, i) => {
      brush.globalAlpha = shade(weight);
      brush.fillRect(i % columns, Math.floor(i / columns), 1, 1);
    });
  };

  const drawLarge = () => {
    const input = inputs[chosen.input], [, , rows, columns] = input.shape;
    const map = weightsOf(input, chosen.layer, chosen.head);
    const brush = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
    const font = "13px system-ui, sans-serif";
    brush.font = font;
    const text = (token) => (token.length > 14 ? `${token.slice(0, 13)}…` : token);
    const label = input.picture ? 0 : Math.ceil(Math.max(...input.tokens.map((t) => brush.measureText(text(t)).width))) + 10;
    const cell = Math.max(3, Math.min(input.picture ? 384 / Math.max(rows, columns) : 40, Math.floor((part("frame").clientWidth - label) / columns)));
    const [width, height] = [label + cell * columns, label + cell * rows];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    brush.scale(ratio, ratio);
    brush.font = font;
    brush.textBaseline = "middle";
    brush.fillStyle = colour("--ink");
    if (cell >= 10) {
      brush.textAlign = "end";
      input.tokens.slice(0, rows).forEach((t, i) => brush.fillText(text(t), label - 6, label + cell * (i + 0.5)));
      brush.textAlign = "start";
      input.tokens.slice(0, columns).forEach((t, i) => {
        brush.save();
        brush.translate(label + cell * (i + 0.5), label - 6);
        brush.rotate(-Math.PI / 2);
        brush.fillText(text(t), 0, 0);
        brush.restore();
      });
    }
    brush.fillStyle = colour("--raised");
    brush.fillRect(label, label, cell * columns, cell * rows);
    if (input.image?.complete) brush.drawImage(input.image, 0, 0, width, height);
    brush.fillStyle = input.picture ? "rgb(29 95 166)" : colour("--model");
    const gap = cell >= 10 && !input.picture ? 1 : 0;
    map.forEach((weight, i) => {
      brush.globalAlpha = input.picture ? 0.8 * weight : shade(weight);
      brush.fillRect(label + cell * (i % columns), label + cell * Math.floor(i / columns), cell - gap, cell - gap);
    });
    brush.globalAlpha = 1;
    canvas.setAttribute("aria-label", `Attention weights, ${name(chosen.layer, chosen.head)}`);
    part("name").textContent = name(chosen.layer, chosen.head);
    readout.textContent = `Point at a ${input.picture ? "patch" : "cell"} to read its weight.`;
    cells = { label, cell, rows, columns, map, tokens: input.tokens, picture: input.picture };
  };

  const choose = (layer, head) => {
    Object.assign(chosen, { layer, head });
    for (const button of gallery.querySelectorAll("button"))
      button.setAttribute("aria-pressed", button.dataset.layer == layer && button.dataset.head == head);
    drawLarge();
  };

  const fill = () => {
    const input = inputs[chosen.input], [layers, heads] = input.shape;
    gallery.style.setProperty("--columns", heads + 1);
    const buttons = [];
    for (let layer = 0; layer < layers; layer++)
      for (let head = 0; head <= heads; head++) {
        const button = document.createElement("button"), picture = document.createElement("canvas");
        button.type = "button";
        button.title = name(layer, head);
        button.setAttribute("aria-label", name(layer, head));
        Object.assign(button.dataset, { layer, head });
        button.addEventListener("click", () => choose(layer, head));
        button.append(picture);
        buttons.push(button);
        drawSmall(picture, input, layer, head);
      }
    gallery.replaceChildren(...buttons);
    choose(Math.min(chosen.layer ?? Number(root.dataset.layer), layers - 1), Math.min(chosen.head, heads));
  };

  canvas.addEventListener("pointermove", (event) => {
    const column = Math.floor((event.offsetX - cells.label) / cells.cell);
    const row = Math.floor((event.offsetY - cells.label) / cells.cell);
    if (row < 0 || column < 0 || row >= cells.rows || column >= cells.columns) return;
    const weight = cells.map[row * cells.columns + column].toFixed(3);
    if (cells.picture) {
      readout.textContent = `Row ${row + 1}, column ${column + 1}: ${weight} of the strongest patch`;
      return;
    }
    readout.textContent = `${cells.tokens[row]} attends to ${cells.tokens[column]} with weight ${weight}`;
  });
  chooser?.addEventListener("change", () => {
    chosen.input = Number(chooser.value);
    fill();
  });
  window.addEventListener("resize", drawLarge);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fill);
  chosen.head = Number(root.dataset.head);
  fill();
})();
