// Charts of the bundled library: loaded after the first paint, in the page's colours, as wide as their place.
const figures = new Map(); // place -> how to draw it again
let library = null;

function loadLibrary() {
  library ??= new Promise((resolve) => {
    const begin = () => {
      const script = document.createElement("script");
      script.textContent = $("#library").textContent;
      document.head.append(script);
      resolve();
    };
    if (document.readyState === "complete" || !window.requestAnimationFrame) begin();
    else requestAnimationFrame(() => setTimeout(begin, 0));
  });
  return library;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// The same styles as in picture.py, in the colours of the page's theme.
function config(points) {
  const many = points > 150; // marks that small do not hide each other
  const [paper, ink, faint, grid, accent, weak, base] = ["paper", "ink", "faint", "grid", "accent", "weak", "baseline"].map(colour);
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: {
      gridColor: grid, domainColor: grid, tickColor: grid, labelColor: faint, titleColor: ink,
      titleFontWeight: 500, labelFontSize: 11, titleFontSize: 12,
    },
    axisX: { labelOverlap: true },
    range: { looks: [accent, accent, weak], inks: [ink, base], sides: [colour("ours"), colour("theirs")] },
    style: {
      goal: { color: colour("region"), fillOpacity: 0.07 },
      equal: { color: colour("curve"), strokeWidth: 1, strokeDash: [3, 3] },
      equalname: { color: faint, fontSize: 10, align: "left", dx: 3, dy: -5 },
      whisker: { color: colour("bar"), strokeWidth: many ? 0.5 : 1.25, strokeOpacity: many ? 0.5 : 1 },
      pareto: { color: accent, strokeWidth: 2, interpolate: "step-after", strokeOpacity: 0.55 },
      dot: { filled: true, size: many ? 22 : 70, opacity: 1, stroke: paper, strokeWidth: many ? 0.4 : 1 },
      reference: { filled: true, size: 90, shape: "diamond", color: base, opacity: 1 },
      name: { fontSize: 11, font },
      ring: { size: 260, filled: false, color: ink, strokeWidth: 2, opacity: 1 },
      mean: { color: ink, strokeWidth: 1.5 },
      even: { color: base, strokeDash: [3, 3] },
      passes: { color: grid },
    },
  };
}

// Draws a Vega-Lite chart into `place`; `ready` gets its view. Again where the theme or the width changes.
// `patch` changes the compiled chart.
async function draw(place, spec, ready = null, points = 0, patch = (vega) => vega) {
  await loadLibrary();
  let turn = 0;
  const again = async () => {
    const wide = place.clientWidth;
    if (!place.isConnected || wide === 0) return;
    const mine = ++turn;
    figures.get(place)?.view?.finalize();
    const sized = { ...spec, width: wide, autosize: { type: "fit", contains: "padding" }, padding: 4 };
    figures.set(place, { again, view: null, wide });
    const { view: drawn } = await vegaEmbed(place, sized, {
      mode: "vega-lite", patch, renderer: points > 300 ? "canvas" : "svg", config: config(points), actions: false, tooltip: false, hover: false, logLevel: 1, defaultStyle: false,
    });
    if (mine !== turn) return; // the width changed meanwhile
    figures.set(place, { again, view: drawn, wide });
    // What is drawn is said beside it in words; its hundreds of marks are no help to a reader.
    for (const inner of $$("svg,canvas", place)) inner.setAttribute("aria-hidden", "true");
    ready?.(drawn);
  };
  figures.set(place, { again, view: null, wide: 0 });
  again();
  resized.observe(place);
}
let waiting = 0;
const resized = new ResizeObserver((entries) => {
  if (!entries.some(({ target }) => Math.abs((figures.get(target)?.wide ?? 0) - target.clientWidth) > 4)) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    for (const { target } of entries)
      if (Math.abs((figures.get(target)?.wide ?? 0) - target.clientWidth) > 4) figures.get(target)?.again();
  }, 120);
});
function redraw() {
  for (const [place, figure] of figures)
    if (place.isConnected) figure.again();
    else figures.delete(place);
}

const tip = $("#tip");
function hint(text, x, y) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${y + 18 + height > innerHeight ? y - height - 10 : y + 18}px`;
}
