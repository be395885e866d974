// Puts it together: one board at a time, or one entry; follows the address.
let shownBoard = null;
let shownEntry = "";

function place(board, section) {
  if (!$("#pareto")) {
    $(".slot", section).append($("#panel").content.cloneNode(true));
    const axes = { parameters: (e) => e.parameters, macs: (e) => e.macs };
    for (const [axis, has] of Object.entries(axes))
      if (!view.boards.some((one) => one.entries.some(has))) $(`#axis option[value=${axis}]`).remove();
    if ($("#axis").options.length < 2) $("#axis").disabled = true;
    $(".whatif details").open = innerWidth > 1000 || weights().changed; // on a phone the board comes first
    listen();
  } else $(".slot", section).append(...$$(".panel,.tools"));
  const heads = $$("th[data-key]", $("thead:has(th[data-key])", section) ?? section);
  $("#sortby").replaceChildren(...heads.map((head) => make("option", { value: head.dataset.key }, head.textContent)));
}

// Of many boards a list is quicker than tabs; without scripts the tabs stay.
function offerBoards() {
  const tabs = $("nav[aria-label=Boards]");
  if (!tabs || view.boards.length <= 8) return;
  const pick = make("select", { id: "boards" }, view.boards.map((board) => make("option", { value: board.id }, `${board.title} · ${board.machine}`)));
  pick.addEventListener("change", () => change({ ...DEFAULTS, board: pick.value }, true));
  tabs.replaceWith(make("label", { class: "boards" }, make("span", { class: "hush" }, "Board"), pick));
}

function listen() {
  $("#axis").addEventListener("change", (event) => change({ x: event.target.value === "ratio" ? "" : event.target.value }));
  $("#show").addEventListener("change", (event) => change({ show: event.target.value }));
  $("#sortby").addEventListener("change", (event) => sortBy(event.target.value));
  $("#filter").addEventListener("input", (event) => change({ q: event.target.value }));
  for (const name of ["wt", "wf", "k"]) $(`#${name}`).addEventListener("input", (event) => change({ [name]: event.target.value }));
  $("#reset").addEventListener("click", () => change({ wt: "", wf: "", k: "" }));
  $(".whatif").addEventListener("submit", (event) => event.preventDefault());
  $("#pareto").addEventListener("keydown", keys);
  $("#pareto").addEventListener("click", () => pointed && select(pointed, true));
  $("#pareto").addEventListener("mouseleave", () => point(null));
  $("#pareto").addEventListener("blur", () => hint(""));
}

function sortBy(key) {
  const usual = DESCENDING.has(key) ? "down" : "up";
  const again = (state.sort || "rank") === key;
  const now = state.dir || usual;
  const dir = again ? (now === "up" ? "down" : "up") : usual;
  change(key === "rank" && dir === "up" ? { sort: "", dir: "" } : { sort: key, dir: dir === usual ? "" : dir });
}

function showControls(board) {
  const now = weights();
  for (const name of ["wt", "wf", "k"]) {
    $(`#${name}`).value = now[name];
    $(`#${name}-value`).textContent = name === "k" ? now[name] : now[name].toFixed(2);
    $(`#${name}`).disabled = !board.present;
  }
  $("#reset").disabled = !now.changed;
  $(".whatif").classList.toggle("on", now.changed);
  $("#whatifsays").textContent = !board.present ? "This board has rules of its own."
    : now.changed ? "Not the board's ranks: by these weights. What a rerun could swap shares a rank (=)." : "Other weights: ranked here, in your browser.";
  if ($("#filter").value !== state.q) $("#filter").value = state.q;
  $("#show").value = state.show;
  $("#axis").value = state.x || "ratio";
  $("#sortby").value = state.sort || "rank";
}

function show() {
  const board = boardNow();
  if (!board) return;
  const entry = entryOf(board, view.alone || state.entry) ?? null;
  $("#entry").hidden = !entry;
  for (const section of $$(".board")) section.hidden = section.dataset.board !== board.id || Boolean(entry);
  for (const link of $$("nav a")) {
    if (link.dataset.board === board.id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if ($("#boards")) $("#boards").value = board.id;
  hint("");
  if (entry) {
    const wanted = `${board.id} ${entry.id} ${state.vs}`;
    const focused = document.activeElement?.id;
    if (shownEntry !== wanted) {
      const other = !shownEntry.startsWith(`${board.id} ${entry.id}`);
      rerank(board);
      showEntry(board, entry);
      if (other && !view.alone) {
        scrollTo(0, 0);
        $("#entry h2").focus({ preventScroll: true });
      } else if (focused) document.getElementById(focused)?.focus();
    }
    shownEntry = wanted;
    document.title = `${entry.name} on ${board.data}`;
    return;
  }
  shownEntry = "";
  document.title = `${board.title} · Leaderboard`;
  const section = document.getElementById(`board=${board.id}`);
  if (shownBoard !== board.id) place(board, section);
  shownBoard = board.id;
  showTables(board, section);
  showControls(board);
  showPicture(board);
}

function theme(wanted) {
  if (wanted) document.documentElement.dataset.theme = wanted;
  const dark = wanted ? wanted === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  $("#theme").setAttribute("aria-pressed", String(dark));
  return dark;
}
function remembered() {
  try {
    return localStorage.getItem("harness-theme");
  } catch {
    return null; // some browsers forbid it to a file
  }
}

// Under `harness leaderboard --watch`: a newer page is taken where there is one; the address keeps what was looked at.
function watch() {
  let first = null;
  setInterval(async () => {
    try {
      const stamp = await (await fetch("stamp", { cache: "no-store" })).text();
      if (first !== null && stamp !== first) location.reload();
      first ??= stamp;
    } catch {
      // the server has stopped: the page stays as it is
    }
  }, 1000);
}

document.documentElement.classList.add("live");
$("#theme").hidden = false;
theme(remembered());
$("#theme").addEventListener("click", () => {
  const next = theme(document.documentElement.dataset.theme) ? "light" : "dark";
  theme(next);
  try {
    localStorage.setItem("harness-theme", next);
  } catch {
    // as above
  }
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
matchMedia("print").addEventListener("change", redraw); // paper is light
for (const button of $$("thead th button")) button.disabled = false;
document.addEventListener("click", (event) => {
  const head = event.target.closest("thead th[data-key]");
  if (head) return sortBy(head.dataset.key);
  const row = event.target.closest("tr[data-i]");
  if (row && !event.target.closest("a")) select(boardNow().entries[row.dataset.i].id, false);
});
addEventListener("hashchange", () => { readState(); show(); });
addEventListener("popstate", () => { readState(); show(); });
offerBoards();
readState();
show();
