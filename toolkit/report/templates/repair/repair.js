"use strict";
// One doubtful row at a time; decisions are kept in the browser and downloaded as CSV.
(() => {
  const { key, head, rows } = JSON.parse(document.getElementById("doubts").textContent);
  const part = (id) => document.getElementById(id);
  const store = `toolkit repair ${key}`;
  const places = rows.map((row) => JSON.stringify([row.file, row.row]));
  const decisions = new Map(Object.entries(stored()));
  const made = []; // decisions since the last move by hand, which Undo takes back; then it clears the row shown
  let at = Math.max(0, places.findIndex((place) => !decisions.has(place)));

  function stored() {
    try {
      return JSON.parse(localStorage.getItem(store)) ?? {};
    } catch {
      return {}; // storage is off, or holds something else
    }
  }

  function remember() {
    try {
      localStorage.setItem(store, JSON.stringify(Object.fromEntries(decisions)));
    } catch {
      // storage is off: the download still has the decisions
    }
  }

  function show() {
    const done = places.filter((place) => decisions.has(place)).length;
    part("progress").max = Math.max(1, rows.length);
    part("progress").value = done;
    part("card").hidden = !rows.length;
    if (!rows.length) {
      part("status").textContent = "There is no row to decide on.";
      return;
    }
    const row = rows[at], decision = decisions.get(places[at]);
    const shown = !decision ? "" : decision.decision === "relabel" ? `: relabel as ${decision.label}` : `: ${decision.decision}`;
    part("status").textContent = `Row ${at + 1} of ${rows.length}${shown}; ${done} decided`;
    part("place").textContent = `${row.file}, row ${row.row}`;
    part("text").textContent = row.text;
    part("label").textContent = row.label;
    part("suggestion").textContent = row.suggestion || "–";
    part("reason").textContent = row.reasons.join("; ");
    part("score").textContent = row.score;
    part("similar").textContent = row.similar_to || "–";
    part("similar-row").hidden = !row.similar_to;
    part("similar-label").textContent = row.similar_label;
    part("similar-text").textContent = row.similar_text;
    part("picture").hidden = !row.picture;
    part("picture").src = row.picture || "data:,";
    part("other").value = decision?.label ?? (row.suggestion || row.label);
    part("accept").disabled = !row.suggestion;
    const pressed = decision?.decision === "relabel" ? (decision.label === row.suggestion ? "accept" : "") : decision?.decision;
    for (const id of ["accept", "keep", "drop"]) part(id).setAttribute("aria-pressed", String(id === pressed));
    part("clear").disabled = !decision && !made.length;
    part("previous").disabled = at === 0;
    part("next").disabled = at === rows.length - 1;
  }

  function move(by) {
    at = Math.min(Math.max(at + by, 0), rows.length - 1);
    show();
  }

  function turn(by) {
    made.length = 0;
    move(by);
  }

  function decide(decision, label = "") {
    made.push({ at, before: decisions.get(places[at]) });
    decisions.set(places[at], { decision, label });
    remember();
    move(1);
  }

  function accept() {
    if (rows[at].suggestion) decide("relabel", rows[at].suggestion);
  }

  function undo() {
    const last = made.pop() ?? { at };
    at = last.at;
    if (last.before) decisions.set(places[at], last.before);
    else decisions.delete(places[at]);
    remember();
    show();
  }

  function cell(text) {
    const safe = /^'*[=+\-@\t\r]/.test(text) && !/^[-+]?[\d.,]+(e[-+]?\d+)?$/i.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function download() {
    const lines = rows.map((row, number) => {
      const { decision = "", label = "" } = decisions.get(places[number]) ?? {};
      return `${row.csv},${decision},${cell(label)}`;
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([[head, ...lines, ""].join("\r\n")], { type: "text/csv" }));
    link.download = "decisions.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  const keys = {
    a: accept,
    k: () => decide("keep"),
    d: () => decide("drop"),
    u: undo,
    e: () => part("other").focus(),
    s: download,
    ArrowLeft: () => turn(-1),
    ArrowRight: () => turn(1),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === part("other")) {
      if (event.key === "Escape") part("other").blur();
      return;
    }
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || !rows.length) return;
    event.preventDefault();
    action();
  });
  part("accept").addEventListener("click", accept);
  part("keep").addEventListener("click", keys.k);
  part("drop").addEventListener("click", keys.d);
  part("clear").addEventListener("click", undo);
  part("previous").addEventListener("click", keys.ArrowLeft);
  part("next").addEventListener("click", keys.ArrowRight);
  part("download").addEventListener("click", download);
  part("relabel").addEventListener("submit", (event) => {
    event.preventDefault();
    part("other").blur();
    if (part("other").value) decide("relabel", part("other").value);
  });
  show();
})();
