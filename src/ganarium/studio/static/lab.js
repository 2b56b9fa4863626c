/* The page of the laboratory: controls, drawing, and a loop that trains between two pictures. */
"use strict";
(() => {
  const { t, make, colour, surface, chart, short } = Common, { OBJECTIVES } = GanLab, $ = (id) => document.getElementById(id);

  const WORDS = {
    en: {
      laboratory: "Laboratory", dark: "Dark", light: "Light",
      title: "A GAN learning before your eyes",
      lead: "Two networks of a few dozen units play the game on points of the plane, here in this page.",
      real: "data", fake: "generated points", pushed: "where G is pushed", field: "what D takes for fake, for data",
      run: "Run", pause: "Pause", step: "One step", restart: "Restart", speed: "Speed", perSecond: "{n}/s", fullSpeed: "full",
      iteration: "iteration", rate: "updates a second", modes: "modes of {k}", places: "places of {k}", w1: "W1 distance",
      modesLong: "Modes reached, of {k}", placesLong: "Places reached, of {k}",
      w1long: "Exact Wasserstein-1 distance", floor: "dashed: two draws of the data", lossD: "D's loss", lossG: "G's loss",
      curves: "Curves", objective: "Objective", try: "Try this", collapse: "Collapse it", cure: "Cure it", data: "Data",
      ring: "Ring", grid: "Grid", swiss_roll: "Spiral", drawn: "Draw your own", clear: "Clear", settings: "Settings",
      drawHelp: "Draw on the plane with a pen, a finger or the mouse. By keyboard: arrows move, Enter sets a point.",
      drawHere: "Draw here: the data are what you draw.", lrD: "Learning rate of D", lrG: "Learning rate of G",
      steps: "Updates of D for one of G", stepsFixed: "This objective moves D once.", layers: "Hidden layers of 32 units", seed: "Seed",
      showField: "D's field", showArrows: "Gradients", showData: "Data", repeat: "Show the ganarium command", copy: "Copy", copied: "Copied",
      savePoints: "Save the data (.npz)",
      clip: "Weights clipped to ±", penalty_weight: "Weight of the penalty", penalty_power: "Power of the gradient's norm",
      slope: "Slope", noise_scale: "Size of the noise", gamma: "Weight of both penalties", margin_scale: "Margin per distance",
      margin: "Margin", loss: "G's loss", divergence: "the bound", practical: "D's output",
      classic: "Cross-entropy and squares", lipschitz: "Wasserstein", relative: "Relativistic", other: "Others", fgan: "f-divergences",
      noteLayers: "ganarium's networks for points have three hidden layers; here are {n}: set the slider to 3 to have the same.",
      noteRates: "ganarium has one learning rate for both players; here D's is {d} and G's is {g}.",
      noteData: "“Save the data” writes drawing.npz, which the command reads.", noteSeed: "Starting weights and draws are others, since the random generators are.",
      noteR3: "R3GAN in ganarium is for images: its networks are convolutional. For points there is no command.",
      said: "Iteration {i}. {m}. W1 {w}.", outside: "{n} of {of} points are outside the picture", diverged: "The numbers overflowed: restart, or lower the rates.",
      planeLabel: "Points of the data and of the generator, on D's field", chartLabel: "{name} over the iterations",
      collapseFast: "G learns three times as fast as D: it leaps to whatever D likes now, and its points run together.",
      cureFast: "The same loss with a G slower than D: D keeps up, and every mode gets its share.",
      collapseSure: "D is sure at once, and a sure D gives the minimax loss no slope: G hardly moves.",
      cureSure: "A critic with a gradient penalty is never flat: G finds its way from anywhere.",
    },
    zh: {
      laboratory: "实验室", dark: "深色", light: "浅色",
      title: "亲眼看 GAN 学习", lead: "两个只有几十个单元的网络在平面点集上对弈，全部在本页面中运行。",
      real: "数据", fake: "生成的点", pushed: "G 被推动的方向", field: "D 认为是假／是真",
      run: "运行", pause: "暂停", step: "单步", restart: "重新开始", speed: "速度", perSecond: "{n}/秒", fullSpeed: "全速",
      iteration: "迭代", rate: "每秒更新次数", modes: "模式（共 {k}）", places: "位置（共 {k}）", w1: "W1 距离",
      modesLong: "到达的模式数，共 {k}", placesLong: "到达的位置数，共 {k}",
      w1long: "精确的 Wasserstein-1 距离", floor: "虚线：两次抽取的数据之间", lossD: "D 的损失", lossG: "G 的损失",
      curves: "曲线", objective: "目标函数", try: "试一试", collapse: "让它崩溃", cure: "治好它", data: "数据",
      ring: "环", grid: "网格", swiss_roll: "螺旋", drawn: "自己画", clear: "清除", settings: "设置",
      drawHelp: "用笔、手指或鼠标在平面上画。键盘：方向键移动，回车放一个点。",
      drawHere: "在这里画：画出的就是数据。", lrD: "D 的学习率", lrG: "G 的学习率",
      steps: "G 更新一次时 D 的更新次数", stepsFixed: "此目标函数中 D 只更新一次。", layers: "隐藏层数（每层 32 个单元）", seed: "随机种子",
      showField: "D 的场", showArrows: "梯度", showData: "数据", repeat: "显示 ganarium 命令", copy: "复制", copied: "已复制",
      savePoints: "保存数据（.npz）",
      clip: "权重截断到 ±", penalty_weight: "惩罚项权重", penalty_power: "梯度范数的幂", slope: "斜率", noise_scale: "噪声大小",
      gamma: "两个惩罚项的权重", margin_scale: "每单位距离的间隔", margin: "间隔", loss: "G 的损失", divergence: "散度下界", practical: "D 的输出",
      classic: "交叉熵与平方", lipschitz: "Wasserstein", relative: "相对判别", other: "其他", fgan: "f-散度",
      noteLayers: "ganarium 用于点的网络有三个隐藏层，这里是 {n} 层：把滑块设为 3 即相同。",
      noteRates: "ganarium 中两个玩家用同一学习率；这里 D 为 {d}，G 为 {g}。",
      noteData: "“保存数据”写出命令所读的 drawing.npz。", noteSeed: "随机数生成器不同，因此初始权重和抽样不同。",
      noteR3: "ganarium 的 R3GAN 用于图像（卷积网络），对点没有对应命令。",
      said: "第 {i} 次迭代。{m}。W1 {w}。", outside: "{of} 个点中有 {n} 个在画面之外", diverged: "数值溢出：请重新开始或降低学习率。",
      planeLabel: "D 的场上的数据点与生成点", chartLabel: "{name}随迭代的变化",
      collapseFast: "G 学得比 D 快三倍：总是跳向 D 此刻喜欢的地方，所有点挤在一起。",
      cureFast: "同样的损失，让 G 学得比 D 慢：D 跟得上，每个模式都有份。",
      collapseSure: "D 立刻十分确信，确信的 D 使 minimax 损失没有斜率：G 几乎不动。",
      cureSure: "带梯度惩罚的评判器不会变平：G 从任何地方都能找到路。",
    },
  };

  const P = "p = sigmoid(D)";
  const FORMULAS = {
    gan: `${P}\nD   E[-log p(x)] + E[-log(1 - p(G(z)))]\nG   E[-log p(G(z))]`,
    minimax: `${P}\nD   E[-log p(x)] + E[-log(1 - p(G(z)))]\nG   E[log(1 - p(G(z)))]`,
    lsgan: "D   ½ E[(D(x) - 1)²] + ½ E[D(G(z))²]\nG   ½ E[(D(G(z)) - 1)²]",
    lsgan_pearson: "D   ½ E[(D(x) - 1)²] + ½ E[(D(G(z)) + 1)²]\nG   ½ E[D(G(z))²]",
    wgan: "D   E[D(G(z))] - E[D(x)], weights clipped\nG   -E[D(G(z))]",
    wgan_gp: "D   E[D(G(z))] - E[D(x)] + λ E[(|∇D(x̂)| - 1)²]\n    x̂ between x and G(z)\nG   -E[D(G(z))]",
    wgan_div: "D   E[D(G(z))] - E[D(x)] + k E[|∇D(x̂)|ᵖ]\nG   -E[D(G(z))]",
    dragan: `${P}\nD   E[-log p(x)] + E[-log(1 - p(G(z)))]\n    + λ E[(|∇D(x̂)| - k)²], x̂ around x\nG   E[-log p(G(z))]`,
    rsgan: "r = D(x), f = D(G(z)), h(t) = softplus(-t)\nD   E[h(r - f)]\nG   E[h(f - r)]",
    rasgan: "h(t) = softplus(-t)\nD   E[h(r - E[f])] + E[h(E[r] - f)]\nG   the same, r and f swapped",
    ralsgan: "h(t) = (t - 1)²\nD   E[h(r - E[f])] + E[h(E[r] - f)]\nG   the same, r and f swapped",
    rahinge: "h(t) = max(0, 1 - t)\nD   E[h(r - E[f])] + E[h(E[r] - f)]\nG   the same, r and f swapped",
    r3gan: "D   E[softplus(f - r)]\n    + γ/2 (E[|∇D(x)|²] + E[|∇D(G(z))|²])\nG   E[softplus(r - f)]",
    softmax_gan: "Z = Σ exp(D) over reals and fakes\nD   log Z - (mean of D over reals)\nG   log Z - (mean of D over all)",
    loss_sensitive_gan: "D   E[max(0, Δ + L(x) - L(G(z)))]\n    Δ = margin · |x - G(z)|₁\nG   E[L(G(z))]",
    ebgan: "E(v) = mean |v - D(v)|², D an auto-encoder\nD   E[E(x)] + E[max(0, m - E(G(z)))]\nG   E[E(G(z))]",
    bgan: `${P}\nD   E[-log p(x)] + E[-log(1 - p(G(z)))]\nG   ½ E[D(G(z))²]`,
  };
  const CONJUGATES = {
    kl: "g(v) = v, f*(t) = exp(t - 1)", reverse_kl: "g(v) = -exp(-v), f*(t) = -1 - log(-t)",
    pearson: "g(v) = v, f*(t) = t²/4 + t", neyman: "g(v) = 1 - exp(-v), f*(t) = 2 - 2√(1 - t)",
    hellinger: "g(v) = 1 - exp(-v), f*(t) = t/(1 - t)", jeffrey: "g(v) = v, f*(t) = W + 1/W + t - 2, W = W(e¹⁻ᵗ)",
    js: "g(v) = log 2 - softplus(-v), f*(t) = -log(2 - eᵗ)", gan: "g(v) = -softplus(-v), f*(t) = -log(1 - eᵗ)",
    total_variation: "g(v) = ½ tanh(v), f*(t) = t",
  };
  for (const [name, functions] of Object.entries(CONJUGATES))
    FORMULAS[`f_gan_${name}`] = `T = g(D): ${functions}\nD   -E[T(x)] + E[f*(T(G(z)))]\nG   -E[f*(T(G(z)))]`;
  const GROUPS = {
    classic: ["gan", "minimax", "lsgan", "lsgan_pearson", "dragan", "bgan"],
    lipschitz: ["wgan", "wgan_gp", "wgan_div"],
    relative: ["rsgan", "rasgan", "ralsgan", "rahinge", "r3gan"],
    other: ["softmax_gan", "loss_sensitive_gan", "ebgan"],
    fgan: Object.keys(CONJUGATES).map((name) => `f_gan_${name}`),
  };
  const PRESETS = [
    ["collapse", "collapseFast", { objective: "gan", lrD: 1e-3, lrG: 3e-3, data: "ring" }],
    ["cure", "cureFast", { objective: "gan", lrD: 1e-3, lrG: 3e-4, data: "ring" }],
    ["collapse", "collapseSure", { objective: "minimax", lrD: 5e-3, lrG: 1e-4, data: "ring" }],
    ["cure", "cureSure", { objective: "wgan_gp", lrD: 2e-3, lrG: 2e-3, steps: 5, data: "ring" }],
  ];
  const SPEEDS = [2, 5, 10, 30, 60, 120, Infinity]; // iterations a second
  const RANGE = 2.1, BATCH = 128, SHOWN = 320, ARROWS = 90, CELLS = 60;

  // ---- data -----------------------------------------------------------------------------------------------------

  const ringStd = 0.02 / 1.414, gridStd = 0.05 / 2.828; // those of ganarium's sets
  const strokes = []; // what was drawn: lists of [x, y]
  const brush = 0.03;

  /** Points along the strokes, `gap` apart. */
  function alongStrokes(gap) {
    const places = [];
    for (const stroke of strokes) {
      let rest = 0;
      places.push(stroke[0]);
      for (let i = 1; i < stroke.length; i++) {
        const [x0, y0] = stroke[i - 1], [x1, y1] = stroke[i], length = Math.hypot(x1 - x0, y1 - y0);
        for (let at = gap - rest; at <= length; at += gap) places.push([x0 + ((x1 - x0) * at) / length, y0 + ((y1 - y0) * at) / length]);
        rest = (rest + length) % gap;
      }
    }
    return places;
  }

  /** For a data set: draw(random) -> [x, y], the centres that are counted, how near is near, and whether they are modes. */
  function dataset(name) {
    const around = (centres, std, known, radius) => ({
      draw: (random) => {
        const [x, y] = centres[Math.floor(random.next() * centres.length)];
        return [x + std * random.normal(), y + std * random.normal()];
      },
      centres: Float64Array.from(centres.flat()), radius, known,
    });
    if (name === "ring") {
      const angles = [...Array(8).keys()].map((k) => (k * Math.PI) / 4);
      return around(angles.map((a) => [(2 / 1.414) * Math.cos(a), (2 / 1.414) * Math.sin(a)]), ringStd, true, 3 * ringStd);
    }
    if (name === "grid") {
      const marks = [-4, -2, 0, 2, 4].map((mark) => mark / 2.828);
      return around(marks.flatMap((x) => marks.map((y) => [x, y])), gridStd, true, 3 * gridStd);
    }
    if (name === "swiss_roll") {
      const at = (turn) => [(turn * Math.cos(turn)) / 7.5, (turn * Math.sin(turn)) / 7.5], start = 1.5 * Math.PI;
      const centres = [];
      for (let turn = start; turn <= 3 * start; turn += 2.2 / turn) centres.push(at(turn));
      return {
        draw: (random) => {
          const [x, y] = at(start * (1 + 2 * random.next()));
          return [x + (0.25 / 7.5) * random.normal(), y + (0.25 / 7.5) * random.normal()];
        },
        centres: Float64Array.from(centres.flat()), radius: 0.12, known: false,
      };
    }
    const fine = alongStrokes(0.02);
    return fine.length ? { ...around(fine, brush, false, 0.12), centres: Float64Array.from(alongStrokes(0.3).flat()) } : null;
  }

  // ---- state ----------------------------------------------------------------------------------------------------

  const state = { objective: "gan", data: "ring", speed: 4, seed: 1, running: false, settings: {} };
  let set, trainer, real, codes, floor, history, busy = { made: 0, since: 0 }, measured = 0, due = 0, lastFrame = 0, spoken = 0;

  /** Rows of a curve: at most 600, each the mean of `stride` iterations; when full, neighbours are merged. */
  class History {
    constructor() {
      this.stride = 1;
      this.rows = [];
      this.sums = null;
      this.count = 0;
    }
    add(iteration, values) {
      if (!this.sums) [this.sums, this.count] = [{ ...values }, 1];
      else {
        for (const key in values) this.sums[key] += values[key];
        this.count++;
      }
      if (this.count < this.stride) return;
      const row = { iteration };
      for (const key in this.sums) row[key] = this.sums[key] / this.count;
      this.rows.push(row);
      this.sums = null;
      if (this.rows.length < 600) return;
      this.stride *= 2;
      const merged = [];
      for (let i = 0; i + 1 < this.rows.length; i += 2) {
        const both = {};
        for (const key in this.rows[i]) both[key] = (this.rows[i][key] + this.rows[i + 1][key]) / 2;
        both.iteration = this.rows[i + 1].iteration;
        merged.push(both);
      }
      this.rows = merged;
    }
    line(key) {
      return this.rows.map((row) => [row.iteration, row[key]]);
    }
    get keys() {
      return this.rows.length ? Object.keys(this.rows[0]).filter((key) => key !== "iteration") : [];
    }
  }

  function restart() {
    set = dataset(state.data);
    history = { D: new History(), G: new History(), w1: [], modes: [] };
    trainer = null;
    if (set) {
      const fixed = new GanLab.Draws(set.draw, 7919); // what is shown and measured, always the same
      real = fixed.reals(1500);
      codes = { shown: fixed.codes(SHOWN), w1: fixed.codes(200), modes: fixed.codes(2500) };
      floor = GanLab.wasserstein1(fixed.reals(200), fixed.reals(200));
      trainer = new GanLab.Trainer(state.objective, state.settings, new GanLab.Draws(set.draw, state.seed), state.seed + 1);
      measure();
    } else setRunning(false);
    busy = { made: 0, since: 0 };
    $("rate").textContent = "–";
    draw();
  }

  function iterate() {
    const made = trainer.iterate();
    const means = { D: {}, G: {} };
    for (const { player, terms } of made)
      for (const [name, value] of Object.entries(terms)) means[player][name] = value; // of the last update
    for (const player of ["D", "G"]) history[player].add(trainer.iteration, means[player]);
    return made.length;
  }

  /** W1 of 200 points and the modes that 2,500 points reach. */
  function measure() {
    measured = performance.now();
    if (!trainer.finite) return;
    const w1 = GanLab.wasserstein1(real.slice(0, 400), trainer.generate(codes.w1).points);
    const { covered } = GanLab.modeCoverage(trainer.generate(codes.modes).points, set.centres, set.radius);
    const add = (rows, value) => {
      rows.push([trainer.iteration, value]);
      if (rows.length > 600) history[rows === history.w1 ? "w1" : "modes"] = rows.filter((_, place) => place % 2 === 0);
    };
    add(history.w1, w1);
    add(history.modes, covered);
  }

  // ---- the loop -------------------------------------------------------------------------------------------------

  function frame(now) {
    if (!state.running) return;
    const passed = Math.min(200, now - lastFrame), speed = SPEEDS[state.speed], start = performance.now();
    lastFrame = now;
    due = Number.isFinite(speed) ? Math.min(due + (passed * speed) / 1000, 30) : Infinity;
    let made = 0;
    while (due >= 1 && performance.now() - start < 24) {
      made += iterate();
      due -= 1;
    }
    if (!Number.isFinite(due)) due = 0;
    busy.made += made;
    busy.since ||= now;
    if (now - busy.since > 1000) {
      $("rate").textContent = Math.round((1000 * busy.made) / (now - busy.since)).toLocaleString("en");
      busy = { made: 0, since: now };
    }
    if (!trainer.finite) {
      setRunning(false);
      $("said").textContent = t("diverged");
    }
    if (now - measured > 700) measure();
    draw();
    if (state.running) requestAnimationFrame(frame);
  }

  function setRunning(on) {
    state.running = on && Boolean(trainer);
    $("run").textContent = t(state.running ? "pause" : "run");
    if (!state.running) return;
    lastFrame = performance.now();
    busy = { made: 0, since: 0 };
    due = 1;
    requestAnimationFrame(frame);
  }

  function oneStep() {
    if (!trainer) return;
    setRunning(false);
    iterate();
    measure();
    draw();
  }

  // ---- pictures -------------------------------------------------------------------------------------------------

  const plane = $("plane"), small = document.createElement("canvas");
  small.width = small.height = CELLS;
  const grid = new Float64Array(2 * CELLS * CELLS);
  for (let cell = 0; cell < CELLS * CELLS; cell++) {
    grid[2 * cell] = RANGE * (((cell % CELLS) + 0.5) * (2 / CELLS) - 1);
    grid[2 * cell + 1] = RANGE * (1 - (Math.floor(cell / CELLS) + 0.5) * (2 / CELLS));
  }
  let cursor = [0, 0], hasCursor = false;

  function drawField(context, side) {
    const score = trainer.field(grid), sorted = Float64Array.from(score).sort(), middle = sorted[sorted.length >> 1];
    const far = Math.max(sorted[Math.floor(0.97 * sorted.length)] - middle, middle - sorted[Math.floor(0.03 * sorted.length)], 1e-9);
    const pixels = new ImageData(CELLS, CELLS), high = colour("high").split(","), low = colour("low").split(",");
    for (let cell = 0; cell < score.length; cell++) {
      const share = Math.max(-1, Math.min(1, (score[cell] - middle) / far)), ink = share > 0 ? high : low;
      for (let channel = 0; channel < 3; channel++) pixels.data[4 * cell + channel] = ink[channel];
      pixels.data[4 * cell + 3] = 150 * Math.abs(share);
    }
    small.getContext("2d").putImageData(pixels, 0, 0);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, side, side);
  }

  function draw() {
    const side = plane.clientWidth, context = surface(plane, side, side), at = (v) => ((v / RANGE + 1) / 2) * side;
    const dots = (points, radius) => {
      context.beginPath();
      for (let s = 0; s < points.length; s += 2) {
        const x = at(points[s]), y = at(-points[s + 1]);
        context.moveTo(x + radius, y);
        context.arc(x, y, radius, 0, 2 * Math.PI);
      }
      context.fill();
    };
    const well = trainer && trainer.finite;
    if (well && $("show-field").checked) drawField(context, side);
    if (set && $("show-data").checked) {
      context.fillStyle = colour("ink");
      context.globalAlpha = 0.35;
      dots(real.slice(0, 1200), Math.max(1, side / 420));
      context.globalAlpha = 1;
    }
    if (well) {
      const { points } = trainer.generate(codes.shown);
      if ($("show-arrows").checked) drawArrows(context, points, at, side);
      context.fillStyle = colour("sample");
      dots(points, Math.max(1.6, side / 260));
      const outside = points.filter((_, s) => s % 2 === 0 && Math.max(Math.abs(points[s]), Math.abs(points[s + 1])) > RANGE).length;
      hint(outside > SHOWN / 20 ? t("outside", { n: outside, of: SHOWN }) : "");
    } else hint(trainer ? t("diverged") : t("drawHere"));
    if (!set) drawStrokes(context, at, side);
    if (hasCursor && state.data === "drawn") {
      context.strokeStyle = colour("accent");
      context.lineWidth = 2;
      context.strokeRect(at(cursor[0]) - 6, at(-cursor[1]) - 6, 12, 12);
    }
    drawNumbers();
    drawCharts();
  }

  function hint(text) {
    $("hint").hidden = !text;
    $("hint").textContent = text;
    $("hint").style.top = trainer && trainer.finite ? "auto" : "";
    $("hint").style.bottom = trainer && trainer.finite ? ".6rem" : "";
  }

  /** -dL/dx of G's loss at some points: their directions, with lengths that grow with the root of the norm. */
  function drawArrows(context, points, at, side) {
    const some = points.slice(0, 2 * ARROWS), { byPoints } = trainer.generatorLoss(some, real.slice(0, 2 * ARROWS));
    let largest = 0;
    for (let s = 0; s < some.length; s += 2) largest = Math.max(largest, Math.hypot(byPoints[s], byPoints[s + 1]));
    if (!(largest > 0)) return;
    context.strokeStyle = colour("sample");
    context.globalAlpha = 0.6;
    context.lineWidth = Math.max(1, side / 480);
    context.beginPath();
    for (let s = 0; s < some.length; s += 2) {
      const norm = Math.hypot(byPoints[s], byPoints[s + 1]);
      if (norm < 1e-12) continue;
      const length = 0.06 * side * Math.sqrt(norm / largest), x = at(some[s]), y = at(-some[s + 1]);
      const dx = -byPoints[s] / norm, dy = byPoints[s + 1] / norm, tipX = x + length * dx, tipY = y + length * dy, barb = length / 4;
      context.moveTo(x, y);
      context.lineTo(tipX, tipY);
      context.lineTo(tipX - barb * (dx + 0.6 * dy), tipY - barb * (dy - 0.6 * dx));
      context.moveTo(tipX, tipY);
      context.lineTo(tipX - barb * (dx - 0.6 * dy), tipY - barb * (dy + 0.6 * dx));
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  function drawStrokes(context, at, side) {
    context.strokeStyle = colour("ink");
    context.lineWidth = side / 60;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of strokes) {
      context.beginPath();
      stroke.forEach(([x, y], i) => (i ? context.lineTo(at(x), at(-y)) : context.moveTo(at(x), at(-y))));
      context.lineTo(at(stroke[0][0]), at(-stroke[0][1]));
      context.stroke();
    }
  }

  function drawNumbers() {
    const k = set ? set.centres.length / 2 : 0, last = (rows) => (rows.length ? rows[rows.length - 1][1] : null);
    $("iteration").textContent = trainer ? trainer.iteration.toLocaleString("en") : "0";
    $("modes-name").textContent = t(set?.known === false ? "places" : "modes", { k });
    $("chart-modes-name").textContent = t(set?.known === false ? "placesLong" : "modesLong", { k });
    $("modes").textContent = last(history.modes) ?? "–";
    $("w1").textContent = last(history.w1) === null ? "–" : last(history.w1).toFixed(3);
    $("floor").textContent = set ? `${t("floor")}, ${floor.toFixed(2)}` : "";
    const now = performance.now();
    if (trainer && now - spoken > 5000) {
      spoken = now;
      $("said").textContent = t("said", { i: trainer.iteration, m: `${$("modes-name").textContent}: ${$("modes").textContent}`, w: $("w1").textContent });
    }
  }

  let charted = 0;
  function drawCharts() {
    const now = performance.now();
    if (state.running && now - charted < 250) return;
    charted = now;
    const inks = [0, 1, 2, 3].map((n) => colour(`s${n}`)), steps = history.w1.map(([step]) => step);
    chart($("chart-w1"), [
      { points: history.w1, colour: inks[0] },
      ...(set && steps.length ? [{ points: [[steps[0], floor], [steps[steps.length - 1], floor]], colour: colour("quiet"), dashed: true }] : []),
    ], { zero: true });
    chart($("chart-modes"), [{ points: history.modes, colour: inks[2] }], { zero: true, whole: true, top: set ? set.centres.length / 2 : 1 });
    for (const player of ["D", "G"]) {
      const { keys, rows } = history[player], shown = keys.filter((key) => rows.some((row) => row[key] !== 0));
      chart($(`chart-${player}`), shown.map((key, n) => ({ points: history[player].line(key), colour: inks[n] })));
      $(`terms-${player}`).replaceChildren(
        ...shown.map((key, n) => {
          const mark = make("i");
          mark.style.background = inks[n];
          return make("span", {}, mark, `${key} ${short(rows[rows.length - 1][key])}`);
        }),
      );
    }
  }

  // ---- controls -------------------------------------------------------------------------------------------------

  const rate = (value) => (value >= 0.001 ? String(+value.toPrecision(2)) : value.toExponential(1).replace("e-", "e-"));

  function slider(id, name, min, max, step, get, put, show) {
    const output = make("output", {}, show(get()));
    const input = make("input", { type: "range", id, min: String(min), max: String(max), step: String(step) });
    input.value = String(get());
    input.addEventListener("input", () => {
      put(Number(input.value));
      output.textContent = show(get());
      settled();
    });
    return make("div", { class: "field" }, make("label", { for: id }, make("span", {}, t(name)), output), input);
  }

  /** Numbers of an objective change on a logarithmic scale, from a hundredth to a hundred times what they start at. */
  function buildNumbers() {
    const { numbers, choices, turns } = OBJECTIVES[state.objective], { settings } = state;
    $("numbers").replaceChildren(
      ...Object.entries(numbers).map(([name, start]) =>
        start === 0
          ? slider(`number-${name}`, name, 0, 1, 0.05, () => settings[name], (value) => (settings[name] = value), short)
          : slider(
              `number-${name}`, name, -2, 2, 0.05, () => Math.log10(settings[name] / start),
              (value) => (settings[name] = +(start * 10 ** value).toPrecision(3)), () => short(settings[name]),
            ),
      ),
    );
    $("choices").replaceChildren(
      ...Object.entries(choices).map(([name, values]) => {
        const select = make("select", { id: `choice-${name}` }, ...values.map((value) => make("option", { value }, t(value))));
        select.value = settings[name];
        select.addEventListener("change", () => {
          settings[name] = select.value;
          settled();
        });
        return make("div", { class: "field" }, make("label", { for: `choice-${name}` }, t(name)), select);
      }),
    );
    for (const player of ["lrD", "lrG"]) {
      $(player).value = String(Math.log10(settings[player]));
      $(`${player}-value`).textContent = rate(settings[player]);
    }
    $("steps").value = String(settings.steps);
    $("steps").disabled = !turns;
    $("steps-why").hidden = Boolean(turns);
    $("steps-value").textContent = String(settings.steps);
    $("layers").value = String(settings.hidden.length);
    $("layers-value").textContent = String(settings.hidden.length);
    $("formula").textContent = FORMULAS[state.objective];
    $("objective").value = state.objective;
    for (const button of $("data").children) button.setAttribute("aria-pressed", String(button.dataset.name === state.data));
    $("drawing").hidden = state.data !== "drawn";
    plane.classList.toggle("drawing", state.data === "drawn");
    showCommand();
  }

  /** A setting moved: training goes on with it. */
  function settled() {
    if (trainer) Object.assign(trainer.settings, state.settings);
    showCommand();
  }

  function choose(objective, changes = {}) {
    const layers = state.settings.hidden || [32, 32];
    state.objective = objective;
    state.settings = { ...GanLab.defaults(objective), hidden: layers, ...changes };
    buildNumbers();
    restart();
  }

  function build() {
    const select = $("objective");
    select.replaceChildren(
      ...Object.entries(GROUPS).map(([group, ids]) =>
        make("optgroup", { label: t(group) }, ...ids.map((id) => make("option", { value: id }, OBJECTIVES[id].name))),
      ),
    );
    $("data").replaceChildren(
      ...["ring", "grid", "swiss_roll", "drawn"].map((name) =>
        make("button", { "data-name": name, onclick: () => { state.data = name; buildNumbers(); restart(); } }, t(name)),
      ),
    );
    $("presets").replaceChildren(
      ...PRESETS.flatMap(([kind, why, { objective, data, ...changes }], n) => [
        make("button", { id: `preset-${n}`, onclick: () => { state.data = data; choose(objective, changes); setRunning(true); } }, t(kind)),
        make("small", {}, t(why)),
      ]),
    );
    $("run").textContent = t(state.running ? "pause" : "run");
    plane.setAttribute("aria-label", t("planeLabel"));
    for (const [id, name] of [["chart-w1", "w1long"], ["chart-modes", "modes"], ["chart-D", "lossD"], ["chart-G", "lossG"]])
      $(id).setAttribute("aria-label", t("chartLabel", { name: t(name, { k: "" }).trim() }));
    showSpeed();
    buildNumbers();
  }

  function showSpeed() {
    const speed = SPEEDS[state.speed];
    $("speed").value = String(state.speed);
    $("speed-value").textContent = Number.isFinite(speed) ? t("perSecond", { n: speed }) : t("fullSpeed");
    $("speed").setAttribute("aria-valuetext", $("speed-value").textContent);
  }

  // ---- the command ----------------------------------------------------------------------------------------------

  /** The ganarium command that repeats what is here, and what of it is not the same; no command where there is none. */
  function commandOf({ objective, data, settings, seed }, iteration) {
    const { model, options, numbers, choices, turns, longTurns } = OBJECTIVES[objective];
    if (!model) return { command: "", notes: [t("noteR3")] };
    const flag = (name) => `--${name.replaceAll("_", "-")}`;
    const words = ["ganarium train", model, "--data", data === "drawn" ? "drawing.npz" : data, "--network mlp --width 32 --batch-size", BATCH];
    words.push("--steps", Math.max(iteration, 1000), "--lr", settings.lrD, "--seed", seed);
    for (const [name, value] of Object.entries(options)) words.push(flag(name), value);
    for (const name of [...Object.keys(numbers), ...Object.keys(choices)]) words.push(flag(name), settings[name]);
    if (turns) words.push(flag(turns), settings.steps);
    if (longTurns) words.push(flag(longTurns), settings.steps);
    const notes = [];
    if (settings.hidden.length !== 3) notes.push(t("noteLayers", { n: settings.hidden.length }));
    if (settings.lrD !== settings.lrG) notes.push(t("noteRates", { d: rate(settings.lrD), g: rate(settings.lrG) }));
    if (data === "drawn") notes.push(t("noteData"));
    return { command: words.join(" "), notes: [...notes, t("noteSeed")] };
  }

  function showCommand() {
    const { command, notes } = commandOf(state, trainer ? trainer.iteration : 0);
    $("command-text").textContent = command;
    $("command-text").hidden = $("copy").hidden = !command;
    $("save-points").hidden = state.data !== "drawn" || !set;
    $("command-notes").replaceChildren(...notes.map((note) => make("li", {}, note)));
  }

  /** A .npz file with one array `images`, float32 (n, 2): a zip that stores what it holds. */
  function npz(points) {
    const shape = `(${points.length / 2}, 2), }`, header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}`;
    const text = header.padEnd(117) + "\n", npy = new Uint8Array(10 + text.length + 4 * points.length);
    npy.set([0x93, ...[..."NUMPY"].map((c) => c.charCodeAt(0)), 1, 0, text.length & 255, text.length >> 8]);
    npy.set([...text].map((c) => c.charCodeAt(0)), 10);
    const numbers = new DataView(npy.buffer, 10 + text.length);
    points.forEach((value, at) => numbers.setFloat32(4 * at, value, true));
    let crc = -1;
    for (const byte of npy) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    const name = [..."images.npy"].map((c) => c.charCodeAt(0)), common = new DataView(new ArrayBuffer(26));
    common.setUint16(0, 20, true);
    common.setUint16(8, 0x21, true); // a date, 1 January 1980
    common.setUint32(10, ~crc >>> 0, true);
    common.setUint32(14, npy.length, true);
    common.setUint32(18, npy.length, true);
    common.setUint16(22, name.length, true);
    const bytes = new Uint8Array(common.buffer), end = new DataView(new ArrayBuffer(22)), size = 46 + name.length;
    end.setUint32(0, 0x06054b50, true);
    end.setUint16(8, 1, true);
    end.setUint16(10, 1, true);
    end.setUint32(12, size, true);
    end.setUint32(16, 30 + name.length + npy.length, true);
    const entry = new Uint8Array(46);
    entry.set([0x50, 0x4b, 1, 2, 20, 0]);
    entry.set(bytes, 6);
    return new Blob([Uint8Array.from([0x50, 0x4b, 3, 4]), bytes, Uint8Array.from(name), npy, entry, Uint8Array.from(name), end.buffer]);
  }

  // ---- events ---------------------------------------------------------------------------------------------------

  $("run").addEventListener("click", () => setRunning(!state.running));
  $("step").addEventListener("click", oneStep);
  $("restart").addEventListener("click", restart);
  $("speed").addEventListener("input", () => { state.speed = Number($("speed").value); showSpeed(); });
  $("objective").addEventListener("change", () => choose($("objective").value));
  for (const player of ["lrD", "lrG"])
    $(player).addEventListener("input", () => {
      state.settings[player] = +(10 ** Number($(player).value)).toPrecision(2);
      $(`${player}-value`).textContent = rate(state.settings[player]);
      settled();
    });
  $("steps").addEventListener("input", () => {
    state.settings.steps = Number($("steps").value);
    $("steps-value").textContent = $("steps").value;
    settled();
  });
  $("layers").addEventListener("input", () => {
    state.settings.hidden = Array(Number($("layers").value)).fill(32);
    $("layers-value").textContent = $("layers").value;
    showCommand();
    restart();
  });
  $("seed").addEventListener("change", () => {
    state.seed = Math.max(0, Math.min(999999, Math.round(Number($("seed").value)) || 0));
    $("seed").value = String(state.seed);
    showCommand();
    restart();
  });
  for (const id of ["show-field", "show-arrows", "show-data"]) $(id).addEventListener("change", draw);
  $("repeat").addEventListener("click", () => {
    const open = $("command").hidden;
    $("command").hidden = !open;
    $("repeat").setAttribute("aria-expanded", String(open));
    showCommand();
  });
  $("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($("command-text").textContent);
      $("copy").textContent = t("copied");
      setTimeout(() => ($("copy").textContent = t("copy")), 1500);
    } catch {
      getSelection().selectAllChildren($("command-text")); // where a page may not write there: the reader copies it
    }
  });
  $("save-points").addEventListener("click", () => {
    const link = make("a", { download: "drawing.npz" });
    link.href = URL.createObjectURL(npz(new GanLab.Draws(set.draw, 1).reals(20000)));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  const placeOf = (event) => {
    const box = plane.getBoundingClientRect(), x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    return [RANGE * (2 * x - 1), RANGE * (1 - 2 * y)];
  };
  let stroke = null;
  plane.addEventListener("pointerdown", (event) => {
    if (state.data !== "drawn") return;
    plane.setPointerCapture(event.pointerId);
    stroke = [placeOf(event)];
    strokes.push(stroke);
    set = trainer = null;
    setRunning(false);
    draw();
  });
  plane.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    stroke.push(placeOf(event));
    draw();
  });
  const finish = () => {
    if (!stroke) return;
    stroke = null;
    restart();
    showCommand();
  };
  plane.addEventListener("pointerup", finish);
  plane.addEventListener("pointercancel", finish);
  plane.addEventListener("keydown", (event) => {
    if (state.data !== "drawn") return;
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (move) cursor = cursor.map((v, axis) => Math.max(-2, Math.min(2, v + 0.1 * move[axis])));
    else if (event.key === "Enter") {
      strokes.push([[...cursor]]);
      restart();
      showCommand();
    } else return;
    event.preventDefault();
    draw();
  });
  plane.addEventListener("focus", () => { hasCursor = plane.matches(":focus-visible"); draw(); });
  plane.addEventListener("blur", () => { hasCursor = false; draw(); });
  $("clear").addEventListener("click", () => { strokes.length = 0; restart(); showCommand(); });
  document.addEventListener("keydown", (event) => {
    if (event.target !== document.body && event.target !== plane) return;
    if (event.key === " ") setRunning(!state.running);
    else if (event.key === "s") oneStep();
    else if (event.key === "r") restart();
    else return;
    event.preventDefault();
  });
  new ResizeObserver(draw).observe(plane);

  if (Common.asked.has("embedded")) document.documentElement.classList.add("embedded");
  state.settings = GanLab.defaults(state.objective);
  Common.ready(WORDS, () => { build(); draw(); });
  build();
  restart();
  window.Laboratory = { state, choose, commandOf, strokes, restart, dataset, npz, get trainer() { return trainer; } }; // for tests
})();
