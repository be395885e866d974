// What the page knows: its data, the address that holds its state, numbers as text, Student's t.
const view = JSON.parse(document.getElementById("data").textContent);
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// An element with its children; text goes in as text, never as markup.
function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("--")) made.style.setProperty(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const number = (value, digits = 4) => (value === null || value === undefined ? "" : value.toFixed(digits));
const ends = (its, digits = 4) =>
  !its || its[1] === null || its[1] === undefined ? "" : `${number(its[1], digits)} to ${number(its[2], digits)}`;
const signed = (value, digits = 3) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
function short(value) {
  if (value === null || value === undefined) return "";
  for (const [unit, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (value >= unit) return `${(value / unit).toPrecision(3)} ${name}`;
  return String(value);
}
const bytes = (value) => (value ? (value >= 1e5 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e3).toFixed(0)} kB`) : "");
const ms = (value) => (value === null || value === undefined ? "" : value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const sum = (values) => values.reduce((total, value) => total + value, 0);

// The state is the address after "#", so that a link shows what its sender saw.
const DEFAULTS = { board: "", entry: "", vs: "", sort: "", dir: "", q: "", show: "", x: "", wt: "", wf: "", k: "" };
let state = { ...DEFAULTS };
function readState() {
  const said = new URLSearchParams(location.hash.slice(1));
  state = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) if (said.has(key)) state[key] = said.get(key).slice(0, 200);
}
function address(changes) {
  const next = { ...state, ...changes };
  const said = new URLSearchParams();
  for (const key of Object.keys(DEFAULTS)) if (next[key] !== "") said.set(key, next[key]);
  return `#${said}`;
}
// Changes that one types or drags replace the address; those that one could go back from are added to it.
function change(changes, added = false) {
  const next = address(changes);
  try {
    history[added ? "pushState" : "replaceState"](null, "", next);
  } catch {
    location.hash = next;
  }
  readState();
  show();
}

const boardNow = () => view.boards.find((board) => board.id === state.board) || view.boards[0];
const entryOf = (board, id) => board.entries.find((entry) => entry.id === id);
const lineOf = (board) => board.lines.find((line) => line.ratio === 1 && line.name !== "target") || board.lines[1];

// The slopes and weights in force: the rules' own, or what the sliders say.
function weights() {
  const of = (text, usual, most) => {
    const value = Number(text);
    return text === "" || !Number.isFinite(value) ? usual : Math.min(Math.max(value, 0), most);
  };
  const [wt, wf, k] = [of(state.wt, view.time_weight, 2), of(state.wf, 1, 3), of(state.k, view.f1_slope, 60)];
  return { wt, wf, k, changed: wt !== view.time_weight || wf !== 1 || k !== view.f1_slope };
}
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const scored = (ratio, f1, board, { wt, wf, k }) => wt * ratio + wf * sigmoid(k * (board.baseline_f1 - f1));

// P(T <= t) of Student's t, by the continued fraction of the incomplete beta function (Lentz).
function logGamma(z) {
  const terms = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5];
  const shifted = z + 5.5 - (z + 0.5) * Math.log(z + 5.5);
  return -shifted + Math.log((2.5066282746310005 * terms.reduce((s, term, i) => s + term / (z + 1 + i), 1.000000000190015)) / z);
}
function beta(x, a, b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  let [c, d, h] = [1, 1 / (1 - ((a + b) * x) / (a + 1) || 1e-30), 0];
  h = d;
  for (let m = 1; m < 300; m++) {
    for (const step of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / (1 + step * d || 1e-30);
      c = 1 + step / c || 1e-30;
      h *= d * c;
    }
    if (Math.abs(d * c - 1) < 1e-12) break;
  }
  return front * h;
}
function tBelow(t, degrees) {
  const tail = 0.5 * beta(degrees / (degrees + t * t), degrees / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}
const criticals = new Map(); // degrees -> value: a thousand entries have a few
function tCritical(degrees) {
  if (criticals.has(degrees)) return criticals.get(degrees);
  let [low, high] = [0, 1000];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (tBelow(middle, degrees) < 0.975) low = middle;
    else high = middle;
  }
  criticals.set(degrees, (low + high) / 2);
  return criticals.get(degrees);
}
// Welch's degrees of freedom of the difference of two estimates.
function welch(errors, degrees) {
  const squares = errors.map((error) => error * error);
  const total = sum(squares);
  return total ? total ** 2 / sum(squares.map((square, i) => square ** 2 / degrees[i])) : sum(degrees);
}
