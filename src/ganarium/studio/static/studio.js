/* The studio's page: three sections, drawn anew when the address behind # changes. */
"use strict";
(() => {
  const { t, make, colour, chart, short } = Common, main = document.getElementById("main");
  let about = null, timer = null, shown = 0; // `shown` counts pages, so that a late answer does not draw on a later one
  const chosen = new Set(); // runs to compare

  // ---- calls ----------------------------------------------------------------------------------------------------

  async function call(path, body, { form = false, blob = false } = {}) {
    const options = body === undefined ? {} : { method: "POST", body: form ? body : JSON.stringify(body) };
    if (body !== undefined && !form) options.headers = { "content-type": "application/json" };
    const answer = await fetch(path, options).catch(() => { throw new Error(t("gone")); });
    if (!answer.ok) {
      const { error } = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
      throw new Error(error);
    }
    return blob ? URL.createObjectURL(await answer.blob()) : answer.json();
  }
  const get = (path, values = {}) => call(`${path}?${new URLSearchParams(values)}`);

  let hiding = null;
  function toast(text) {
    const node = document.getElementById("toast");
    node.textContent = text;
    node.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => (node.hidden = true), 7000);
  }

  /** Runs a call behind a button, which waits meanwhile; an error becomes a sentence. */
  async function during(button, work) {
    if (button) button.disabled = true;
    try {
      return await work();
    } catch (error) {
      toast(error.message);
      return null;
    } finally {
      if (button) button.disabled = false;
    }
  }

  // ---- parts ----------------------------------------------------------------------------------------------------

  const field = (id, label, input, help) =>
    make("div", { class: "field" }, make("label", { for: id }, label), input, help ? make("small", {}, help) : null);
  const time = (seconds) => {
    const hours = Math.floor(seconds / 3600), minutes = Math.floor((seconds % 3600) / 60), rest = Math.round(seconds % 60);
    return hours ? `${hours}:${String(minutes).padStart(2, "0")} h` : minutes ? `${minutes}:${String(rest).padStart(2, "0")} min` : `${rest} s`;
  };
  const pictureOf = (run, file) => `/api/picture?${new URLSearchParams({ run, file })}`;
  const pill = (state) => make("span", { class: `pill ${state}` }, t(`state_${state}`));
  const inks = () => [0, 1, 2, 3].map((n) => colour(`s${n}`));

  function figure(title, series, note = "") {
    const canvas = make("canvas", { role: "img", "aria-label": `${title}: ${series.map(({ name }) => name).join(", ")}` });
    const legend = make("span", { class: "terms" });
    const node = make("figure", {}, make("figcaption", {}, make("b", {}, title), note ? make("span", { class: "quiet" }, note) : null, legend), canvas);
    node.redraw = (now) => {
      const own = inks(), lines = now.map((line, n) => ({ ...line, colour: own[n % own.length] }));
      legend.replaceChildren(
        ...lines.map(({ name, points, colour: ink }) => {
          const mark = make("i");
          mark.style.background = ink;
          return make("span", {}, mark, `${name} ${short(points.at(-1)?.[1] ?? 0)}`);
        }),
      );
      chart(canvas, lines);
    };
    requestAnimationFrame(() => node.redraw(series));
    return node;
  }

  /** A place to drop files: `take(files)`, each with its path in a dropped folder. */
  function dropPlace(says, take, { folder = false, accept = "", words = folder ? "chooseFiles" : "choosePicture" } = {}) {
    const input = make("input", { type: "file", accept, multiple: folder, id: `file-${++shownInputs}` });
    input.addEventListener("change", () => input.files.length && take([...input.files].map((file) => [file, file.name])));
    const buttons = make("div", { class: "row" }, make("label", { class: "button" }, input, t(words)));
    if (folder) {
      const whole = make("input", { type: "file", id: `file-${++shownInputs}` });
      whole.webkitdirectory = true;
      whole.addEventListener("change", () => whole.files.length && take([...whole.files].map((file) => [file, file.webkitRelativePath || file.name])));
      buttons.append(make("label", { class: "button" }, whole, t("chooseFolder")));
    }
    const node = make("div", { class: "drop" }, make("span", {}, says), buttons);
    node.addEventListener("dragover", (event) => { event.preventDefault(); node.classList.add("over"); });
    node.addEventListener("dragleave", () => node.classList.remove("over"));
    node.addEventListener("drop", async (event) => {
      event.preventDefault();
      node.classList.remove("over");
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const files = [];
      for (const entry of entries) await walkEntry(entry, "", files);
      if (files.length) take(files);
    });
    return node;
  }
  let shownInputs = 0;

  async function walkEntry(entry, path, files) {
    if (entry.name.startsWith(".")) return; // such as .DS_Store
    if (entry.isFile) files.push([await new Promise((done, failed) => entry.file(done, failed)), path + entry.name]);
    else {
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!part.length) return;
        for (const child of part) await walkEntry(child, `${path}${entry.name}/`, files);
      }
    }
  }

  // ---- train ----------------------------------------------------------------------------------------------------

  const ACCEPTED = /\.(png|jpe?g|bmp|gif|webp|tiff?|ppm|pgm|zip|npz|jsonl|csv)$/i; // as the server has them
  const plan = { data: "", size: "", minutes: 10, model: "", seed: 0, name: "", options: {}, found: null };

  function trainPage(page) {
    const left = make("section", { class: "section card", "aria-labelledby": "new" }, make("h2", { id: "new" }, t("newTraining")));
    const list = make("div", { class: "runs" }), compare = make("button", { hidden: true, onclick: () => (location.hash = `#/compare/${[...chosen].map(encodeURIComponent).join("/")}`) });
    const right = make("section", { class: "section", "aria-labelledby": "all" }, make("div", { class: "head" }, make("h1", { id: "all" }, t("runs")), compare), list);
    main.replaceChildren(make("div", { class: "two" }, left, right));
    buildPlan(left);
    const showCompare = () => {
      compare.hidden = chosen.size < 2;
      compare.textContent = t("compareChosen", { n: chosen.size });
    };
    let before = "";
    const refresh = async () => {
      const runs = await call("/api/runs").catch((error) => { toast(error.message); });
      if (page !== shown || !runs) return;
      const now = JSON.stringify(runs);
      if (now === before) return;
      before = now;
      const focused = document.activeElement?.dataset?.run;
      list.replaceChildren(...(runs.length ? runs.map((run) => runCard(run, showCompare)) : [make("p", { class: "empty" }, t("noRuns"))]));
      if (focused) list.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
    };
    showCompare();
    refresh();
    timer = setInterval(refresh, 2500);
  }

  function runCard(run, changed) {
    const busy = run.state === "running" && run.speed;
    const tick = make("input", { type: "checkbox", checked: chosen.has(run.name) });
    tick.addEventListener("change", () => {
      if (tick.checked) chosen.add(run.name); else chosen.delete(run.name);
      changed();
    });
    const thumb = run.picture ? make("img", { class: "thumb", src: pictureOf(run.name, run.picture), alt: "" }) : make("div", { class: "thumb" });
    const progress = run.total ? make("progress", { max: String(run.total), value: String(run.step), "aria-label": t("step") }) : null;
    return make("article", { class: "run" }, thumb,
      make("a", { class: "name", href: `#/${run.state === "imported" ? "play" : "run"}/${encodeURIComponent(run.name)}`, "data-run": run.name }, run.name),
      make("span", { class: "row" }, pill(run.state), make("small", {}, busy ? t("left", { t: time((run.total - run.step) / run.speed) }) : run.total ? t("of", { a: run.step.toLocaleString("en"), b: run.total.toLocaleString("en") }) : "")),
      run.state === "running" || run.state === "starting" ? progress : run.reason ? make("span", { class: "reason" }, run.reason) : null,
      run.total ? make("label", { class: "check" }, tick, t("compare")) : run.state === "imported" ? make("small", {}, run.model) : null);
  }

  function buildPlan(card) {
    const found = make("div", { class: "step found" }), after = make("div", { class: "step" });
    const select = make("select", { id: "set" }, make("option", { value: "" }, "–"),
      make("optgroup", { label: t("builtin") }, ...Object.entries(about.sets).map(([name, words]) => make("option", { value: name }, `${name}: ${words}`))),
      about.found.length ? make("optgroup", { label: t("foundHere") }, ...about.found.map((path) => make("option", { value: path }, path))) : null);
    select.value = plan.data in about.sets || about.found.includes(plan.data) ? plan.data : "";
    const path = make("input", { type: "text", id: "path", autocomplete: "off", spellcheck: "false" });
    const size = make("input", { type: "text", id: "size", placeholder: t("own"), inputmode: "numeric" });
    path.value = select.value ? "" : plan.data;
    size.value = plan.size;
    const look = make("button", {}, t("look"));
    const lookAt = () => during(look, async () => {
      plan.data = path.value.trim() || select.value;
      plan.size = size.value.trim();
      if (!plan.data) return;
      found.replaceChildren(make("p", { class: "quiet" }, t("looking")));
      after.replaceChildren();
      try {
        plan.found = await call("/api/data", { data: plan.data, size: plan.size || null });
      } catch (error) {
        found.replaceChildren();
        throw error;
      }
      showFound(found);
      showModels(after);
    });
    select.addEventListener("change", () => { path.value = ""; if (select.value) lookAt(); });
    path.addEventListener("keydown", (event) => event.key === "Enter" && lookAt());
    look.addEventListener("click", lookAt);
    const take = (dropped) => during(null, async () => {
      const form = new FormData(), files = dropped.filter(([, path]) => !/(^|\/)[.~]/.test(path) && ACCEPTED.test(path));
      if (!files.length) throw new Error(t("noneToTake"));
      for (const [file, name] of files) form.append("files", file, name);
      toast(t("uploading", { n: files.length }));
      const answer = await call("/api/upload", form, { form: true });
      toast(t("files", { n: answer.files }) + (files.length < dropped.length ? t("filesLeft", { n: dropped.length - files.length }) : ""));
      select.value = "";
      path.value = answer.data;
      await lookAt();
    });
    card.append(
      make("div", { class: "step" }, make("h3", {}, t("data")), dropPlace(t("dropData"), take, { folder: true }),
        field("set", t("orNamed"), select), field("path", t("orPath"), path), field("size", t("size"), size), make("div", { class: "row" }, look)),
      found, after);
    if (plan.found) {
      showFound(found);
      showModels(after);
    }
  }

  function showFound(place) {
    const { found } = plan, query = new URLSearchParams({ data: found.data, ...(plan.size ? { size: plan.size } : {}) });
    place.replaceChildren(
      found.picture ? make("img", { class: "pixel", src: `/api/data-picture?${query}`, alt: found.name }) : "",
      make("pre", { class: "lines", tabindex: "0" }, found.lines.join("\n")),
      found.refusal ? make("p", { class: "reason" }, t("refused", { why: found.refusal })) : "");
  }

  function showModels(place) {
    const { found } = plan;
    place.replaceChildren();
    if (found.refusal || !found.fits.length) return;
    const names = found.choices.map(({ model }) => model);
    plan.model = found.fits.includes(plan.model) ? plan.model : names[0] || found.fits[0];
    plan.options = {};
    const radios = found.choices.map(({ model, reason }) => {
      const radio = make("input", { type: "radio", name: "model", value: model, checked: model === plan.model });
      radio.addEventListener("change", () => choose(model));
      return make("label", { class: "choice" }, radio, make("b", {}, model), make("small", {}, reason));
    });
    const other = make("select", { id: "other" }, make("option", { value: "" }, t("anotherModel")), ...found.fits.map((name) => make("option", { value: name }, name)));
    if (!names.includes(plan.model)) other.value = plan.model;
    other.addEventListener("change", () => other.value && choose(other.value));
    const idea = make("small", {}), options = make("div", { class: "options" }), advice = make("div", { class: "stack" });
    const minutes = make("input", { type: "number", id: "minutes", min: "0.1", max: "100000", step: "any" });
    minutes.value = String(plan.minutes);
    minutes.addEventListener("input", () => (plan.minutes = Number(minutes.value)));
    const seed = make("input", { type: "number", id: "seed", min: "0", step: "1" });
    seed.value = String(plan.seed);
    const name = make("input", { type: "text", id: "name", placeholder: t("namePlaceholder"), autocomplete: "off" });
    const advise = make("button", {}, t("advise")), ask = make("button", {}, t("askLevels")), start = make("button", { class: "primary" }, t("start"));

    async function choose(model) {
      plan.model = model;
      plan.options = {};
      for (const label of radios) label.firstChild.checked = label.firstChild.value === model;
      if (names.includes(model)) other.value = "";
      idea.textContent = about.models[model]?.idea || "";
      options.replaceChildren();
      const rows = await get("/api/options", { model }).catch(() => []);
      if (plan.model !== model) return;
      options.replaceChildren(...rows.map((row) => optionField(row)));
    }

    function optionField(row) {
      const id = `option-${row.name}`, input = make("input", { type: "text", id, placeholder: row.default === null ? "" : String(row.default) });
      if (row.name in plan.options) input.value = String(plan.options[row.name]);
      input.addEventListener("input", () => {
        const text = input.value.trim();
        if (!text) delete plan.options[row.name];
        else plan.options[row.name] = typeof row.default === "boolean" ? /^(true|yes|1)$/i.test(text) : text;
      });
      return field(id, row.name, input, row.help);
    }

    /** Takes settings that were found: they appear in the fields, and go with the training. */
    async function adopt(model, settings, side) {
      await choose(model);
      plan.options = { ...settings };
      plan.advisedSize = side;
      for (const [key, value] of Object.entries(settings)) {
        const input = document.getElementById(`option-${key}`);
        if (input) input.value = String(value);
      }
    }

    ask.addEventListener("click", () => during(ask, async () => {
      advice.replaceChildren(make("p", { class: "quiet" }, t("advising")));
      try {
        const said = await call("/api/levels", { data: plan.data, size: plan.size || null });
        advice.replaceChildren(make("b", {}, `${said.model}:`), ...said.levels.map((level) => {
          const radio = make("input", { type: "radio", name: "level", value: level.name });
          radio.addEventListener("change", () => {
            plan.minutes = Number(level.minutes.toPrecision(2));
            minutes.value = String(plan.minutes);
            adopt(said.model, level.options, level.size);
          });
          const what = [level.size ? t("pixels", { n: level.size }) : "", `${level.steps.toLocaleString("en")} ${t("steps")}`, t("about", { t: time(60 * level.minutes) })];
          return make("label", { class: "choice" }, radio, make("b", {}, t(`level_${level.name}`)), make("small", {}, what.filter(Boolean).join(", ")));
        }));
      } catch (error) {
        advice.replaceChildren();
        throw error;
      }
    }));
    advise.addEventListener("click", () => during(advise, async () => {
      advice.replaceChildren(make("p", { class: "quiet" }, t("advising")));
      try {
        const said = await call("/api/recommend", { data: plan.data, minutes: plan.minutes, size: plan.size || null });
        await adopt(said.model, said.options, said.size);
        advice.replaceChildren(make("ul", { class: "quiet" }, ...said.reasons.map((reason) => make("li", {}, reason))), make("pre", {}, said.command));
      } catch (error) {
        advice.replaceChildren();
        throw error;
      }
    }));
    start.addEventListener("click", () => during(start, async () => {
      const body = { data: plan.data, model: plan.model, minutes: plan.minutes, seed: Number(seed.value) || 0, options: plan.options };
      const side = plan.size || plan.advisedSize;
      if (side) body.size = String(side);
      if (name.value.trim()) body.name = name.value.trim();
      const { run } = await call("/api/train", body);
      plan.advisedSize = null;
      location.hash = `#/run/${encodeURIComponent(run)}`;
    }));
    place.append(
      make("h3", {}, t("model")), ...(radios.length ? [make("small", {}, t("recommended"))] : []), ...radios,
      make("div", { class: "field" }, make("label", { for: "other", class: "visually-hidden" }, t("anotherModel")), other), idea,
      make("h3", {}, t("time")), field("minutes", t("minutes"), minutes), make("div", { class: "row" }, advise, ask), advice,
      make("details", {}, make("summary", {}, t("options")), options),
      field("name", t("name"), name), field("seed", t("seed"), seed), make("div", { class: "row" }, start));
    choose(plan.model);
  }

  // ---- one run --------------------------------------------------------------------------------------------------

  function runPage(page, name) {
    const head = make("div", { class: "head" }), body = make("div", { class: "section" });
    const facts = make("dl", { class: "facts" }), film = make("figure", { class: "film" }), charts = make("div", { class: "charts" });
    const notes = make("div", { class: "section" }), foot = make("div", { class: "section" }), why = make("p", { class: "reason" });
    body.append(head, why, facts, make("div", { class: "two" }, film, make("div", { class: "section" }, charts, notes)), foot);
    main.replaceChildren(body);
    let at = null, frames = [], figures = new Map(), state = "", drawn = "";
    const image = make("img", { class: "pixel", alt: "" }), bar = make("input", { type: "range", min: "0", step: "1", "aria-label": t("samples") });
    const label = make("output", {}), waiting = make("p", { class: "empty" }, t("noPicture"));
    film.append(waiting);
    const showFrame = () => {
      const place = at === null ? frames.length - 1 : Math.min(at, frames.length - 1), file = frames[place];
      if (!file) return;
      const step = Number(file.slice(5, -4)).toLocaleString("en");
      if (!image.isConnected) film.replaceChildren(image, make("div", { class: "slide" }, bar, label));
      bar.max = String(frames.length - 1);
      bar.value = String(place);
      const source = pictureOf(name, file);
      if (image.getAttribute("src") !== source) image.src = source;
      image.alt = t("sampleAlt", { n: step });
      label.textContent = t("atStep", { n: step });
    };
    bar.addEventListener("input", () => {
      at = Number(bar.value) === frames.length - 1 ? null : Number(bar.value);
      showFrame();
    });
    const refresh = async () => {
      let run;
      try {
        run = await get("/api/run", { name });
      } catch (error) {
        if (page !== shown) return;
        head.replaceChildren(make("h1", {}, name), make("a", { class: "button", href: "#/train" }, t("back")));
        why.textContent = error.message;
        return;
      }
      if (run.pending && page === shown) {
        head.replaceChildren(make("h1", {}, name), pill(run.state), make("a", { class: "button", href: "#/train" }, t("back")));
        why.textContent = run.reason;
        waiting.hidden = run.state === "failed";
        return;
      }
      if (page !== shown) return;
      const buttons = run.state + run.can_stop + run.report + run.pictures.length;
      if (buttons !== state) {
        state = buttons;
        const steps = make("input", { type: "number", id: "goal", min: "1", "aria-label": t("resumeTo") });
        steps.value = String(run.step >= run.total ? 2 * run.total : run.total);
        const resume = make("button", {}, t("resume"));
        resume.addEventListener("click", () => during(resume, async () => {
          await call("/api/resume", { run: name, steps: Number(steps.value) || null });
          setTimeout(refresh, 1500);
        }));
        const stop = make("button", {}, t("stop"));
        stop.addEventListener("click", () => during(stop, async () => {
          await call("/api/stop", { run: name });
          toast(t("stopped"));
        }));
        const goOn = make("span", { class: "row" }, resume, make("small", {}, t("resumeTo")), steps);
        steps.style.width = "8rem";
        head.replaceChildren(
          make("h1", {}, name), pill(run.state), make("a", { class: "button", href: "#/train" }, t("back")),
          run.state === "running" ? (run.can_stop ? stop : "") : run.state === "broken" ? "" : goOn,
          make("a", { class: "button", href: `#/play/${encodeURIComponent(name)}` }, t("playIt")),
          run.report ? make("a", { class: "button", href: `/api/report?${new URLSearchParams({ run: name })}`, target: "_blank", rel: "noopener" }, t("report")) : "");
      }
      why.textContent = run.reason;
      const fact = (title, value) => make("div", {}, make("dt", {}, title), make("dd", {}, value));
      facts.replaceChildren(
        fact(t("model"), run.model), fact(t("dataName"), run.data.name ?? ""),
        fact(t("step"), t("of", { a: run.step.toLocaleString("en"), b: run.total.toLocaleString("en") })),
        fact(t("speed"), run.speed ? short(run.speed) : "–"), fact(t("trained"), time(run.seconds)),
        ...(run.seconds_left !== null ? [fact(t("remaining"), time(run.seconds_left))] : []));
      frames = run.pictures;
      showFrame();
      const now = JSON.stringify([run.curves, run.evaluations.length, document.documentElement.dataset.theme]);
      if (now !== drawn) {
        drawn = now;
        const players = {};
        for (const [key, points] of Object.entries(run.curves)) (players[key.split("/")[0]] ||= []).push({ name: key.split("/").slice(1).join("/"), points });
        const wanted = Object.entries(players).map(([player, series]) => [t("lossOf", { p: player }), series.slice(0, 4), ""]);
        const metric = run.evaluations.at(-1)?.metric;
        if (metric) wanted.push([t("quality"), [{ name: metric.replaceAll("_", " "), points: run.evaluations.filter((row) => row.metric === metric).map((row) => [row.step, row.values[metric]]) }], t("evaluation")]);
        for (const [title, series, note] of wanted) {
          if (figures.has(title)) figures.get(title).redraw(series);
          else {
            figures.set(title, figure(title, series, note));
            charts.append(figures.get(title));
          }
        }
      }
      notes.replaceChildren(make("h3", {}, t("notes")), ...(run.notes.length ? run.notes.slice(-6).reverse().map(noteCard) : [make("p", { class: "quiet" }, t("noNotes"))]));
      if (!foot.children.length || foot.dataset.said !== run.said)
        foot.replaceChildren(
          ...(run.command ? [make("h3", {}, t("command")), make("pre", {}, run.command)] : []),
          ...(run.said ? [make("details", {}, make("summary", {}, t("said")), make("pre", {}, run.said))] : []));
      foot.dataset.said = run.said;
    };
    refresh();
    timer = setInterval(refresh, 2500);
  }

  function noteCard(note) {
    const list = (title, rows) => (rows?.length ? make("div", {}, make("small", {}, title), make("ul", {}, ...rows.map((row) => make("li", {}, row)))) : null);
    return make("div", { class: "note" }, make("b", {}, `${note.sign ?? ""}${note.player ? ` · ${note.player}` : ""} · ${t("atStep", { n: note.step })}`), make("span", {}, note.seen ?? ""), list(t("causes"), note.causes), list(t("tries"), note.try));
  }

  async function comparePage(page, names) {
    const runs = (await Promise.all(names.map((name) => get("/api/run", { name }).catch(() => null)))).filter((run) => run && !run.pending);
    if (page !== shown) return;
    const metrics = [...new Set(runs.map((run) => run.evaluations.at(-1)?.metric).filter(Boolean))];
    const lines = (metric) => runs.filter((run) => run.evaluations.some((row) => row.metric === metric)).map((run) => ({ name: run.name, points: run.evaluations.filter((row) => row.metric === metric).map((row) => [row.step, row.values[metric]]) }));
    main.replaceChildren(make("div", { class: "section" },
      make("div", { class: "head" }, make("h1", {}, t("compare")), make("a", { class: "button", href: "#/train" }, t("back"))),
      make("div", { class: "charts" }, ...metrics.map((metric) => figure(metric.replaceAll("_", " "), lines(metric), t("evaluation")))),
      make("div", { class: "charts" }, ...runs.map((run) => make("figure", {},
        make("figcaption", {}, make("b", {}, run.name), make("span", { class: "quiet" }, `${run.model}, ${run.data.name}, ${t("atStep", { n: run.step.toLocaleString("en") })}`)),
        run.pictures.length ? make("img", { class: "pixel", src: pictureOf(run.name, run.pictures.at(-1)), alt: t("newest", { n: run.name }) }) : "")))));
  }

  // ---- play -----------------------------------------------------------------------------------------------------

  async function playPage(page, name) {
    const runs = (await call("/api/runs").catch(() => [])).filter((run) => run.total || run.state === "imported");
    runs.push(...(await call("/api/gallery").catch(() => [])));
    if (page !== shown) return;
    if (!runs.length) {
      const open = make("section", { class: "section card" });
      main.replaceChildren(make("p", { class: "empty" }, t("nothingToPlay")), open);
      openWeights({ controls: open });
      return;
    }
    const run = runs.some((one) => one.name === name) ? name : runs[0].name;
    const select = make("select", { id: "play-run" }, ...runs.map((one) => make("option", { value: one.name }, one.what ? `${one.name.split(":")[1]}: ${t(one.what)}` : `${one.name} (${one.model})`)));
    select.value = run;
    select.addEventListener("change", () => (location.hash = `#/play/${encodeURIComponent(select.value)}`));
    const controls = make("section", { class: "section card" }, field("play-run", t("chooseRun"), select)), view = make("section", { class: "section" });
    main.replaceChildren(make("h1", { class: "visually-hidden" }, t("play")), make("div", { class: "two play" }, controls, view));
    let can;
    try {
      can = await get("/api/abilities", { run });
    } catch (error) {
      view.replaceChildren(make("p", { class: "reason" }, error.message));
      return;
    }
    if (page !== shown) return;
    let step = null;
    const checkpoint = make("select", { id: "checkpoint" }, ...[...can.steps].reverse().map((value, n) => make("option", { value: n ? String(value) : "" }, n ? t("atStep", { n: value.toLocaleString("en") }) : t("newestOne", { n: value.toLocaleString("en") }))));
    const redo = [];
    checkpoint.addEventListener("change", () => {
      step = checkpoint.value ? Number(checkpoint.value) : null;
      for (const again of redo) again();
    });
    controls.append(make("small", {}, t("task", { t: t(can.task) })));
    if (can.steps.length) controls.append(field("checkpoint", t("checkpoint"), checkpoint)); // not of what comes with the package
    const context = { page, run, can, controls, view, redo, step: () => step };
    if (can.samples) playSamples(context);
    if (can.directions.length) playPicture(context, "translate");
    if (can.scale) playPicture(context, "upscale");
    if (can.inpaints) playHoles(context);
    if (can.classifies) playPicture(context, "classify");
    if (can.encodes) playPicture(context, "rebuild");
    if (can.page) takeAway(context);
    openWeights(context);
  }

  /** Takes a file of another program's weights, which becomes an entry of the list. */
  function openWeights({ controls }) {
    const take = ([[file]]) => during(null, async () => {
      const form = new FormData();
      form.append("file", file, file.name);
      toast(t("uploading", { n: 1 }));
      const { run } = await call("/api/weights", form, { form: true });
      toast(t("weightsOpened"));
      location.hash = `#/play/${encodeURIComponent(run)}`;
    });
    panel({ controls }, t("weights"), make("small", {}, t("weightsWhy")), dropPlace(t("dropWeights"), take, { accept: ".pth,.pt,.safetensors", words: "chooseWeights" }));
  }

  const panel = (context, title, ...parts) => context.controls.append(make("div", { class: "group stack" }, make("h3", {}, title), ...parts));

  function saveLink(node) {
    const link = make("a", { class: "button" }, t("save"));
    node.addEventListener("load", () => { // without an address the keyboard would not reach it
      link.href = node.src;
      link.download = `ganarium.${node.dataset.kind || "png"}`;
    });
    return link;
  }

  function playSamples({ page, run, can, view, controls, redo, step }) {
    const context = { controls }, points = can.shape.length === 1;
    const asked = { text: null, seed: 1, n: points ? 1 : 16, label: null, code: can.code ? [0, ...Array(can.code.continuous).fill(0)] : null, sliders: Array(can.sliders).fill(0), truncation: null, second: null, crossover: Math.floor(can.styles / 2) };
    const image = make("img", { class: "pixel", alt: t("samples") }), cells = make("div", { class: "cells", hidden: true });
    const box = make("div", { class: "canvas" }, image, cells), status = make("small", { role: "status" });
    const tools = make("div", { class: "row" }, saveLink(image), status);
    view.append(box, tools);
    let working = false, again = false, terms = [[], [], []];
    const show = async () => {
      if (working) return (again = true);
      working = true;
      box.classList.add("busy");
      const body = { run, step: step(), seed: asked.seed, n: asked.n, label: asked.label, sliders: asked.sliders, code: asked.code, truncation: asked.truncation, text: asked.text };
      if (asked.second !== null) Object.assign(body, { second_seed: asked.second, crossover: asked.crossover });
      try {
        const url = await call("/api/sample", body, { blob: true });
        if (page === shown) swap(image, url);
      } catch (error) {
        toast(error.message);
      }
      working = false;
      box.classList.remove("busy");
      if (again) {
        again = false;
        show();
      }
    };
    redo.push(show);
    const seed = make("input", { type: "number", id: "sample-seed", min: "0", step: "1" });
    seed.value = "1";
    seed.addEventListener("change", () => { asked.seed = Math.max(0, Math.round(Number(seed.value)) || 0); show(); });
    const dice = make("button", { onclick: () => { asked.seed = Math.floor(Math.random() * 1e6); seed.value = String(asked.seed); show(); } }, t("dice"));
    const parts = [make("div", { class: "row" }, field("sample-seed", t("seed"), seed), dice)];
    if (!points) {
      const count = make("select", { id: "count" }, ...[1, 4, 16, 36, 64].map((n) => make("option", { value: String(n) }, String(n))));
      count.value = "16";
      count.addEventListener("change", () => { asked.n = Number(count.value); clear(); show(); });
      parts.push(field("count", t("count"), count));
    }
    if (can.text) {
      const sentence = make("textarea", { id: "sentence", rows: "2" });
      sentence.addEventListener("change", () => { asked.text = sentence.value.trim() || null; show(); });
      parts.push(field("sentence", t("sentence"), sentence));
    }
    if (can.label) {
      const cls = make("select", { id: "class" }, make("option", { value: "" }, t("any")), ...can.classes.map((name, n) => make("option", { value: String(n) }, name)));
      cls.addEventListener("change", () => { asked.label = cls.value === "" ? null : Number(cls.value); show(); });
      parts.push(field("class", t("cls"), cls));
    }
    const range = (id, name, low, high, put, start = 0) => {
      const input = make("input", { type: "range", id, min: String(low), max: String(high), step: "0.1" }), output = make("output", {}, String(start));
      input.value = String(start);
      input.addEventListener("input", () => { output.textContent = input.value; put(Number(input.value)); show(); });
      return make("div", { class: "field" }, make("label", { for: id }, make("span", {}, name), output), input);
    };
    panel(context, t("makeTitle"), ...parts);
    if (can.code) {
      const category = make("select", { id: "category" }, ...[...Array(can.code.categories).keys()].map((n) => make("option", { value: String(n) }, String(n))));
      category.addEventListener("change", () => { asked.code[0] = Number(category.value); show(); });
      panel(context, t("category"), field("category", t("category"), category), ...[...Array(can.code.continuous).keys()].map((n) => range(`code-${n}`, t("codeN", { n: n + 1 }), -2, 2, (value) => (asked.code[n + 1] = value))));
    }
    if (can.sliders) {
      const sliders = [...Array(can.sliders).keys()].map((n) => range(`direction-${n}`, String(n + 1), -5, 5, (value) => (asked.sliders[n] = value)));
      const reset = make("button", { onclick: () => {
        asked.sliders.fill(0);
        for (const node of sliders) { node.querySelector("input").value = "0"; node.querySelector("output").textContent = "0"; }
        show();
      } }, t("reset"));
      panel(context, t("sliders"), make("small", {}, t("slidersWhy")), make("div", { class: "sliders" }, ...sliders), make("div", { class: "row" }, reset));
    }
    if (can.styles) {
      const second = make("input", { type: "number", id: "second", min: "0", placeholder: t("none") });
      second.addEventListener("change", () => { asked.second = second.value === "" ? null : Number(second.value); show(); });
      panel(context, t("truncation"), range("truncation", t("truncation"), 0, 1, (value) => (asked.truncation = value), 1), field("second", t("mix"), second), range("crossover", t("crossover"), 0, can.styles, (value) => (asked.crossover = Math.round(value)), asked.crossover));
    }
    if (can.walk) {
      const walk = make("button", { onclick: () => during(walk, async () => {
        status.textContent = t("working");
        try {
          swap(image, await call("/api/walk", { run, step: step(), seed: asked.seed, label: asked.label }, { blob: true }), "gif");
          clear();
        } finally {
          status.textContent = "";
        }
      }) }, t("makeWalk"));
      panel(context, t("walk"), make("small", {}, t("walkWhy")), make("div", { class: "row" }, walk));
    }
    let current = 0;
    function clear() {
      terms = [[], [], []];
      current = 0;
      cells.hidden = true;
    }
    if (can.arithmetic) {
      const on = make("button", { "aria-pressed": "false" }, "A, B, C"), sum = make("button", { disabled: true }, t("makeSum"));
      const place = () => {
        const frame = image.getBoundingClientRect(), outer = box.getBoundingClientRect();
        Object.assign(cells.style, { left: `${frame.left - outer.left}px`, top: `${frame.top - outer.top}px`, width: `${frame.width}px`, height: `${frame.height}px` });
      };
      new ResizeObserver(place).observe(image);
      const layCells = () => {
        const columns = Math.max(1, Math.round(Math.sqrt((asked.n * can.shape[1]) / can.shape[2])));
        cells.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
        cells.style.gridTemplateRows = `repeat(${Math.ceil(asked.n / columns)}, 1fr)`;
        place();
        cells.replaceChildren(...[...Array(asked.n).keys()].map((number) => {
          const cell = make("button", { "aria-label": `${number}` });
          cell.addEventListener("click", () => {
            const now = (Number(cell.dataset.term || 0) + 1) % 4;
            cell.dataset.term = String(now);
            cell.textContent = ["", "A", "B", "C"][now];
            cell.setAttribute("aria-label", `${number} ${cell.textContent}`);
            terms = terms.map((places, term) => [...places.filter((one) => one !== number), ...(now === term + 1 ? [number] : [])]);
            sum.disabled = !terms[0].length || !(terms[1].length || terms[2].length);
          });
          return cell;
        }));
        cells.hidden = false;
      };
      on.addEventListener("click", async () => {
        if (asked.sliders.some(Boolean)) asked.sliders.fill(0);
        await show();
        requestAnimationFrame(layCells);
        on.setAttribute("aria-pressed", "true");
      });
      sum.addEventListener("click", () => during(sum, async () => {
        const groups = [[1, terms[0]], [-1, terms[1]], [1, terms[2]]].filter(([, places]) => places.length);
        swap(image, await call("/api/sum", { run, step: step(), seed: asked.seed, n: asked.n, label: asked.label ?? (can.label ? 0 : null), groups }, { blob: true }));
        clear();
        on.setAttribute("aria-pressed", "false");
      }));
      panel(context, t("arithmetic"), make("small", {}, t("arithmeticWhy")), make("div", { class: "row" }, on, sum));
    }
    show();
  }

  /** One HTML page with the generator in it, to keep or to put on any site. */
  function takeAway({ run, controls, step }) {
    const file = make("button", {}, t("oneFile"));
    file.addEventListener("click", () => during(file, async () => {
      toast(t("working"));
      const link = make("a", { download: `${run.replaceAll("/", "-")}.html` });
      link.href = await call("/api/export", { run, step: step() }, { blob: true });
      link.click();
      toast(t("exported"));
    }));
    panel({ controls }, t("takeAway"), make("small", {}, t("takeAwayWhy")), make("div", { class: "row" }, file));
  }

  /** Shows another picture, and lets go of the one before. */
  function swap(image, url, kind = "png") {
    image.dataset.kind = kind;
    const before = image.src;
    image.src = url;
    if (before.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(before), 1000);
  }

  function formOf(run, step, picture, more = {}) {
    const form = new FormData();
    form.append("run", run);
    if (step !== null) form.append("step", String(step));
    for (const [key, value] of Object.entries(more)) form.append(key, value);
    form.append("picture", picture, "picture");
    return form;
  }

  function beforeAfter(before, after) {
    const over = make("img", { class: "after", src: after, alt: "" }), edge = make("div", { class: "edge" });
    const under = make("img", { src: before, alt: "" }), box = make("div", { class: "before-after" }, under, over, edge);
    const bar = make("input", { type: "range", min: "0", max: "100", "aria-label": t("before") });
    over.addEventListener("load", () => {
      if (over.naturalWidth > under.naturalWidth) under.style.aspectRatio = `${over.naturalWidth} / ${over.naturalHeight}`;
    });
    const set = () => {
      over.style.clipPath = `inset(0 0 0 ${bar.value}%)`;
      edge.style.left = `calc(${bar.value}% - 1px)`;
    };
    bar.value = "50";
    bar.addEventListener("input", set);
    set();
    return [make("div", { class: "canvas" }, box), bar, make("div", { class: "row" }, saveLink(over))];
  }

  /** A row with a button that takes a picture from the data of the run; `again()` does what the button does. */
  function exampleButton({ run, can, step, direction }, take) {
    if (!can.example) return { row: null, again: () => {} };
    let number = 0;
    const button = make("button", {}, t("example"));
    const again = () => during(button, async () => {
      const asked = { run, number: number++, ...(step() === null ? {} : { step: step() }), ...(direction?.() ? { direction: direction() } : {}) };
      const answer = await fetch(`/api/example?${new URLSearchParams(asked)}`);
      if (!answer.ok) throw new Error((await answer.json()).error);
      take(await answer.blob());
    });
    button.addEventListener("click", again);
    return { row: make("div", { class: "row" }, button), again };
  }

  function playPicture({ page, run, can, controls, view, redo, step }, verb) {
    const title = t({ translate: "mapTitle", upscale: "upTitle", classify: "classTitle", rebuild: "encodeTitle" }[verb]);
    const place = make("div", { class: "section" });
    let picture = null, own = false, direction = can.directions[0];
    const parts = [], { row, again } = exampleButton({ run, can, step, direction: () => direction }, (file) => { picture = file; own = false; show(); });
    if (verb === "translate" && can.directions.length > 1) {
      const select = make("select", { id: "direction" }, ...can.directions.map((name) => make("option", { value: name }, { a2b: "A → B", b2a: "B → A" }[name] ?? name)));
      select.addEventListener("change", () => { direction = select.value; if (own) show(); else again(); });
      parts.push(field("direction", t("direction"), select));
    }
    if (verb === "upscale") parts.push(make("small", {}, t("enlargeBy", { n: can.scale })));
    if (verb === "rebuild") parts.push(make("small", {}, t("rebuilt")));
    const show = () => picture && during(null, async () => {
      place.replaceChildren(make("p", { class: "quiet" }, t("working")));
      const form = formOf(run, step(), picture, verb === "translate" ? { direction } : {});
      try {
        const answer = await call(`/api/${verb}`, form, { form: true, blob: verb !== "classify" });
        if (page !== shown) return;
        const before = URL.createObjectURL(picture);
        if (verb === "classify")
          place.replaceChildren(make("div", { class: "canvas" }, make("img", { src: before, alt: "" })), make("div", { class: "bars" }, ...answer.map((row) => make("div", {}, make("span", {}, row.name), make("progress", { max: "1", value: String(row.chance) }), make("output", {}, `${(100 * row.chance).toFixed(1)} %`)))));
        else if (verb === "rebuild") place.replaceChildren(make("div", { class: "canvas" }, make("img", { class: "pixel", src: answer, alt: t("rebuilt") })));
        else place.replaceChildren(...beforeAfter(before, answer));
      } catch (error) {
        place.replaceChildren();
        throw error;
      }
    });
    redo.push(show);
    const drop = dropPlace(t("dropPicture"), ([[file]]) => { picture = file; own = true; show(); }, { accept: "image/*" });
    panel({ controls }, title, ...parts, drop, row);
    if (run.startsWith("pretrained:")) again();
    view.append(place);
  }

  function playHoles({ page, run, can, controls, view, step }) {
    const place = make("div", { class: "section" }), fill = make("button", { class: "primary", disabled: true }, t("fill"));
    const brush = make("input", { type: "range", id: "brush", min: "2", max: "30" }), middle = make("button", { disabled: true }, t("mid"));
    brush.value = "12";
    let picture = null, canvas = null, pen = null;
    const take = (file) => {
      picture = file;
      const image = make("img", { src: URL.createObjectURL(file), alt: "" });
      canvas = make("canvas", { "aria-label": t("paintHole"), role: "img" });
      image.addEventListener("load", () => {
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
        pen = canvas.getContext("2d");
        pen.fillStyle = pen.strokeStyle = "#fff";
        pen.lineCap = pen.lineJoin = "round";
        fill.disabled = middle.disabled = false;
      });
      const at = (event) => {
        const frame = canvas.getBoundingClientRect();
        return [((event.clientX - frame.left) / frame.width) * canvas.width, ((event.clientY - frame.top) / frame.height) * canvas.height];
      };
      let last = null;
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = at(event); });
      canvas.addEventListener("pointermove", (event) => {
        if (!last || !pen) return;
        const now = at(event);
        pen.lineWidth = (Number(brush.value) / 100) * Math.min(canvas.width, canvas.height);
        pen.beginPath();
        pen.moveTo(...last);
        pen.lineTo(...now);
        pen.stroke();
        last = now;
      });
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = null));
      place.replaceChildren(make("div", { class: "canvas" }, make("div", { class: "paint" }, image, canvas)));
    };
    const drop = dropPlace(t("dropPicture"), ([[file]]) => take(file), { accept: "image/*" });
    middle.addEventListener("click", () => {
      const side = Math.min(canvas.width, canvas.height), [top, left, bottom, right] = can.hole || [], [, h, w] = can.shape;
      const share = can.hole ? Math.min((bottom - top) / h, (right - left) / w) * 0.9 : 0.25;
      pen.fillRect((canvas.width - share * side) / 2, (canvas.height - share * side) / 2, share * side, share * side);
    });
    fill.addEventListener("click", () => during(fill, async () => {
      const mask = document.createElement("canvas");
      mask.width = canvas.width;
      mask.height = canvas.height;
      const black = mask.getContext("2d");
      black.fillRect(0, 0, mask.width, mask.height);
      black.drawImage(canvas, 0, 0);
      const content = await new Promise((done) => mask.toBlob(done, "image/png"));
      const answer = await call("/api/inpaint", formOf(run, step(), picture, { mask: content }), { form: true, blob: true });
      if (page === shown) place.replaceChildren(...beforeAfter(URL.createObjectURL(picture), answer));
    }));
    const { row, again } = exampleButton({ run, can, step }, take);
    if (run.startsWith("pretrained:")) again();
    panel({ controls }, t("fillTitle"), drop, row, make("small", {}, t("paintHole")), field("brush", t("brush"), brush), make("div", { class: "row" }, middle, fill));
    view.append(place);
  }

  // ---- laboratory -----------------------------------------------------------------------------------------------

  function labPage() {
    const query = new URLSearchParams({ embedded: "1", lang: Common.language.now, theme: document.documentElement.dataset.theme });
    main.classList.add("wide");
    main.replaceChildren(make("iframe", { src: `/lab.html?${query}`, title: t("laboratory") }));
  }

  // ---- ways -----------------------------------------------------------------------------------------------------

  async function route() {
    clearInterval(timer);
    const page = ++shown, [section, ...rest] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
    main.classList.remove("wide");
    const current = { run: "train", compare: "train", "": "train" }[section] ?? section;
    for (const link of document.querySelectorAll(".tabs a")) {
      if (link.dataset.section === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (section === "lab") return labPage();
    try {
      about ||= await call("/api/about");
    } catch (error) {
      main.replaceChildren(make("p", { class: "empty" }, error.message));
      return;
    }
    if (page !== shown) return;
    if (section === "run") runPage(page, rest.join("/"));
    else if (section === "compare") comparePage(page, rest);
    else if (section === "play") playPage(page, rest.join("/"));
    else trainPage(page);
  }

  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  addEventListener("hashchange", () => { route(); scrollTo(0, 0); });
  Common.ready(STUDIO_WORDS, route);
  route();
})();
