// The tables: sorted, filtered, ranked anew. Rows stay the elements that the file came with; what changes is which of
// them the table has, and in which order. Of a long table the rest follows where the reader comes near: laying out a
// thousand rows takes half a second, and nobody reads a thousand.
const by = (pick) => (entry) => pick(entry) ?? null;
const COLUMNS = {
  rank: by((e) => e.place),
  name: by((e) => e.name.toLowerCase()),
  score: by((e) => e.now?.[0]),
  f1: by((e) => (Array.isArray(e.f1) ? e.f1[0] : e.f1)),
  ratio: by((e) => (Array.isArray(e.ratio) ? e.ratio[0] : e.ratio)),
  p50: by((e) => e.latency?.[1] ?? e.p50),
  p90: by((e) => e.latency?.[2]),
  p95: by((e) => e.latency?.[3]),
  p99: by((e) => e.latency?.[4]),
  speed: by((e) => e.latency?.[5] ?? e.speed),
  batch: by((e) => e.batch?.[0]),
  parameters: by((e) => e.parameters),
  macs: by((e) => e.macs),
  size: by((e) => e.size),
  format: by((e) => e.format),
  isolation: by((e) => e.isolation || null),
  date: by((e) => e.date),
};
const DESCENDING = new Set(["f1", "date", "speed"]); // what is best, or newest, first

// Standard error of an entry's score on a rerun under other weights: as in pool.py, of its time and of its F1.
function errorOf(entry, board, { wt, wf, k }) {
  if (entry.error == null || entry.ratio[1] === null) return null;
  const time = entry.ratio[0] * (Math.log(entry.ratio[2] / entry.ratio[1]) / 2 / tCritical(entry.degrees ?? 1));
  const slope = (weight, steep) => {
    const at = sigmoid(steep * (board.baseline_f1 - entry.f1[0]));
    return weight * steep * at * (1 - at);
  };
  const usual = slope(1, view.f1_slope);
  const f1 = usual ? Math.sqrt(Math.max(entry.error ** 2 - (view.time_weight * time) ** 2, 0)) / usual : 0;
  return Math.hypot(wt * time, slope(wf, k) * f1);
}

// Best ranks of entries: 1 and as many as are better beyond what a rerun changes; as in stats.py, all pairs together.
function placesOf(entries, board, now) {
  const values = entries.map((entry) => entry.now[0]);
  const critical = board.critical ?? 1;
  const squares = entries.map((entry) => ((errorOf(entry, board, now) ?? Infinity) * (entry.widening ?? 1) * critical) ** 2);
  return values.map((value, i) => {
    let better = 0;
    for (let j = 0; j < values.length; j++) // a thousand entries are a million pairs at each step of a slider
      if (value > values[j] && (value - values[j]) ** 2 > squares[i] + squares[j]) better++;
    return 1 + better;
  });
}

// Scores and places of a board under the weights in force; the rules' own ranks where these are the rules'.
function rerank(board) {
  const now = weights();
  const other = now.changed && board.present;
  for (const entry of board.entries) {
    entry.now = entry.score ?? null;
    entry.place = entry.rank ?? null;
    entry.shown = entry.shown_rank;
    if (other && entry.ratio && entry.f1) {
      const [value, error] = [scored(entry.ratio[0], entry.f1[0], board, now), errorOf(entry, board, now)];
      const half = error === null ? null : error * tCritical(entry.degrees ?? 1);
      entry.now = half === null ? [value, null, null] : [value, value - half, value + half];
    }
  }
  for (const line of board.lines) {
    const score = now.changed ? scored(line.ratio, line.f1, board, now) : line.score;
    line.now = [score, null, null];
    line.place = null;
  }
  if (other) {
    const rankable = board.entries.filter((entry) => entry.rank !== undefined);
    const places = placesOf(rankable, board, now);
    const many = new Map();
    for (const place of places) many.set(place, (many.get(place) ?? 0) + 1);
    rankable.forEach((entry, i) => {
      entry.place = places[i];
      entry.shown = `${places[i]}${many.get(places[i]) > 1 ? "=" : ""}`;
    });
  }
  return now;
}

const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);
// Whether the reader should see an entry under the filters.
function passes(entry, words, wanted) {
  const flagged = (entry.flags ?? []).length > 0;
  const kinds = {
    ranked: entry.rank !== undefined,
    eligible: entry.eligible === true,
    ineligible: entry.status === "ok" && entry.eligible !== true,
    target: entry.target === true,
    unranked: entry.status === "ok" && entry.rank === undefined,
    flagged,
    failed: entry.status !== "ok",
  };
  if (wanted && kinds[wanted] === false) return false;
  if (!words.length) return true;
  entry.words ??= [entry.name, entry.authors, entry.description, entry.format, entry.digest, entry.date, ...(entry.remarks ?? [])]
    .filter(Boolean).join(" ").toLowerCase();
  return words.every((word) => entry.words.includes(word));
}

