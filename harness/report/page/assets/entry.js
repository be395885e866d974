// An entry's own view: its numbers with what is uncertain of them, its run, its classes, another entry beside it.
function tile(label, value, small) {
  return make("div", { class: "tile" }, make("span", {}, label), make("b", {}, value || "–"), make("small", {}, small));
}
function card(title, ...inside) {
  return make("section", { class: "card" }, make("h3", {}, title), inside);
}
const legend = () => make("p", { class: "legend" }, make("i", { class: "ours" }), "submission", make("i", { class: "theirs" }), "baseline");

function chartCard(title, about, spec, with_legend = true) {
  const place = make("div", { class: "plot", role: "img", "aria-label": `${title}. ${about}` });
  const made = card(title, with_legend ? legend() : null, place, make("p", {}, about));
  return [made, () => draw(place, spec)];
}

function tiles(entry, board) {
  const its = [
    tile("rank", entry.rank === undefined ? "–" : `${entry.shown_rank} of ${board.entries.filter((e) => e.rank !== undefined).length}`,
      entry.rank === undefined ? "not ranked" : `${range(entry.low, entry.high)} on a rerun${entry.photos_low ? `, ${range(entry.photos_low, entry.photos_high)} on other photos` : ""}`),
  ];
  if (!entry.score) return its;
  const latency = entry.latency ?? [];
  const theirs = entry.baseline_latency;
  const [size, others] = entry.batch ?? [];
  const speed = tile("crops/s", latency[5] ? latency[5].toFixed(0) : "",
    [size ? `${size} a request` : "", theirs ? `baseline ${theirs[5].toFixed(0)}${others ? `, ${others} a request` : ""}` : ""].filter(Boolean).join("; "));
  its.push(
    tile("score", number(entry.score[0]), entry.score[1] === null ? "one pass" : `${ends(entry.score)} on a rerun`),
    tile("macro F1", number(entry.f1[0]), `${ends(entry.f1)} on other photos`),
    tile("time ratio", number(entry.ratio[0], 3), ends(entry.ratio, 3)),
    board.scenario === "batch" ? null : tile("p50", `${ms(latency[1])} ms`,
      [["p90", latency[2]], ["p95", latency[3]], ["p99", latency[4]]].filter(([, v]) => v != null).map(([n, v]) => `${n} ${ms(v)}`).join(", ")),
    speed,
  );
  if (entry.memory) its.push(tile("memory", `${entry.memory[0]} MiB`, `at most; baseline ${entry.memory[1]} MiB`));
  if (entry.parameters) its.push(tile("parameters", short(entry.parameters), ""));
  if (entry.macs) its.push(tile("multiply-adds", short(entry.macs), "a crop"));
  if (entry.size) its.push(tile("size", bytes(entry.size), entry.format ?? ""));
  return its.filter(Boolean);
}
const range = (low, high) => (low === high ? String(low) : `${low}–${high}`);

// P(better) and the differences to another entry: Student's t with Welch's degrees, of this pair alone.
function compared(entry, other) {
  const gap = entry.score[0] - other.score[0];
  const lines = [];
  const known = entry.error != null && other.error != null;
  const errors = [entry.error, other.error];
  const degrees = [entry.degrees ?? 1, other.degrees ?? 1];
  if (known) {
    const spread = Math.hypot(...errors);
    const free = welch(errors, degrees);
    const better = spread === 0 ? 0.5 - 0.5 * Math.sign(gap) : tBelow(-gap / spread, free);
    const half = tCritical(Math.max(Math.floor(free), 1)) * spread;
    lines.push(["P(better) on a rerun", better.toFixed(3)], ["score", `${signed(gap, 4)} (${signed(gap - half, 4)} to ${signed(gap + half, 4)}) on a rerun`]);
  } else lines.push(["P(better) on a rerun", "0.5: one pass tells nothing"], ["score", signed(gap, 4)]);
  const quotient = entry.ratio[0] / other.ratio[0];
  const logs = [entry, other].map((one, i) => one.ratio[1] === null ? null : Math.log(one.ratio[2] / one.ratio[1]) / 2 / tCritical(degrees[i]));
  if (logs.every((log) => log !== null)) {
    const half = tCritical(Math.max(Math.floor(welch(logs, degrees)), 1)) * Math.hypot(...logs);
    lines.push(["time", `${quotient.toFixed(3)}x (${(quotient * Math.exp(-half)).toFixed(3)} to ${(quotient * Math.exp(half)).toFixed(3)})`]);
  } else lines.push(["time", `${quotient.toFixed(3)}x`]);
  const difference = entry.f1[0] - other.f1[0];
  const [ours, theirs] = [entry.drawn ?? [], other.drawn ?? []];
  const common = Math.min(ours.length, theirs.length);
  if (common) {
    const drawn = ours.slice(0, common).map((value, i) => (value - theirs[i]) / 1e4).sort((a, b) => a - b);
    const at = (q) => drawn[Math.round(q * (common - 1))];
    lines.push(["F1", `${signed(difference, 4)} (${signed(at(0.025), 4)} to ${signed(at(0.975), 4)}) on other photos`]);
  } else lines.push(["F1", signed(difference, 4)]);
  return lines;
}

