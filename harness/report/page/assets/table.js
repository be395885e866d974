// The tables: sorted, filtered, ranked anew. Rows stay the elements that the file came with; only their order changes.
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
  parameters: by((e) => e.parameters),
  macs: by((e) => e.macs),
  size: by((e) => e.size),
  format: by((e) => e.format),
  isolation: by((e) => e.isolation || null),
  date: by((e) => e.date),
};
const DESCENDING = new Set(["f1", "date"]); // what is best, or newest, first

// Scores and places of a board under the weights in force; the rules' own ranks where these are the rules'.
function rerank(board) {
  const now = weights();
  const rankable = board.entries.filter((entry) => entry.rank !== undefined);
  for (const entry of board.entries) {
    entry.now = entry.score ?? null;
    entry.place = entry.rank ?? null;
    entry.shown = entry.shown_rank;
    if (now.changed && board.present && entry.ratio && entry.f1) {
      entry.now = entry.ratio.map((ratio) => (ratio === null ? null : scored(ratio, entry.f1[0], board, now)));
    }
  }
  for (const line of board.lines) {
    const score = now.changed ? scored(line.ratio, line.f1, board, now) : line.score;
    line.now = [score, null, null];
    line.place = null;
  }
  if (now.changed && board.present) {
    rankable.sort((a, b) => a.now[0] - b.now[0]);
    rankable.forEach((entry, i) => {
      const before = rankable[i - 1];
      entry.place = before && before.now[0] === entry.now[0] ? before.place : i + 1;
      entry.shown = String(entry.place);
    });
  }
  return now;
}

// Whether the reader should see an entry under the filters.
function passes(entry, words, wanted) {
  const flagged = (entry.flags ?? []).length > 0;
  const kinds = {
    ranked: entry.rank !== undefined,
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
    tables.set(table, { found, bodies, now: "" });
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

// Brings a board's tables in line with the state.
let filled = ""; // the weights that the cells show, by board
function showTables(board, section) {
  const now = rerank(board);
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = Object.hasOwn(COLUMNS, state.sort) ? state.sort : now.changed ? "score" : "";
  const descending = state.dir ? state.dir === "down" : DESCENDING.has(wanted);
  const weighed = `${board.id} ${now.wt} ${now.wf} ${now.k}`;
  let [shown, all] = [0, 0];
  for (const table of $$("table", section)) {
    const { found, bodies, now: order } = rowsOf(table, board);
    for (const one of found) {
      const visible = one.line ? !state.show && !words.length : passes(one.of, words, state.show);
      if (one.moved.hidden === visible) one.moved.hidden = !visible;
      all += !one.line;
      shown += visible && !one.line;
      if (filled !== weighed) fillRow(one, now);
      const on = one.of.id !== undefined && one.of.id === selected;
      if (one.row.classList.contains("on") !== on) one.row.classList.toggle("on", on);
    }
    const key = `${wanted} ${descending} ${weighed}`;
    if (order !== key && !(order === "" && wanted === "" && !now.changed)) {
      const sorted = wanted ? [...found].sort(compare(wanted, descending)) : found;
      const place = document.createDocumentFragment();
      place.append(...sorted.map((one) => one.moved));
      (bodies ? table : table.tBodies[0]).append(place);
    }
    tables.get(table).now = key;
    for (const head of $$("thead th[data-key]", table)) {
      if (head.dataset.key === (wanted || (bodies ? "" : "rank"))) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const empty = found.every((one) => one.moved.hidden);
    const around = table.closest(".scroll");
    around.hidden = empty;
    if (around.previousElementSibling?.tagName === "H3") around.previousElementSibling.hidden = empty;
  }
  filled = weighed;
  $("#count").textContent = `${shown === all ? all : `${shown} of ${all}`} ${all === 1 ? "entry" : "entries"}`;
}