function compare(key, descending) {
  const value = COLUMNS[key];
  return (a, b) => {
    const [first, second] = [value(a.of), value(b.of)];
    if (first === null || second === null) return (first === null) - (second === null) || a.was - b.was;
    const order = first < second ? -1 : first > second ? 1 : 0;
    return (descending ? -order : order) || a.was - b.was;
  };
}

const FEW = 50; // rows that a table has at first, and more at a time
const tables = new Map(); // table -> its rows, as they came
function rowsOf(table, board) {
  if (!tables.has(table)) {
    const bodies = table.tBodies.length > 1;
    const found = $$("tr[data-i],tr[data-line]", table).map((row, was) => ({
      row,
      moved: bodies ? row.parentElement : row,
      was,
      of: row.dataset.line ? board.lines[row.dataset.line] : board.entries[row.dataset.i],
      line: "line" in row.dataset,
    }));
    const more = make("button", { type: "button", class: "more", hidden: true });
    table.closest(".scroll").after(more);
    more.addEventListener("click", () => grow(table));
    nearing.observe(more);
    tables.set(table, { found, bodies, more, limit: FEW, now: "", laid: [] });
  }
  return tables.get(table);
}

function fillRow({ row, of, line }, now) {
  const score = row.cells[2];
  if (line) $("b", score).textContent = number(of.now[0]);
  else if (of.now && row.cells.length > 4) {
    $("b", score).textContent = number(of.now[0]);
    $("small", score).textContent = of.now[1] === null ? "one pass" : `${number(of.now[1])}–${number(of.now[2])}`;
    $(".w", score).hidden = now.changed;
    if (of.rank !== undefined) $("b", row.cells[0]).textContent = of.shown;
  }
}

// Puts the first of the visible rows into a table, filled in under the weights that are in force.
function lay(table, now) {
  const its = tables.get(table);
  const rows = its.visible.slice(0, its.limit);
  const weighed = `${now.wt} ${now.wf} ${now.k}`;
  for (const one of rows) {
    if (one.weighed !== weighed) fillRow(one, now);
    one.weighed = weighed;
    one.row.classList.toggle("on", one.of.id !== undefined && one.of.id === selected);
  }
  const laid = rows.map((one) => one.moved);
  if (its.laid.length !== laid.length || laid.some((row, i) => row !== its.laid[i])) {
    if (its.bodies) {
      for (const body of [...table.tBodies]) body.remove();
      table.append(...laid);
    } else table.tBodies[0].replaceChildren(...laid);
    its.laid = laid;
  }
  its.more.hidden = laid.length === its.visible.length;
  its.more.textContent = `${laid.length} of ${its.visible.length} rows: show more`;
}
function grow(table, by = FEW) {
  const its = tables.get(table);
  its.limit += by;
  lay(table, weights());
}
const nearing = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen)
    if (isIntersecting) for (const [table, { more }] of tables) if (more === target) grow(table);
}, { rootMargin: "600px" });
addEventListener("beforeprint", () => { for (const table of tables.keys()) if (!table.closest(".board").hidden) grow(table, Infinity); });

// Brings a board's tables in line with the state.
function showTables(board, section) {
  const now = rerank(board);
  const words = wordsOf(state.q);
  const wanted = Object.hasOwn(COLUMNS, state.sort) ? state.sort : now.changed ? "score" : "";
  const descending = state.dir ? state.dir === "down" : DESCENDING.has(wanted);
  let [shown, all] = [0, 0];
  for (const table of $$("table", section)) {
    const its = rowsOf(table, board);
    const { found, bodies } = its;
    const visible = [];
    for (const one of found) {
      all += !one.line;
      if (one.line ? state.show || words.length : !passes(one.of, words, state.show)) continue;
      visible.push(one);
      shown += !one.line;
    }
    if (its.now !== `${wanted} ${descending}`) its.limit = FEW;
    its.now = `${wanted} ${descending}`;
    if (wanted) visible.sort(compare(wanted, descending));
    its.visible = visible;
    lay(table, now);
    for (const head of $$("thead th[data-key]", table)) {
      if (head.dataset.key === (wanted || (bodies ? "" : "rank"))) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const empty = !visible.length;
    const around = table.closest(".scroll");
    around.hidden = empty;
    if (around.previousElementSibling?.tagName === "H3") around.previousElementSibling.hidden = empty;
  }
  $("#count").textContent = `${shown === all ? all : `${shown} of ${all}`} ${all === 1 ? "entry" : "entries"}`;
}
