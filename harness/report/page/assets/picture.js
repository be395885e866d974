// The picture: F1 against time ratio, parameters or MACs. Filled as in picture.py; hover, keys and clicks name an entry.
const AXES = {
  ratio: { title: "time ratio to the baseline (log)", of: (e) => e.ratio },
  parameters: { title: "parameters (log)", of: (e) => e.parameters && [e.parameters, null, null] },
  macs: { title: "multiply-adds a crop (log)", of: (e) => e.macs && [e.macs, null, null] },
};
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];
let selected = null; // the entry that a click chose
let pareto = null; // what is drawn: view, points

const brief = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);
function pointsOf(board, axis) {
  const points = [];
  for (const entry of board.entries) {
    const x = entry.ratio && AXES[axis].of(entry);
    if (!x || !entry.f1 || x[0] <= 0) continue;
    const [y, low, high] = entry.f1;
    points.push({
      id: entry.id, name: brief(entry.name),
      look: entry.rank === undefined ? "weak" : "ranked",
      x: x[0], low: x[1] === null ? x[0] : Math.max(x[1], x[0] / 1000), high: x[2] ?? x[0],
      y, ylow: low ?? y, yhigh: high ?? y,
    });
  }
  points.sort((a, b) => a.x - b.x || b.y - a.y);
  let best = -Infinity;
  for (const point of points)
    if (point.look === "ranked" && point.y > best) [point.look, best] = ["front", point.y];
  return points;
}
// The points that the picture shows, and those too far off: as in pareto.py.
function near(points, lines) {
  const kept = points.filter((point) => point.look !== "weak");
  if (!kept.length) return [points, []];
  const [xs, ys] = [[...kept, ...lines].map((p) => Math.log(p.x)), [...kept, ...lines].map((p) => p.y)];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const [wide, tall] = [Math.max((right - left) / 2, 0.7), Math.max((high - low) / 2, 0.1)];
  const beside = ({ x, y }) => Math.log(x) >= left - wide && Math.log(x) <= right + wide && y >= low - tall && y <= high + tall;
  const [shown, far] = [[], []];
  for (const point of points) (point.look !== "weak" || beside(point) ? shown : far).push(point);
  return [shown, far];
}
// Rows of the names, as in picture.py: those that come first find a place first.
function namesOf(points, lines, numbers) {
  const few = points.length <= 25;
  const front = (point) => point.look === "front";
  const rows = [
    ...lines.map((line) => [line, "line", line.name]),
    ...[...points.filter(front), ...points.filter((point) => !front(point))]
      .map((point) => [point, "entry", few || front(point) ? point.name : ""]),
    ...numbers.filter((one) => one.label).map((one) => [one, "entry", ""]),
  ];
  const found = rows.map(([{ x, y }, kind, name]) => ({ x, y, dx: 0, dy: 0, kind, name }));
  const around = few ? [[5, 0], [-5, 0], [0, 5], [0, -5]] : [];
  return [...found, ...found.flatMap((one) => around.map(([dx, dy]) => ({ ...one, name: "", dx, dy })))];
}

function domainsOf(points) {
  const xs = points.flatMap((p) => [p.x, p.low ?? p.x, p.high ?? p.x]);
  const ys = points.flatMap((p) => [p.y, p.ylow ?? p.y, p.yhigh ?? p.y]);
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const wide = Math.max(Math.log(right / left) * 0.08, 0.1);
  const tall = Math.max((top - bottom) * 0.08, 0.02);
  return [[left * Math.exp(-wide), right * Math.exp(wide)], [Math.max(bottom - tall, 0), Math.min(top + tall, 1)]];
}