function comparison(entry, board) {
  const others = board.entries.filter((other) => other.score && other.id !== entry.id);
  if (!entry.score || !others.length) return null;
  const above = board.entries.indexOf(entry) - 1; // else the one that it has to beat
  const chosen = others.find((other) => other.id === state.vs) ?? others[Math.max(above, 0)] ?? others[0];
  const pick = make("select", { id: "vs", "aria-label": "Compare with" },
    others.map((other) => make("option", { value: other.id, selected: other === chosen }, `${other.name} (${other.digest.slice(0, 6)})`)));
  pick.addEventListener("change", () => change({ vs: pick.value }));
  return card("Against another entry", pick, make("dl", { class: "machine" }, compared(entry, chosen).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])));
}

function history_(entry, board) {
  const former = board.entries.filter((other) => other.name === entry.name && other.id !== entry.id);
  const rows = [...entry.runs, ...former.flatMap((other) => (other.runs ?? []).map((run) => ({ ...run, pooled: false, other })))]
    .sort((a, b) => (a.date < b.date ? 1 : -1))
    .map((run) => make("tr", {}, make("td", { class: "date" }, run.date),
      make("td", { class: "n" }, run.score ? number(run.score[0]) : run.status),
      make("td", { class: "n" }, number(run.f1)), make("td", { class: "n" }, number(run.ratio, 3)),
      make("td", { class: "n" }, String((run.logs ?? []).length)),
      make("td", {}, make("code", {}, run.digest)),
      make("td", {}, run.other ? make("a", { href: address({ entry: run.other.id }) }, "another version") : [run.why, ...(run.flags ?? []), run.pooled || run.why ? null : "not counted"].filter(Boolean).join(", "))));
  return card("History", make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs of this entry" },
    make("table", {}, make("thead", {}, make("tr", {}, ["run (UTC)", "score", "F1", "time ratio", "passes", "record", "remarks"].map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, rows))));
}

function machineCard(entry, board) {
  const machine = view.machines[entry.machine];
  if (!machine) return null;
  const said = [
    ["device", machine.gpu || machine.cpu], ["cores, threads", `${machine.cores}, ${machine.threads}`], ["memory", `${Math.round(machine.memory_mb / 1024)} GiB`],
    ["kernel", machine.kernel], ["python", machine.python], ["governor", machine.governor], ["load before", machine.load_1min],
    ["cores kept awake", machine.idle_states_held_off ? "yes" : "no"], ["driver", machine.driver], ["isolation", entry.isolation || board.isolation],
    ["harness", entry.harness], ["digest", entry.digest], ["seed", entry.seed],
    ...Object.entries(machine.versions ?? {}),
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  return card("Machine and versions", make("dl", { class: "machine" }, said.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])));
}

function showEntry(board, entry) {
  const place = $("#entry");
  const later = [];
  const add = ([made, begin]) => {
    later.push(begin);
    return made;
  };
  const { trace } = entry;
  const remarks = entry.remarks ?? [];
  place.replaceChildren(...[
    view.alone ? null : make("a", { class: "back", href: address({ entry: "", vs: "" }) }, "← the board"),
    make("h2", { tabindex: "-1" }, entry.name),
    make("p", { class: "lead" }, [entry.authors, entry.description].filter(Boolean).join(" · ")),
    make("p", { class: "lead" }, make("strong", {}, entry.summary ?? ""), entry.score ? `; ${entry.rank === undefined ? "not ranked" : `rank ${entry.shown_rank}`}, target ${entry.target ? "" : "not "}met` : ""),
    remarks.length ? make("p", { class: "note" }, remarks.join("; ")) : null,
    make("div", { class: "tiles" }, tiles(entry, board)),
    make("div", { class: "cards" }, [
      entry.verdict ? card(entry.score ? "Verdict on the newest run" : "What happened", make("pre", { class: "verdict", tabindex: "0" }, entry.verdict)) : null,
      comparison(entry, board),
      trace ? add(chartCard("Latency", `${trace.crops} crops of each side; the last bar takes all that is slower.`, histogram(trace))) : null,
      trace ? add(chartCard("Answered within", "Cumulative share of crops, to the slowest.", distribution(trace))) : null,
      trace ? add(chartCard("Along the run", "Mean time of stretches of the run; lines part its passes. A slope is drift.", along(trace))) : null,
      entry.ratio ? add(chartCard("Passes", "Time ratio of each pass; the line is their mean, the band its 95 % interval.", ratios(entry), false)) : null,
      entry.confusion?.length ? card("Confusion matrix", confusionTable(entry)) : null,
      entry.classes?.length ? card("Classes", classTable(entry)) : null,
      make("div", { class: "stack" }, [entry.flags?.length ? card("Flags", make("dl", { class: "machine" }, entry.flags.flatMap(([name, meaning]) => [make("dt", {}, name), make("dd", {}, meaning)]))) : null,
      entry.runs ? history_(entry, board) : null].filter(Boolean)),
      machineCard(entry, board),
    ].filter(Boolean)),
  ].filter(Boolean));
  for (const begin of later) begin();
}
