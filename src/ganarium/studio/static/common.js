/* What the pages share: words in two languages, light and dark, and small helpers. */
"use strict";
const Common = (() => {
  const kept = {
    get(key) {
      try { return localStorage.getItem(`ganarium-${key}`); } catch { return null; } // a page from disk may have none
    },
    set(key, value) {
      try { localStorage.setItem(`ganarium-${key}`, value); } catch { /* then it is asked for again */ }
    },
  };
  const asked = new URLSearchParams(location.search), words = { en: {}, zh: {} }, listeners = [];
  const language = { now: asked.get("lang") || kept.get("language") || (navigator.language.startsWith("zh") ? "zh" : "en") };
  if (!words[language.now]) language.now = "en";

  /** The words for a key; {name} in them is replaced. */
  const t = (key, values = {}) =>
    (words[language.now][key] ?? words.en[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

  function translate(root = document) {
    document.documentElement.lang = language.now === "zh" ? "zh-Hans" : "en";
    for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
    for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
    for (const node of root.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
  }

  function setLanguage(code) {
    language.now = code;
    kept.set("language", code);
    translate();
    for (const listener of listeners) listener();
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    for (const listener of listeners) listener();
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  setTheme(asked.get("theme") || kept.get("theme") || (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => kept.get("theme") || setTheme(system.matches ? "dark" : "light"));

  /** Wires the buttons for language and theme, where the page has them. */
  function ready(dictionary, changed) {
    for (const code of ["en", "zh"]) Object.assign(words[code], dictionary[code]);
    if (changed) listeners.push(changed);
    const other = () => (language.now === "en" ? "zh" : "en");
    const languageButton = document.getElementById("language"), themeButton = document.getElementById("theme");
    const show = () => {
      if (languageButton) { // in letters that every system can draw; its name is in the other language itself
        languageButton.replaceChildren(...["en", "zh"].map((code) => make(code === language.now ? "b" : "span", {}, code.toUpperCase())));
        languageButton.setAttribute("aria-label", other() === "zh" ? "中文" : "English");
        languageButton.lang = other();
      }
      if (themeButton) themeButton.textContent = t(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    };
    languageButton?.addEventListener("click", () => setLanguage(other()));
    themeButton?.addEventListener("click", () => {
      const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      kept.set("theme", theme);
      setTheme(theme);
    });
    listeners.push(show);
    show();
    translate();
  }

  /** An element: make("p", {class: "quiet", onclick}, "text", child ...). */
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key in node && typeof value !== "string") node[key] = value;
      else if (value !== null && value !== undefined) node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  /** The 2-D context of a canvas, with one unit a CSS pixel, cleared. */
  function surface(canvas, width = canvas.clientWidth, height = canvas.clientHeight) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  const short = (value) =>
    value === 0 ? "0" : Math.abs(value) >= 1000 || Math.abs(value) < 0.001 ? value.toExponential(1) : String(+value.toPrecision(3));

  /** Lines over steps on a canvas: series [{name, colour, points: [[step, value]], dashed}], least and most numbers beside. */
  function chart(canvas, series, { zero = false, whole = false, top = null } = {}) {
    const width = canvas.clientWidth, height = canvas.clientHeight, context = surface(canvas, width, height);
    const values = series.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
    if (!values.length || !width) return;
    const sorted = [...values].sort((a, b) => a - b), few = values.length < 60;
    const from = (share) => sorted[Math.round((few ? Math.round(share) : share) * (sorted.length - 1))]; // outliers of many go beyond
    let low = zero ? 0 : from(0.01), high = top ?? from(zero ? 1 : 0.99);
    if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
    const steps = series.flatMap(({ points }) => points.map(([step]) => step)), first = Math.min(...steps);
    const last = Math.max(...steps, first + 1), left = 44, right = 6, above = 6, below = 16;
    const x = (step) => left + ((step - first) / (last - first)) * (width - left - right);
    const y = (value) => above + (1 - (value - low) / (high - low)) * (height - above - below);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = colour("quiet");
    context.strokeStyle = colour("line");
    context.lineWidth = 1;
    context.textAlign = "right";
    for (const value of [low, (low + high) / 2, high]) {
      const at = Math.round(y(value)) + 0.5;
      context.beginPath();
      context.moveTo(left, at);
      context.lineTo(width - right, at);
      context.stroke();
      if (!whole || Number.isInteger(value)) context.fillText(short(value), left - 5, at + 4);
    }
    context.fillText(last.toLocaleString("en"), width - right, height - 3);
    context.textAlign = "left";
    context.fillText(first.toLocaleString("en"), left, height - 3);
    context.save();
    context.beginPath();
    context.rect(left, 0, width - left, height - below + 2);
    context.clip();
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    for (const { points, colour: own, dashed } of series) {
      context.strokeStyle = own;
      context.setLineDash(dashed ? [4, 4] : []);
      context.beginPath();
      let open = false;
      for (const [step, value] of points) {
        if (!Number.isFinite(value)) open = false;
        else if (open) context.lineTo(x(step), y(value));
        else { context.moveTo(x(step), y(value)); open = true; }
      }
      context.stroke();
    }
    context.restore();
  }

  return { t, ready, translate, make, colour, surface, chart, short, asked, kept, language, setLanguage, setTheme };
})();