function curvesOf(board, [[left, right], [low, high]], { wt, wf, k }) {
  const score = (x, y) => scored(x, y, board, { wt, wf, k });
  const [least, most] = [score(left, high), score(right, low)];
  const step = STEPS.find((one) => (most - least) / one <= 14) ?? 10;
  const found = [];
  const named = [];
  if (!(wf > 0 && k > 0)) return found;
  for (let number = Math.ceil(least / step); number <= Math.floor(most / step); number++) {
    const all = [];
    for (let sample = 0; sample <= 80; sample++) { // along both axes: a curve is flat at its left and steep at its right
      const x = left * (right / left) ** (sample / 80);
      const rest = (number * step - wt * x) / wf;
      if (rest > 0 && rest < 1) all.push([x, board.baseline_f1 - Math.log(rest / (1 - rest)) / k]);
      const y = low + ((high - low) * sample) / 80;
      if (wt > 0) all.push([(number * step - score(0, y)) / wt, y]);
    }
    const its = all.filter(([x, y]) => x >= left && x <= right && y >= low && y <= high)
      .sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([x, y]) => ({ score: String(number), x, y, label: "" }));
    const narrow = innerWidth < 720;
    const room = its.length && named.every(({ x, y }) =>
      Math.abs(Math.log(its[0].x / x)) > (narrow ? 0.12 : 0.05) * Math.log(right / left) || Math.abs(its[0].y - y) > (narrow ? 0.06 : 0.04) * (high - low));
    if (room) {
      its[0].label = String(Number((number * step).toPrecision(4)));
      named.push(its[0]);
    }
    found.push(...its);
  }
  return found;
}

// The front to the edges of the picture: below and right of it an entry is beaten.
function borderOf(front, [[, right], [low]]) {
  if (!front.length) return [];
  return [{ x: front[0].x, y: low }, ...front.map(({ x, y }) => ({ x, y })), { x: right, y: front.at(-1).y }];
}
// Numbers of a logarithmic axis: as in pareto.py, fewer on a phone.
function ticksOf([left, right]) {
  const [first, last] = [Math.floor(Math.log10(left)), Math.ceil(Math.log10(right))];
  const narrow = innerWidth < 720;
  const few = Math.log10(right / left) < 1;
  const steps = last - first > 4 ? [1] : few ? (narrow ? [1, 2, 3, 5, 7] : [1, 2, 3, 4, 5, 6, 7, 8, 9]) : narrow ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = first; power <= last; power++) for (const step of steps) found.push(Number(`${step}e${power}`));
  return found.filter((value) => value >= left && value <= right);
}

// What the picture shows: entries that the reader chose to see, by kind and by text.
function valuesOf(board, axis) {
  const entries = new Map(board.entries.map((entry) => [entry.id, entry]));
  const chosen = pointsOf(board, axis).filter((point) => passes(entries.get(point.id), [], state.show));
  const lines = axis === "ratio" ? board.lines.map(({ name, ratio: x, f1: y }) => ({ name: brief(name), x, y })) : [];
  const [points, far] = near(chosen, lines);
  if (!points.length) return { points, far, lines };
  const domains = domainsOf([...points, ...lines]); // of all texts: the picture holds still while one types
  const words = wordsOf(state.q);
  const seen = points.filter((point) => passes(entries.get(point.id), words, ""));
  const target = lines.find((line) => line.name === "target");
  const numbers = axis === "ratio" && board.present && board.baseline_f1 !== null ? curvesOf(board, domains, weights()) : [];
  return {
    points: seen, far, lines, domains,
    region: target ? [{ x: domains[0][0], x2: target.x, y: target.y, y2: domains[1][1] }] : [],
    curves: numbers,
    front: borderOf(points.filter((point) => point.look === "front"), domains),
    active: seen.filter((point) => point.id === selected),
    names: namesOf(seen, lines, numbers),
  };
}
const DATA = ["points", "lines", "region", "curves", "front", "active", "names"];

