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
    if (typeof answer.prediction === "number") return figure(answer.prediction);
    if (!Array.isArray(answer.prediction)) return answer.prediction;
    // of classes each has a score; of words each has a label
    return (answer.columns || {}).scores ? answer.prediction.join(", ") || "no class" : labelled(answer, text);
  };

  const interval = (answer) => {
    const { low, high } = answer.columns || {};
    return typeof low === "number" && typeof high === "number" ? `prediction interval ${figure(low)} to ${figure(high)}` : "";
  };

  const show = (answer, text) => {
    part("prediction").textContent = predicted(answer, text);
    const sure = answer.score === undefined ? "" : `confidence ${percent(answer.score)}`;
    const calibrated = answer.calibrated_score === undefined ? "" : `, ${percent(answer.calibrated_score)} calibrated`;
    part("sure").textContent = sure + calibrated + interval(answer);
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
      const reply = await post("predict", { inputs: [values] });
      if (number !== latest) return;
      const { problem, fix } = reply.predictions[0];
      if (problem) throw new Error(`${problem} ${fix}`);
      show(reply.predictions[0], String(values.words || ""));
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
})();
