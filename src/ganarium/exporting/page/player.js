"use strict";
/* What a person sees: a generator with its codes, or a network that maps the picture that is dropped on it. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const LEVELS = 127.5; // levels of 255 per unit of [-1, 1]
  const LARGEST = 96; // pixels on a side of what is enlarged

  /* Elements: make("p", { class: "quiet" }, "text", child, ...) */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const parts = data.networks.map((part) => {
    let engine = null;
    return {
      ...part,
      run(inputs) { // Float32Arrays, or {data, shape}
        engine = engine || Engine.load(part);
        return engine.run(inputs.map((x, i) => (x.shape ? x : Engine.value([1, ...part.inputs[i].shape], x))));
      },
    };
  });
  const named = (name) => parts.find((part) => part.name === name);

  /* Random numbers of a seed: mulberry32, and Box-Muller for the normal ones. */
  function randomOf(seed) {
    let state = (seed * 2654435761 + 0x9e3779b9) >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) };
  }

  const count = (shape) => shape.reduce((a, b) => a * b, 1);
  const filled = (n, next) => Float32Array.from({ length: n }, next);
  const noises = (part, random) => part.inputs.filter((each) => each.kind === "normal" || each.kind === "uniform")
    .map((each) => filled(count(each.shape), each.kind === "normal" ? random.normal : random.uniform));

  /* Pictures: (1, c, h, w) in [-1, 1] on a canvas, and back. */
  function paint(canvas, { data: x, shape: [, channels, h, w] }) {
    canvas.width = w;
    canvas.height = h;
    const image = new ImageData(w, h), area = h * w;
    const level = (i) => (x[i] + 1) * LEVELS; // ImageData clamps and rounds
    for (let i = 0; i < area; i++) {
      image.data[4 * i] = level(i);
      image.data[4 * i + 1] = level(channels > 2 ? i + area : i);
      image.data[4 * i + 2] = level(channels > 2 ? i + 2 * area : i);
      image.data[4 * i + 3] = channels === 4 ? level(i + 3 * area) : 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function pixelsOf(canvas, channels) {
    const { width: w, height: h } = canvas, rgba = canvas.getContext("2d").getImageData(0, 0, w, h).data, area = h * w;
    const x = new Float32Array(channels * area);
    for (let i = 0; i < area; i++) {
      const [r, g, b, a] = rgba.subarray(4 * i, 4 * i + 4);
      if (channels === 1) x[i] = (0.299 * r + 0.587 * g + 0.114 * b) / LEVELS - 1;
      else [r, g, b, a].slice(0, channels).forEach((v, c) => { x[c * area + i] = v / LEVELS - 1; });
    }
    return { data: x, shape: [1, channels, h, w] };
  }

  function save(canvas, name) {
    const factor = Math.max(1, Math.floor(512 / Math.max(canvas.width, canvas.height)));
    const large = make("canvas", { width: canvas.width * factor, height: canvas.height * factor });
    const context = large.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, 0, 0, large.width, large.height);
    large.toBlob((blob) => {
      const link = make("a", { href: URL.createObjectURL(blob), download: `${name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  const button = (text, key, onclick, attributes = {}) =>
    make("button", { type: "button", onclick, ...attributes }, text, key ? make("kbd", {}, key) : null);
  const idle = () => new Promise((next) => setTimeout(next, 0));
  const keys = new Map();
  document.addEventListener("keydown", (event) => {
    const typing = /^(text|number|search)$/.test(event.target.type || "");
    const pressed = event.key === " " && /^(BUTTON|SUMMARY|A)$/.test(event.target.tagName);
    const act = keys.get(event.key.toLowerCase());
    if (!act || typing || pressed || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  /* One of several, as radio buttons that look like chips. */
  function choice(title, names, chosen, onchange) {
    const group = make("fieldset", {}, make("legend", {}, title));
    const row = make("div", { class: "chips" });
    names.forEach((name, i) => row.append(make("label", {},
      make("input", { type: "radio", name: title, checked: i === chosen, onchange: () => onchange(i) }), make("span", {}, name))));
    group.append(row);
    return group;
  }

  function slider(title, low, high, onchange, start = 0) {
    const bar = make("input", { type: "range", min: low, max: high, step: (high - low) / 120, value: start, "aria-label": title });
    const out = make("output", {}, String(start));
    const show = () => { out.textContent = (+bar.value).toFixed(1).replace("-0.0", "0.0").replace(/^0\.0$/, "0"); };
    bar.addEventListener("input", () => { show(); onchange(+bar.value); });
    const row = make("label", { class: "slider" }, make("span", {}, title), bar, out);
    row.reset = () => { bar.value = start; show(); onchange(start); };
    bar.addEventListener("dblclick", row.reset);
    return row;
  }

  function generator(part) {
    const { prior, code, directions, spread } = data, classes = data.num_classes || (code && code.categories) || 0;
    const className = (i) => (data.num_classes && data.classes && data.classes[i]) || String(i);
    const state = { seed: 1, between: 0, kind: 0, numbers: new Array((code && code.continuous) || 0).fill(0), moves: directions.map(() => 0), walking: false, truncation: 1, noise: 1 };
    const truncated = part.inputs.some((each) => each.kind === "truncation"), noisy = noises(part, randomOf(1)).length > 0;

    /* Codes of a prior of the model's own are in the page, some of each class; neighbouring seeds have others. */
    function plainCode(seed, kind) {
      if (prior.codes) {
        const own = prior.codes[kind % prior.codes.length];
        return Float32Array.from(own[(seed * 97) % own.length]);
      }
      const random = randomOf(seed), next = prior.kind === "normal" ? () => prior.std * random.normal() : () => prior.low + (prior.high - prior.low) * random.uniform();
      return filled(prior.dim, next);
    }

    /* Between two codes: along the sphere, since their length says how likely they are; straight for uniform ones. */
    function mixed(a, b, t) {
      if (t === 0) return a;
      let dot = 0, aa = 0, bb = 0;
      for (let i = 0; i < a.length; i++) { dot += a[i] * b[i]; aa += a[i] * a[i]; bb += b[i] * b[i]; }
      const angle = Math.acos(Math.max(-1, Math.min(1, dot / Math.sqrt(aa * bb))));
      const round = prior.kind !== "uniform" && angle > 1e-3;
      const u = round ? Math.sin((1 - t) * angle) / Math.sin(angle) : 1 - t, v = round ? Math.sin(t * angle) / Math.sin(angle) : t;
      return a.map((x, i) => u * x + v * b[i]);
    }

    function made(seed, between, kind, moved = true) {
      const ease = between * between * (3 - 2 * between), z = mixed(plainCode(seed, kind), plainCode(seed + 1, kind), ease);
      if (moved) state.moves.forEach((by, k) => { if (by) for (let i = 0; i < z.length; i++) z[i] += by * spread * directions[k][i]; });
      if (code) {
        for (let i = 0; i < code.categories; i++) z[code.start + i] = +(i === kind);
        state.numbers.forEach((v, i) => { z[code.start + code.categories + i] = v; });
      }
      const label = data.num_classes ? [{ data: Float32Array.of(kind), shape: [1] }] : [];
      const truncation = truncated ? [{ data: Float32Array.of(state.truncation), shape: [1] }] : [];
      return part.run([z, ...label, ...truncation, ...noises(part, randomOf(state.noise + 0.5))]);
    }

    const canvas = make("canvas", { class: "picture", role: "img" }), time = make("span", { class: "quiet" });
    const seedField = make("input", { type: "number", min: 0, step: 1, value: state.seed, id: "seed", inputmode: "numeric" });
    let waiting = false, tiles = [];
    function show() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        const start = performance.now(), picture = made(state.seed, state.between, state.kind);
        time.textContent = `${(performance.now() - start).toFixed(0)} ms`;
        paint(canvas, picture);
        canvas.setAttribute("aria-label", `The picture of seed ${state.seed}${classes ? `, ${className(state.kind)}` : ""}`);
        if (document.activeElement !== seedField) seedField.value = state.seed;
        tiles.forEach((tile) => tile.setAttribute("aria-pressed", tile.seed === state.seed && (!classes || tile.kind === state.kind)));
      });
    }
    const go = (seed) => { state.seed = Math.max(0, Math.floor(seed) || 0); state.between = 0; show(); };

    let last = 0;
    function stride(now) {
      if (!state.walking) return;
      state.between += Math.min(0.1, (now - last) / 1500);
      last = now;
      if (state.between >= 1) { state.between = 0; state.seed += 1; }
      show();
      requestAnimationFrame(stride);
    }
    const walk = button("Walk", "space", () => {
      state.walking = !state.walking;
      walk.firstChild.textContent = state.walking ? "Stop" : "Walk";
      walk.setAttribute("aria-pressed", state.walking);
      if (state.walking) { last = performance.now(); requestAnimationFrame(stride); }
    });
    const another = button("New", "N", () => go(1 + Math.floor(Math.random() * 1e6)), { class: "main" });
    const keep = button("Save picture", "S", () => save(canvas, `${data.model}-seed${state.seed}`));
    seedField.addEventListener("input", () => go(+seedField.value));
    keys.set("n", () => another.click());
    keys.set(" ", () => walk.click());
    keys.set("s", () => keep.click());

    const panel = make("section", { class: "panel", "aria-label": "What to draw" });
    panel.append(make("label", { class: "seed" }, make("span", {}, "Seed"), seedField));
    if (classes) {
      const names = Array.from({ length: classes }, (_, i) => className(i));
      panel.append(choice(data.num_classes ? "Class" : "Category of the code", names, 0, (i) => { state.kind = i; show(); }));
    }
    const bars = state.numbers.map((_, i) => slider(`Code ${i + 1}`, -2, 2, (v) => { state.numbers[i] = v; show(); }));
    if (bars.length) panel.append(make("fieldset", {}, make("legend", {}, "Numbers of the code"), ...bars));
    const moves = directions.map((_, i) => slider(`Direction ${i + 1}`, -6, 6, (v) => { state.moves[i] = v; show(); }));
    const reset = button("Back to 0", "R", () => [...bars, ...moves].forEach((bar) => bar.reset()));
    keys.set("r", () => reset.click());
    panel.append(make("fieldset", {}, make("legend", {}, "Directions that change the picture most"), ...moves, reset));

    if (truncated) {
      const bar = slider("Truncation", 0, 1, (v) => { state.truncation = v; show(); }, 1);
      bar.addEventListener("change", () => many());
      panel.append(make("fieldset", {}, make("legend", {}, "From the average picture (0) to one as in training (1)"), bar));
    }
    if (noisy) {
      const again = button("Other noise", "M", () => { state.noise += 1; show(); many(); });
      keys.set("m", () => again.click());
      panel.append(again);
    }

    const grid = make("div", { class: "grid" }), columns = 8, rows = classes || 5;
    let first = 1, round = 0;
    async function many() {
      const own = ++round;
      grid.replaceChildren();
      tiles = [];
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
          if (column % 4 === 0) await idle();
          if (own !== round) return; // another grid was asked for
          const seed = first + (classes ? column : row * columns + column), kind = classes ? row : state.kind, picture = make("canvas");
          paint(picture, made(seed, 0, kind, false));
          const tile = make("button", { type: "button", class: "tile", "aria-label": `Seed ${seed}${classes ? `, ${className(kind)}` : ""}`, onclick: () => {
            if (classes) panel.querySelectorAll(".chips input")[kind].click();
            go(seed);
            canvas.scrollIntoView({ block: "nearest", behavior: "smooth" });
          } }, picture);
          tile.seed = seed;
          tile.kind = kind;
          grid.append(tile);
          tiles.push(tile);
        }
      show();
    }
    const more = button("Others", "G", () => { first += classes ? columns : rows * columns; many(); });
    const keepGrid = button("Save grid", null, () => {
      const [, h, w] = part.shape, whole = make("canvas", { width: columns * w, height: rows * h });
      tiles.forEach((tile, i) => whole.getContext("2d").drawImage(tile.firstChild, (i % columns) * w, Math.floor(i / columns) * h));
      save(whole, `${data.model}-grid${first}`);
    });
    keys.set("g", () => more.click());
    show();
    many();
    return [
      make("div", { class: "studio" }, make("section", { class: "stage", "aria-label": "The picture" }, canvas,
        make("div", { class: "bar" }, another, walk, keep, time)), panel),
      make("section", {}, make("div", { class: "head" }, make("h2", {}, classes ? `A row for each ${data.num_classes ? "class" : "category"}, a column for each seed` : "Many seeds"), more, keepGrid), grid),
    ];
  }

  /* A scene to begin with, until a picture is dropped: it is drawn here and belongs to nobody. */
  function scene(w, h) {
    const canvas = make("canvas", { width: w, height: h }), c = canvas.getContext("2d"), sky = c.createLinearGradient(0, 0, 0, h);
    sky.addColorStop(0, "#5b8fd6");
    sky.addColorStop(0.65, "#f3d9b1");
    c.fillStyle = sky;
    c.fillRect(0, 0, w, h);
    const disc = (x, y, r, color) => { c.fillStyle = color; c.beginPath(); c.ellipse(x * w, y * h, r * w, r * h, 0, 0, 7); c.fill(); };
    disc(0.7, 0.3, 0.12, "#fff3c4");
    disc(0.2, 1.05, 0.5, "#3f7d54");
    disc(0.8, 1.1, 0.45, "#2d5f45");
    c.fillStyle = "#8a4b32";
    c.fillRect(0.22 * w, 0.45 * h, 0.2 * w, 0.22 * h);
    c.fillStyle = "#c0563b";
    c.beginPath();
    c.moveTo(0.18 * w, 0.46 * h); c.lineTo(0.32 * w, 0.3 * h); c.lineTo(0.46 * w, 0.46 * h);
    c.fill();
    return canvas;
  }

  function mapper() {
    const state = { part: parts[0], image: scene(256, 256), seed: 1, hole: null, own: false };
    const before = make("canvas", { class: "picture", role: "img", "aria-label": "The picture before" });
    const after = make("canvas", { class: "picture", role: "img", "aria-label": "The picture after" });
    const time = make("span", { class: "quiet" }), problem = make("p", { class: "no", role: "status" });
    const fills = state.part.name === "inpaint", enlarges = state.part.name === "upscale";

    /* The picture in the size of the network: covered and cut at the middle; what is enlarged keeps its pixels. */
    function fitted() {
      const [channels, height, width] = state.part.inputs[0].shape, image = state.image;
      const own = state.part.any_size && image !== state.drawn;
      const h = own ? Math.min(LARGEST, image.height) : height, w = own ? Math.min(LARGEST, image.width) : width;
      const factor = own ? 1 : Math.max(w / image.width, h / image.height), canvas = make("canvas", { width: w, height: h });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.imageSmoothingQuality = "high";
      const large = [image.width * factor, image.height * factor];
      context.drawImage(image, (w - large[0]) / 2, (h - large[1]) / 2, ...large);
      return pixelsOf(canvas, channels);
    }
    state.drawn = state.image;

    function show() {
      requestAnimationFrame(() => {
        const part = state.part, image = fitted(), seen = { shape: image.shape, data: image.data.slice() }, [, , h, w] = image.shape;
        const inputs = [image];
        if (fills) {
          inputs.push(state.hole);
          const area = h * w;
          for (let i = 0; i < seen.data.length; i++) if (state.hole[i % area]) seen.data[i] = ((i % w) + Math.floor((i % area) / w)) % 2 ? 0.6 : 0.8;
        }
        paint(before, seen);
        const start = performance.now(), made = part.run([...inputs, ...noises(part, randomOf(state.seed))]);
        time.textContent = `${(performance.now() - start).toFixed(0)} ms`;
        paint(after, made);
      });
    }

    async function take(file) {
      problem.textContent = "";
      try {
        state.image = await createImageBitmap(file);
        state.own = true;
        show();
      } catch (error) {
        problem.textContent = `${file.name || "That"} is no picture that this browser can read: take a PNG or a JPEG.`;
      }
    }
    const field = make("input", { type: "file", accept: "image/*", hidden: true, onchange: () => field.files[0] && take(field.files[0]) });
    const choose = button("Choose a picture", "O", () => field.click(), { class: "main" });
    const keep = button("Save picture", "S", () => save(after, `${data.model}-${state.part.name}`));
    keys.set("o", () => choose.click());
    keys.set("s", () => keep.click());
    addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
    addEventListener("dragleave", () => document.body.classList.remove("dropping"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
    });
    addEventListener("paste", (event) => event.clipboardData.files[0] && take(event.clipboardData.files[0]));

    /* Pictures that ganarium has drawn, for a network that learned from such. */
    const examples = () => data.examples?.[state.part.name] || [];
    let number = 0;
    async function example() {
      const image = new Image();
      image.src = examples()[number++ % examples().length];
      await image.decode();
      Object.assign(state, { image, own: false });
      show();
    }
    const bar = make("div", { class: "bar" }, choose, keep);
    if (examples().length) {
      const other = button("Another example", "E", example);
      keys.set("e", () => other.click());
      bar.append(other);
      example();
    }
    if (noises(state.part, randomOf(1)).length) {
      const again = button("Another draw", "N", () => { state.seed += 1; show(); });
      keys.set("n", () => again.click());
      bar.append(again);
    }
    if (fills) {
      const [, h, w] = state.part.inputs[0].shape, [top, left, bottom, right] = state.part.hole || [0, 0, h, w];
      const whole = () => { state.hole = filled(h * w, (_, i) => { const y = Math.floor(i / w), x = i % w; return +(state.part.hole
        ? y >= top && y < bottom && x >= left && x < right : y >= h / 3 && y < (2 * h) / 3 && x >= w / 3 && x < (2 * w) / 3); }); };
      const brush = (event) => {
        if (!event.buttons) return;
        const box = before.getBoundingClientRect(), cx = ((event.clientX - box.left) / box.width) * w, cy = ((event.clientY - box.top) / box.height) * h;
        for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) if ((x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2 < (w / 14) ** 2) state.hole[y * w + x] = 1;
        show();
      };
      before.addEventListener("pointerdown", (event) => { before.setPointerCapture(event.pointerId); brush(event); });
      before.addEventListener("pointermove", brush);
      before.classList.add("brush");
      const clear = button("Paint a new hole", "C", () => { state.hole.fill(0); show(); }), back = button("The usual hole", "R", () => { whole(); show(); });
      keys.set("c", () => clear.click());
      keys.set("r", () => back.click());
      bar.append(clear, back);
      whole();
    }
    bar.append(time);
    show();
    const [, h, w] = state.part.inputs[0].shape;
    const hint = enlarges ? `Drop a small picture here, or paste one. Its middle, at most ${LARGEST}x${LARGEST} pixels, is enlarged ${state.part.shape[1] / h} times.`
      : `Drop a picture here, or paste one. It is cut to ${w}x${h} pixels, as in training${fills ? "; paint on it where it is to be filled" : ""}.`;
    const ways = { a2b: "A to B", b2a: "B to A" };
    return [
      parts.length > 1 ? choice("Direction", parts.map((part) => ways[part.name] || part.name), 0, (i) => { state.part = parts[i]; if (!state.own && examples().length) example(); else show(); }) : null,
      make("div", { class: "pair" }, make("figure", {}, before, make("figcaption", {}, fills ? "with a hole" : "before")),
        make("figure", {}, after, make("figcaption", {}, "after"))),
      bar, field, problem, make("p", { class: "quiet" }, hint),
    ];
  }

  /* One picture of each network, compared with what PyTorch made of the same numbers. In levels of 255. */
  function differences() {
    return parts.map((part) => {
      const inputs = part.check.inputs.map((text, i) => { const x = Engine.decode(text, "float32"); return Engine.value([1, ...part.inputs[i].shape], x); });
      const made = part.run(inputs).data, expected = Engine.decode(part.check.output, "float32");
      return expected.reduce((most, x, i) => { const d = Math.abs(made[i] - x); return d <= most ? most : d; }, 0) * LEVELS;
    });
  }

  const [, h, w] = parts[0].shape, card = data.paper, warning = make("p", { class: "no", role: "alert", hidden: true });
  const checked = make("p", {}, "The check against PyTorch runs when the page is idle.");
  const about = make("details", {}, make("summary", {}, "About this page"),
    make("p", {}, card.idea ? `${card.title} (${card.authors}, ${card.year}). ${card.idea}` : card.title),
    make("p", {}, `Everything is computed in this page: nothing is fetched, and no picture leaves it. The weights are ${[...new Set(parts.map((part) => part.kind))].join(" and ")}, ${data.step} steps of training on ${data.data}.`),
    checked,
    data.directions ? make("p", {}, "The directions are those along which pictures change most: the first eigenvectors of the mean of J'J over codes, J the derivative of the picture by the code. Sliders are in standard deviations of the code. Seeds are this page's own.") : null,
    make("p", { class: "quiet" }, `Made by ganarium ${data.ganarium}.`));
  document.body.append(make("main", {},
    make("header", {}, make("h1", {}, card.name), make("p", { class: "quiet" }, `learned from ${data.data} · ${w}×${h} pixels · runs in this page alone`), warning),
    ...(parts[0].name === "generate" ? generator(parts[0]) : mapper()).filter(Boolean), about));

  const ready = new Promise((done) => setTimeout(() => {
    const most = Math.max(...differences());
    checked.textContent = `Compared with PyTorch when the page was opened: the largest difference is ${most.toFixed(2)} of 255 levels.`;
    warning.hidden = most <= data.allowed;
    warning.textContent = `This browser's pictures differ from PyTorch's by up to ${most.toFixed(0)} of 255 levels.`;
    done(most);
  }, 50));
  window.ganarium = { data, ready, differences, run: (name, inputs) => named(name).run(inputs) };
})();