function showPicture(board) {
  const place = $("#pareto");
  const axis = Object.hasOwn(AXES, state.x) ? state.x : "ratio";
  const { wt, wf, k } = weights();
  const asked = [board.id, axis, innerWidth < 720, state.show, state.q, wt, wf, k].join(" ");
  if (pareto?.asked === asked && place.firstElementChild) return; // sorting changes nothing here
  const values = valuesOf(board, axis);
  const { domains, far } = values;
  const drawn = `${board.id} ${axis} ${innerWidth < 720} ${domains}`;
  place.closest(".panel").hidden = !board.entries.length && !board.lines.length;
  const off = far.length > 2 ? `${far.length} entries` : far.map((point) => point.name).sort().join(", ");
  $("#far").textContent = far.length ? `far off and not shown: ${off}` : "";
  if (!domains) {
    place.textContent = board.entries.length ? "No entry has this number." : "";
    pareto = null;
    return;
  }
  if (pareto?.drawn === drawn && place.firstElementChild) {
    Object.assign(pareto, { values, asked });
    if (pareto.view) {
      for (const name of DATA) pareto.view.data(name, values[name]);
      pareto.view.run();
    }
    return;
  }
  const { chart: spec, names } = JSON.parse($("#chart").textContent);
  const { x, y } = spec.layer[0].encoding;
  x.scale.domain = domains[0];
  y.scale.domain = domains[1];
  x.title = AXES[axis].title;
  x.axis = { values: ticksOf(domains[0]), format: axis === "ratio" ? "~r" : "~s" };
  spec.height = innerWidth < 720 ? 300 : 360;
  const its = { drawn, asked, values, view: null, board };
  pareto = its;
  place.textContent = "";
  const patch = (vega) => {
    for (const [key, one] of Object.entries({ data: names.data, scales: names.scale, marks: names.mark })) vega[key].push(one);
    return vega;
  };
  draw(place, spec, (made) => {
    its.view = made;
    for (const name of DATA) made.data(name, its.values[name]);
    made.run();
    made.addEventListener("pointermove", (event, item) => point(item?.datum?.id ?? null, event));
  }, values.points.length, patch);
}

function says(entry) {
  const parts = [`${entry.rank === undefined ? "not ranked" : `rank ${entry.shown}`}`];
  if (entry.now) parts.push(`score ${number(entry.now[0])}`);
  parts.push(`F1 ${number(entry.f1[0])} (${ends(entry.f1)})`, `time ratio ${number(entry.ratio[0], 3)} (${ends(entry.ratio, 3)})`);
  return `${entry.name}\n${parts.join("\n")}`;
}
function mark(id) {
  if (!pareto?.view) return;
  pareto.view.data("active", pareto.values.points.filter((one) => one.id === (id ?? selected))).run();
}
let pointed = null;
function point(id, event = null) {
  const entry = id && entryOf(boardNow(), id);
  hint(entry ? says(entry) : "", event?.clientX ?? 0, event?.clientY ?? 0);
  if (pointed !== id) mark(id);
  pointed = id;
}
// A click, or a key, chooses an entry: its point is ringed and its row shown.
function select(id, scroll) {
  selected = id;
  mark(id);
  const section = $(".board:not([hidden])");
  for (const row of $$("tr.on", section)) row.classList.remove("on");
  let row = null;
  for (const table of $$("table", section)) {
    const its = tables.get(table);
    const at = its?.visible.findIndex((one) => one.of.id !== undefined && one.of.id === id) ?? -1;
    if (at < 0) continue;
    row = its.visible[at].row;
    if (at >= its.limit) grow(table, at + 1 - its.limit);
  }
  row?.classList.add("on");
  if (scroll) row?.scrollIntoView({ block: "nearest" });
  const entry = entryOf(boardNow(), id);
  if (entry?.f1) $("#said").textContent = says(entry).replaceAll("\n", ", ");
}
function keys(event) {
  const points = pareto?.values.points ?? [];
  const at = points.findIndex((one) => one.id === selected);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Enter" && at >= 0) change({ entry: selected, vs: "" }, true);
  else if (event.key === "Escape") select(null, false), hint("");
  else if (event.key === "Home" || event.key === "End") step0(event.key === "Home" ? 0 : points.length - 1);
  else if (step && points.length) step0(at < 0 ? (step > 0 ? 0 : points.length - 1) : (at + step + points.length) % points.length);
  else return;
  event.preventDefault();
  function step0(next) {
    select(points[next].id, false);
    const box = event.currentTarget.getBoundingClientRect();
    hint(says(entryOf(boardNow(), points[next].id)), box.left + 40, box.top + 10);
  }
}
