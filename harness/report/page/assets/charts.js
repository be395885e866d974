// The charts of an entry's own view, as Vega-Lite: both sides' times, the run from its start to its end, its passes.
const SIDES = ["submission", "baseline"];
const quantity = (field, title, more = {}) => ({ field, type: "quantitative", title, ...more });
const side = { field: "side", type: "nominal", legend: null, scale: { domain: SIDES, range: "sides" } };
const chartOf = (values, height, layer) => ({ data: { values }, height, layer });

function histogram(trace) {
  const [low, high] = trace.edges;
  const at = (i) => (low * (high / low) ** (i / trace.counts[0].length)) / 1e3;
  const values = trace.counts.flatMap((counts, which) => {
    const all = sum(counts);
    return counts.map((count, i) => ({
      side: SIDES[which], from: at(i), to: at(i + 1), share: (100 * count) / all, zero: 0,
    }));
  });
  return chartOf(values, 190, [{
    mark: { type: "rect", opacity: 0.55 },
    encoding: {
      x: quantity("from", "ms a crop (log)", { scale: { type: "log", nice: false } }), x2: { field: "to" },
      y: quantity("zero", "% of crops"), y2: { field: "share" }, color: side,
    },
  }]);
}

function distribution(trace) {
  const values = trace.quantiles.flatMap((quantiles, which) =>
    quantiles.map((us, percent) => ({ side: SIDES[which], ms: us / 1e3, percent })));
  return chartOf(values, 190, [{
    mark: { type: "line", interpolate: "step-after", clip: true },
    encoding: {
      x: quantity("ms", "ms a crop (log)", { scale: { type: "log", nice: false } }),
      y: quantity("percent", "% answered within", { scale: { domain: [0, 100] } }), color: side,
      order: { field: "percent" },
    },
  }]);
}

function along(trace) {
  const values = trace.along.flatMap((means, which) => means.map((us, at) => ({ side: SIDES[which], at: at + 0.5, ms: us / 1e3 })));
  let begin = 0;
  const starts = trace.passes.map((stretches, number) => {
    const one = { begin, label: `pass ${number + 1}` };
    begin += stretches;
    return one;
  });
  return {
    height: 190,
    layer: [
      {
        data: { values: starts }, mark: { type: "rule", style: "passes" },
        encoding: { x: quantity("begin", `the run, in ${begin} stretches of its ${trace.passes.length} passes`, { axis: { labels: false, ticks: false, grid: false }, scale: { domain: [0, begin], nice: false } }) },
      },
      {
        data: { values }, mark: { type: "line" },
        encoding: { x: quantity("at"), y: quantity("ms", "ms a crop", { scale: { zero: false } }), color: side },
      },
    ],
  };
}

// One dot a pass, of all runs, with the mean and its interval.
function ratios(entry) {
  const values = (entry.runs ?? []).filter((run) => run.pooled)
    .flatMap((run) => (run.logs ?? []).map((log) => ({ ratio: Math.exp(log), run: run.digest })))
    .map((one, i) => ({ ...one, pass: i + 1 }));
  const [mean, low, high] = entry.ratio;
  return {
    height: 190,
    layer: [
      ...(low === null ? [] : [{
        data: { values: [{ low, high }] }, mark: { type: "rect", style: "goal", fillOpacity: 0.15 },
        encoding: { y: quantity("low", "time ratio"), y2: { field: "high" } },
      }]),
      { data: { values: [{ mean }] }, mark: { type: "rule", style: "mean" }, encoding: { y: quantity("mean", "time ratio") } },
      {
        data: { values }, mark: { type: "point", style: "dot", size: 60 },
        encoding: {
          x: quantity("pass", "pass", { axis: { tickMinStep: 1, format: "d", grid: false }, scale: { nice: false, domain: [0.5, values.length + 0.5] } }),
          y: quantity("ratio", "time ratio", { scale: { zero: false, padding: 12 } }), color: { value: colour("ours") },
        },
      },
    ],
  };
}

// The confusion matrix as a table: its rows are the true classes, as shares of each; numbers a reader can hear.
function confusionTable(entry) {
  const names = entry.classes?.length === entry.confusion.length ? entry.classes.map(([name]) => name) : entry.confusion.map((_, i) => String(i));
  const head = make("tr", {}, make("th", { scope: "col" }, "true ↓ answered →"), names.map((name) => make("th", { scope: "col" }, name)));
  const rows = entry.confusion.map((row, i) => {
    const all = sum(row) || 1;
    return make("tr", {}, make("th", { scope: "row" }, names[i]), row.map((count) => {
      const percent = (100 * count) / all;
      return make("td", { "--p": String(Math.round(percent)), title: `${percent.toFixed(1)} %` },
        count ? String(Math.round(count * 10) / 10) : "");
    }));
  });
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Confusion matrix" },
    make("table", { class: "confusion" }, make("caption", { class: "hush" }, "Crops of each true class by the answer they got"), make("thead", {}, head), make("tbody", {}, rows)));
}

function classTable(entry) {
  const rows = entry.classes.map(([name, precision, recall, f1, support]) =>
    make("tr", {}, make("th", { scope: "row" }, name),
      make("td", {}, make("span", { class: "meter", "aria-hidden": "true" }, Object.assign(make("i"), { style: `width:${(100 * f1).toFixed(1)}%` }))),
      [f1, precision, recall].map((value) => make("td", { class: "n" }, number(value, 3))),
      make("td", { class: "n" }, String(Math.round(support)))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "F1 of each class" },
    make("table", {}, make("caption", { class: "hush" }, "F1, precision and recall of each class"),
      make("thead", {}, make("tr", {}, ["class", "", "F1", "precision", "recall", "crops"].map((name) => name ? make("th", { scope: "col", class: name === "class" ? "" : "n" }, name) : make("td")))),
      make("tbody", {}, rows)));
}
