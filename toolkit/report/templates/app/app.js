"use strict";
(() => {
  const form = document.getElementById("ask");
  const part = (name) => document.querySelector(`[data-part="${name}"]`);
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const files = new Map(); // role → data address of the file that was chosen
  let latest = 0; // a response to an earlier request is not shown

  const element = (kind, text, name) => {
    const made = document.createElement(kind);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };

  const post = async (path, body) => {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const reply = await response.json();
    if (!response.ok) throw new Error(`${reply.problem} ${reply.fix}`);
    return reply;
  };

  const given = () => {
    const values = {};
    for (const field of form.elements) {
      if (field.dataset.kind === "file") {
        if (files.has(field.name)) values[field.name] = files.get(field.name);
      } else if (field.dataset.kind && field.value.trim()) {
        values[field.name] = field.value;
      }
    }
    return values;
  };

  const labelled = (answer, text) => {
    const entities = (answer.columns || {}).entities || [];
    if (entities.length) {
      return entities.map((one) => `${one.text} (${one.type}, ${percent(one.calibrated_score ?? one.score)})`).join("  ");
    }
    const words = text.trim().split(/\s+/);
    const known = words.length === answer.prediction.length && answer.prediction.some((label) => label !== "O");
    return known ? words.map((word, place) => `${word} (${answer.prediction[place]})`).join("  ") : "no entity";
  };

  const figure = (value) => Number(value.toPrecision(6)).toLocaleString("en-US", { maximumSignificantDigits: 6 });

  const predicted = (answer, text) => {
    if (answer.prediction === null) return "No answer";
    if (typeof answer.prediction === "number") return figure(answer.prediction);
    if (!Array.isArray(answer.prediction)) return answer.prediction;
    // of classes each has a score; of words each has a label
    return (answer.columns || {}).scores ? answer.prediction.join(", ") || "no class" : labelled(answer, text);
  };

  const interval = (answer) => {
    const { low, high } = answer.columns || {};
    return typeof low === "number" && typeof high === "number" ? `prediction interval ${figure(low)} to ${figure(high)}` : "";
  };

  const sure = (answer) => {
    const { abstained, set } = answer.columns || {};
    const score = answer.score === undefined ? "" : `confidence ${percent(answer.score)}`;
    const calibrated = answer.calibrated_score === undefined ? "" : `, ${percent(answer.calibrated_score)} calibrated`;
    const inside = set && set.length ? `set of classes: ${set.join(", ")}` : "";
    return [abstained || score + calibrated + interval(answer), inside].filter(Boolean).join("; ");
  };

  const showBeside = (second, answer, text) => {
    const { problem, fix } = second;
    part("prediction-beside").textContent = problem ? `${problem} ${fix}` : predicted(second, text);
    const same = JSON.stringify(second.prediction) === JSON.stringify(answer.prediction);
    part("sure-beside").textContent = problem ? "" : [sure(second), same ? "same prediction" : "different prediction"].filter(Boolean).join("; ");
  };

  const show = (answer, text) => {
    part("prediction").textContent = predicted(answer, text);
    part("sure").textContent = sure(answer);
    const chances = Object.entries(answer.scores || {}).sort((a, b) => b[1] - a[1]).slice(0, 10);
    part("chances").replaceChildren(...chances.map(([label, value]) => {
      const row = element("li", undefined, [answer.prediction].flat().includes(label) ? "chosen" : "");
      const bar = element("span", undefined, "bar");
      const filled = element("span");
      filled.style.width = `${100 * value}%`;
      bar.append(filled);
      row.append(element("span", label), bar, element("span", percent(value), "value"));
      return row;
    }));
    document.getElementById("answer").hidden = false;
  };

  const shade = (reasons) => {
    const largest = Math.max(...reasons.scores.map(Math.abs), 1e-12);
    const titles = [...form.querySelectorAll("textarea")].map((field) => field.dataset.title);
    const words = reasons.words.flatMap((word, place) => {
      const share = Math.abs(reasons.scores[place]) / largest;
      const against = reasons.scores[place] < 0 && share >= 0.05;
      const shown = element("span", word, against ? "word against" : "word");
      shown.style.setProperty("--share", share.toFixed(2));
      shown.title = figure(reasons.scores[place]);
      const sources = reasons.sources || [];
      const begins = Math.max(0, ...sources) > 0 && (place === 0 || sources[place] !== sources[place - 1]);
      if (!begins) return [shown, " "];
      const title = element("small", titles[sources[place]], "source muted");
      return [...(place ? [element("br")] : []), title, " ", shown, " "];
    });
    part("words").replaceChildren(...words);
  };

  const explain = (reasons) => {
    if (reasons.words) shade(reasons);
    part("overlay").hidden = !reasons.overlay;
    if (reasons.overlay) part("overlay").src = reasons.overlay;
    part("against").hidden = !reasons.signed;
    part("explained").textContent = typeof reasons.prediction === "number" ? "the number" : reasons.prediction;
    part("method").textContent = `${reasons.method.title}: ${reasons.method.about}.`;
    part("belief").textContent = reasons.belief;
    document.getElementById("reasons").hidden = false;
  };

  const refuse = (error) => {
    const refusal = document.getElementById("refusal");
    refusal.textContent = error ? error.message : "";
    refusal.hidden = !error;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const number = ++latest;
    const button = form.querySelector("button");
    button.disabled = true;
    refuse(null);
    document.getElementById("reasons").hidden = true;
    document.getElementById("answer").hidden = true;
    try {
      const values = given();
      const body = { inputs: [values] };
      const [reply, second] = await Promise.all([
        post("predict", body),
        form.dataset.beside ? post("beside/predict", body) : null,
      ]);
      if (number !== latest) return;
      const { problem, fix } = reply.predictions[0];
      if (problem) throw new Error(`${problem} ${fix}`);
      const text = String(values.words || "");
      if (second) showBeside(second.predictions[0], reply.predictions[0], text);
      show(reply.predictions[0], text);
      if (form.dataset.explains === "yes") {
        const reasons = await post("explain", { input: values });
        if (number === latest) explain(reasons);
      }
    } catch (error) {
      if (number === latest) refuse(error);
    } finally {
      button.disabled = false;
    }
  });

  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });

  for (const drop of document.querySelectorAll("[data-drop]")) {
    const field = drop.querySelector("input");
    const shown = drop.querySelector("[data-shown]");
    const take = (file) => {
      if (!file) return;
      const reader = new FileReader();
      reader.addEventListener("load", () => {
        files.set(drop.dataset.drop, reader.result);
        shown.src = reader.result;
        shown.hidden = false;
        field.required = false;
        form.requestSubmit();
      });
      reader.readAsDataURL(file);
    };
    field.addEventListener("change", () => take(field.files[0]));
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      take(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((one) => one.type.startsWith(drop.dataset.media));
      if (file) take(file);
    });
  }

  // --- a file of rows: read here, predicted as NDJSON, shown in part, and downloaded as CSV

  const columns = JSON.parse(document.getElementById("columns").textContent);
  const PREVIEW = 20;

  const cells = (text) => {
    const rows = [];
    let row = [], cell = "", quoted = false;
    const delimiter = (text.split("\n", 1)[0].match(/\t|;|,/) || [","])[0];
    const close = () => { row.push(cell); cell = ""; };
    for (let place = 0; place < text.length; place++) {
      const sign = text[place];
      if (quoted) {
        if (sign !== '"') cell += sign;
        else if (text[place + 1] === '"') cell += text[++place];
        else quoted = false;
      } else if (sign === '"' && !cell) quoted = true;
      else if (sign === delimiter) close();
      else if (sign === "\n") {
        close();
        rows.push(row);
        row = [];
      } else if (sign !== "\r") cell += sign;
    }
    if (quoted) throw new Error("A quotation mark of the file is not closed.");
    if (cell || row.length) { close(); rows.push(row); }
    return rows.filter((one) => one.length > 1 || one[0]);
  };

  const misfits = new WeakMap(); // rows of another width than the header: they are not predicted

  const objects = (text, name) => {
    const start = text.trimStart();
    if (start.startsWith("[") && name.endsWith(".json")) return JSON.parse(text);
    if (/\.(jsonl|ndjson|json)$/.test(name)) {
      return text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
    }
    const [header = [], ...rows] = cells(text);
    return rows.map((row) => {
      const made = Object.fromEntries(header.map((key, place) => [key.trim(), row[place] ?? ""]));
      if (row.length !== header.length) misfits.set(made, `${row.length} fields where the header has ${header.length}`);
      return made;
    });
  };

  // the columns of the file that hold the inputs: by their names, or the only column
  const located = (rows) => {
    const keys = Object.keys(rows[0] || {});
    const places = {};
    for (const column of columns) {
      const names = column.names.map((one) => one.toLowerCase());
      const key = keys.find((one) => names.includes(one.toLowerCase()));
      if (key !== undefined) places[column.role] = key;
      else if (column.required && keys.length === 1) places[column.role] = keys[0];
      else if (column.required) throw new Error(`The file has no column \`${column.role}\`; it has ${keys.slice(0, 8).join(", ") || "none"}.`);
    }
    return places;
  };

  async function* answers(path, inputs) {
    const body = inputs.map((input) => JSON.stringify(input)).join("\n");
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body });
    if (!response.ok) {
      const refused = await response.json();
      throw new Error(`${refused.problem} ${refused.fix}`);
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      const lines = (rest + (value || "")).split("\n");
      rest = lines.pop();
      for (const line of lines) yield JSON.parse(line);
      if (done) return;
    }
  }

  const plain = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

  const written = (answer, suffix = "") => {
    const { prediction, score, calibrated_score: calibrated, columns: further, problem } = answer;
    const values = { prediction, score, calibrated_score: calibrated, ...further, problem };
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined).map(([key, value]) => [key + suffix, plain(value)]));
  };

  const csv = (rows) => {
    const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const quote = (value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    return [keys, ...rows.map((row) => keys.map((key) => plain(row[key])))].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
  };

  const preview = (rows) => {
    const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const table = element("table");
    const head = table.createTHead().insertRow();
    for (const key of keys) {
      const cell = element("th", key);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const text of keys.map((key) => plain(row[key]).slice(0, 300))) line.append(element("td", text, text.length > 20 ? "long" : ""));
    }
    part("preview").replaceChildren(table);
    part("preview").hidden = false;
  };

  const chosen = document.getElementById("table");
  let run = 0; // a file that was chosen later replaces an earlier one
  const predictFile = async (file) => {
    const number = ++run;
    const progress = part("progress");
    const download = part("download");
    download.hidden = part("preview").hidden = true;
    if (file.size > Number(chosen.dataset.bytes)) throw new Error("The file is too large: use `toolkit predict`.");
    const rows = objects((await file.text()).replace(/^\ufeff/, ""), file.name.toLowerCase());
    if (!rows.length) throw new Error("The file has no rows.");
    const places = located(rows);
    const inputs = rows.map((row) => misfits.has(row) ? {} : Object.fromEntries(Object.entries(places).filter(([, key]) => row[key] !== "" && row[key] !== undefined).map(([role, key]) => [role, row[key]])));
    const results = rows.map((row) => ({ ...row }));
    const predictions = [];
    let done = 0, problems = 0, abstained = 0;
    for await (const answer of answers("predict", inputs)) {
      if (number !== run) return;
      const why = misfits.get(rows[done]);
      Object.assign(results[done], written(why === undefined ? answer : { ...answer, problem: why }));
      predictions.push(answer.problem === undefined ? JSON.stringify(answer.prediction) : null);
      problems += answer.problem !== undefined;
      abstained += answer.prediction === null;
      if (++done % 256 === 0) progress.textContent = `${done} of ${rows.length} rows`;
    }
    let same = 0;
    if (form.dataset.beside) {
      let place = 0;
      for await (const answer of answers("beside/predict", inputs)) {
        if (number !== run) return;
        same += predictions[place] !== null && JSON.stringify(answer.prediction) === predictions[place];
        Object.assign(results[place++], written(answer, ` (${form.dataset.beside})`));
      }
    }
    const parts = [`${done - problems} of ${rows.length} rows predicted`];
    if (problems) parts.push(`${problems} with a problem`);
    if (abstained) parts.push(`${abstained} without an answer`);
    if (form.dataset.beside) parts.push(`${same} with the same prediction of both models`);
    progress.textContent = `${parts.join(", ")}.`;
    preview(results.slice(0, PREVIEW));
    URL.revokeObjectURL(download.href);
    download.href = URL.createObjectURL(new Blob([csv(results)], { type: "text/csv" }));
    download.hidden = false;
  };
  if (chosen) {
    chosen.addEventListener("change", () => {
      if (!chosen.files.length) return;
      part("progress").textContent = "Reading the file …";
      predictFile(chosen.files[0]).catch((error) => { part("progress").textContent = error.message; });
    });
  }

  if (form.dataset.example === "yes") {
    form.querySelector("textarea").select(); // what is typed replaces it
    form.requestSubmit();
  }
})();
