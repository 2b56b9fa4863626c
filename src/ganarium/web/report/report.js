"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const EDGE = { left: 52, right: 10, top: 16, bottom: 32 };

function element(name, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

function html(name, text = "", parent = null) {
  const node = document.createElement(name);
  node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

const colour = (place) => `var(--s${place % 8})`;
const whole = (value) => Math.round(value).toLocaleString("en");

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace("e+", "e");
  return size >= 1000 ? whole(value) : String(Number(value.toPrecision(3)));
}

/* Round numbers from low to high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const values = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at++) values.push(at * step);
  return values;
}

function logTicks(low, high) {
  const powers = [];
  for (let at = Math.ceil(low); at <= high; at++) powers.push(at);
  const every = Math.ceil(powers.length / 6) || 1;
  return powers.length > 1 ? powers.filter((_, place) => place % every === 0) : [low, (low + high) / 2, high];
}

/* A plane with axes: gives the two scales. `tell` turns a place on the y axis into words. */
function axes(svg, x, y, labels, yTicks, tell) {
  const width = svg.clientWidth, height = svg.clientHeight;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const right = width - EDGE.right, bottom = height - EDGE.bottom;
  const toX = (value) => EDGE.left + ((value - x[0]) / (x[1] - x[0] || 1)) * (right - EDGE.left);
  const toY = (value) => bottom - ((value - y[0]) / (y[1] - y[0] || 1)) * (bottom - EDGE.top);
  for (const value of yTicks) {
    svg.append(element("line", { class: "rule", x1: EDGE.left, x2: right, y1: toY(value), y2: toY(value) }));
    svg.append(element("text", { x: EDGE.left - 6, y: toY(value) + 4, "text-anchor": "end" }, tell(value)));
  }
  for (const value of ticks(x[0], x[1], Math.max(2, width / 110))) {
    svg.append(element("line", { class: "rule", x1: toX(value), x2: toX(value), y1: bottom, y2: bottom + 4 }));
    svg.append(element("text", { x: toX(value), y: bottom + 16, "text-anchor": "middle" }, short(value)));
  }
  svg.append(element("text", { x: right, y: height - 3, "text-anchor": "end" }, labels.x));
  svg.append(element("text", { x: 0, y: 10 }, labels.y));
  return { toX, toY, right, bottom };
}

/* One panel: curves over the steps, a legend that tells the values under the pointer (else the last ones). */
class Chart {
  constructor(place, panel) {
    this.panel = panel;
    this.log = false;
    const head = place.appendChild(html("header"));
    html("b", panel.title, head);
    this.button = html("button", "log scale", head);
    this.button.type = "button";
    this.svg = place.appendChild(element("svg", { role: "img" }));
    const legend = place.appendChild(html("div"));
    legend.className = "legend";
    this.step = html("span", "", legend);
    this.values = panel.series.map((series, number) => {
      const entry = html("span", "", legend);
      html("i", "", entry).style.background = colour(number);
      entry.append(`${series.name} `);
      return html("b", "", entry);
    });
    const points = panel.series.flatMap((series) => series.points);
    this.x = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
    this.button.disabled = !points.some((p) => p[1] > 0);
    const names = panel.series.map((series) => series.name).join(", ");
    this.svg.setAttribute("aria-label", `${panel.title}: ${names} from step ${this.x[0]} to step ${this.x[1]}`);
    this.button.addEventListener("click", () => {
      this.log = !this.log;
      this.button.textContent = this.log ? "linear scale" : "log scale";
      this.draw();
    });
    this.svg.addEventListener("pointermove", (event) => this.point(event.clientX));
    this.svg.addEventListener("pointerleave", () => this.rest());
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  draw() {
    const scale = this.log ? Math.log10 : (value) => value;
    const drawn = this.panel.series.map((s) => s.points.filter((p) => !this.log || p[1] > 0).map((p) => [p[0], scale(p[1])]));
    const heights = drawn.flat().map((p) => p[1]);
    let low = Math.min(...heights), high = Math.max(...heights);
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    const y = [low - room, high + room];
    const marks = this.log ? logTicks(y[0], y[1]) : ticks(y[0], y[1], 5);
    const tell = (value) => short(this.log ? 10 ** value : value);
    this.plane = axes(this.svg, this.x, y, { x: "step", y: this.panel.unit }, marks, tell);
    const { toX, toY } = this.plane;
    drawn.forEach((points, number) => {
      const d = points.map((p, place) => `${place ? "L" : "M"}${toX(p[0]).toFixed(1)} ${toY(p[1]).toFixed(1)}`).join("");
      const line = { d, fill: "none", "stroke-width": 1.6, "stroke-linejoin": "round" };
      const path = this.svg.appendChild(element("path", line));
      path.style.stroke = colour(number);
      for (const p of points.length < 25 ? points : []) {
        this.svg.appendChild(element("circle", { cx: toX(p[0]), cy: toY(p[1]), r: 2.5 })).style.fill = colour(number);
      }
    });
    const best = this.panel.best;
    if (best && (!this.log || best[1] > 0)) {
      const at = { cx: toX(best[0]), cy: toY(scale(best[1])) };
      const ring = this.svg.appendChild(element("circle", { ...at, r: 6, fill: "none", "stroke-width": 2 }));
      ring.style.stroke = colour(1);
      const end = at.cx > this.plane.right - 40;
      const words = { class: "mark", x: at.cx, y: at.cy - 12, "text-anchor": end ? "end" : "middle" };
      this.svg.append(element("text", words, "best"));
    }
    this.cross = this.svg.appendChild(element("line", { class: "cross", y1: EDGE.top, y2: this.plane.bottom, visibility: "hidden" }));
    this.rest();
  }

  rest() {
    this.cross.setAttribute("visibility", "hidden");
    this.tell(this.x[1]);
  }

  point(clientX) {
    const { left } = this.svg.getBoundingClientRect();
    const share = (clientX - left - EDGE.left) / (this.plane.right - EDGE.left);
    const step = this.x[0] + Math.min(1, Math.max(0, share)) * (this.x[1] - this.x[0]);
    const steps = this.panel.series.flatMap((series) => series.points.map((p) => p[0]));
    const nearest = steps.reduce((a, b) => (Math.abs(b - step) < Math.abs(a - step) ? b : a));
    const at = this.plane.toX(nearest);
    this.cross.setAttribute("x1", at);
    this.cross.setAttribute("x2", at);
    this.cross.setAttribute("visibility", "visible");
    this.tell(nearest);
  }

  /* The newest value of each curve at a step. */
  tell(step) {
    this.step.textContent = `step ${whole(step)}`;
    this.panel.series.forEach((series, number) => {
      const known = series.points.filter((p) => p[0] <= step);
      this.values[number].textContent = known.length ? short(known[known.length - 1][1]) : "";
    });
  }
}

/* Scores of one player: how many real and fake ones lie where, at one step. */
class Histogram {
  constructor(place, player, rows) {
    this.player = player;
    html("b", `player ${player}`, place.appendChild(html("header")));
    this.svg = place.appendChild(element("svg", { role: "img" }));
    this.legend = place.appendChild(html("div"));
    this.legend.className = "legend";
    this.rows = rows.map((row) => Object.entries(row.histograms).filter(([name]) => name.split("/")[0] === player));
    this.names = [...new Set(this.rows.flatMap((row) => row.map(([name]) => name)))];
    for (const [number, name] of this.names.entries()) {
      const entry = html("span", "", this.legend);
      html("i", "", entry).style.background = colour(number);
      entry.append(name.split("/").slice(1).join("/"));
    }
    const sorted = (key) => this.rows.flat().map(([, histogram]) => histogram[key]).sort((a, b) => a - b);
    const lows = sorted("low"), highs = sorted("high");
    this.range = [lows[Math.floor(lows.length * 0.05)], highs[Math.ceil(highs.length * 0.95) - 1]];
    this.now = rows.length - 1;
    new ResizeObserver(() => this.show(this.now)).observe(this.svg);
  }

  show(place) {
    this.now = place;
    const row = this.rows[place];
    const x = [Math.min(this.range[0], ...row.map(([, f]) => f.low)), Math.max(this.range[1], ...row.map(([, f]) => f.high))];
    if (x[0] === x[1]) [x[0], x[1]] = [x[0] - 1, x[1] + 1];
    const most = Math.max(1e-9, ...row.flatMap(([, histogram]) => this.shares(histogram)));
    const labels = { x: "score", y: "share of scores" };
    const { toX, toY, bottom } = axes(this.svg, x, [0, most * 1.08], labels, ticks(0, most, 4), (v) => `${Math.round(v * 100)} %`);
    this.svg.setAttribute("aria-label", `player ${this.player}: ${this.names.join(", ")}`);
    for (const [name, histogram] of row) {
      const shares = this.shares(histogram), each = (histogram.high - histogram.low) / shares.length;
      let d = `M${toX(histogram.low)} ${bottom}`;
      shares.forEach((share, bin) => {
        d += `V${toY(share).toFixed(1)}H${toX(histogram.low + (bin + 1) * each).toFixed(1)}`;
      });
      const area = this.svg.appendChild(element("path", { d: `${d}V${bottom}Z`, "fill-opacity": 0.25, "stroke-width": 1.4 }));
      area.style.fill = area.style.stroke = colour(this.names.indexOf(name));
    }
  }

  shares(histogram) {
    const all = histogram.counts.reduce((a, b) => a + b, 0) || 1;
    return histogram.counts.map((count) => count / all);
  }
}

/* A slider with a button that plays; `show(place)` is called with each place, the last one first. */
function slider(place, steps, show) {
  const bar = place.querySelector(".slide");
  const [button, input, output] = ["button", "input", "output"].map((name) => bar.querySelector(name));
  const set = () => {
    output.textContent = `step ${whole(steps[input.value])}`;
    show(Number(input.value));
  };
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "play";
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(input.value) === steps.length - 1) input.value = 0;
    button.textContent = "stop";
    set();
    timer = setInterval(() => {
      input.value = Number(input.value) + 1;
      set();
      if (Number(input.value) === steps.length - 1) stop();
    }, Math.max(60, 5000 / steps.length));
  });
  input.addEventListener("input", () => { stop(); set(); });
  input.value = steps.length - 1;
  set();
}

for (const place of document.querySelectorAll("[data-panel]")) {
  new Chart(place, DATA.panels[place.dataset.panel]);
}
for (const place of document.querySelectorAll("[data-frames]")) {
  const image = place.querySelector("img"), frames = DATA.frames;
  const sources = [...frames.earlier, image.src];
  slider(place, frames.steps, (at) => {
    image.src = sources[at];
    image.alt = image.alt.replace(/step [\d,]+/, `step ${whole(frames.steps[at])}`);
  });
}
for (const place of document.querySelectorAll("[data-scores]")) {
  const drawn = [...place.querySelectorAll("[data-player]")].map((own) => new Histogram(own, own.dataset.player, DATA.scores));
  slider(place, DATA.scores.map((row) => row.step), (at) => drawn.forEach((histogram) => histogram.show(at)));
}
