"use strict";
// The page around the figures: text, tables, controls, and in the live page what comes from the server.

(() => {
  const { STATES, FIGURES, Store, decoded, amount, count, valueOf, objectives } = HPO;
  const ROWS = 25, EVERY = 1000, LONGEST_WAIT = 10000;
  const byId = (id) => document.getElementById(id);

  // Text goes in as text: nothing of a study is ever parsed as HTML.
  function el(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
    }
    made.append(...children.filter((each) => each !== null && each !== undefined));
    return made;
  }

  const show = (id, ...children) => byId(id).replaceChildren(...children.filter(Boolean));
  const reveal = (id, shown) => {
    byId(id).hidden = !shown;
    document.querySelector(`nav a[href="#${id}"]`).parentElement.hidden = !shown;
  };

  // Renew a part of the page only if it says something else now, so that focus and open details stay.
  const said = new Map();
  function renew(id, facts, ...draw) {
    const text = JSON.stringify(facts);
    if (said.get(id) === text) return;
    said.set(id, text);
    show(id, ...draw.flatMap((each) => each()));
  }

  function duration(seconds) {
    if (!(seconds > 0)) return "–";
    if (seconds < 1) return `${Number((1000 * seconds).toPrecision(3))} ms`;
    if (seconds < 120) return `${seconds.toFixed(1)} s`;
    if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
    return `${(seconds / 3600).toFixed(1)} h`;
  }

  function code(text, about) {
    const pre = el("pre", { tabindex: 0, "aria-label": about }, text);
    const button = el("button", { type: "button", "aria-label": `Copy ${about}`, onclick: () => copy(text, pre, button) }, "Copy");
    return el("div", { class: "code" }, pre, button);
  }

  async function copy(text, pre, button) {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      byId("status").textContent = "Copied to the clipboard.";
    } catch { // not a secure context, or refused: the reader can copy the selection
      const range = document.createRange();
      range.selectNodeContents(pre);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  function table(heads, rows, caption) {
    const head = el("tr", {}, ...heads.map((each) => el("th", { scope: "col" }, each)));
    const body = rows.map((row) => el("tr", {}, ...row.map((each) => el("td", { class: typeof each !== "number" && "text" },
      typeof each === "number" ? count(each) : each))));
    return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
      el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
  }

  function select(name, options, chosen, onchange) {
    const made = el("select", { onchange: (event) => onchange(Number(event.target.value)) },
      ...options.map((each, i) => el("option", { value: i, selected: i === chosen }, each)));
    return el("label", {}, name, made);
  }

  // ---- parts of the page

  function renderHead(store) {
    const { about, found } = store, { counts } = found;
    const several = objectives(store).length > 1, best = found.best.shown[0];
    byId("title").textContent = about.name || "A study without a name";
    const goals = about.metrics.map((each) => {
      if (each.bound === undefined) return `${each.kind} ${each.name}`;
      return `${each.name} ${each.kind === "at_most" ? "≤" : "≥"} ${amount(each.bound)}`;
    });
    byId("lead").textContent = `${about.sampler}${about.scheduler ? `, ${about.scheduler}` : ""}: ${goals.join(", ")}`;
    const facts = { trials: count(counts.trials), complete: count(counts.complete) };
    for (const name of ["stopped", "paused", "failed", "running"]) if (counts[name]) facts[name] = count(counts[name]);
    if (several) facts["on the front"] = count(decoded(found.best.numbers).length);
    else if (best) facts[best.feasible ? `best ${about.metrics[objectives(store)[0]].name}` : "least violation"] = amount(best.values[objectives(store)[0]]);
    if (found.saved) facts["steps saved"] = `${(100 * found.saved.share).toFixed(1)} %`;
    facts["time of trials"] = duration(found.seconds);
    renew("facts", facts, () => Object.entries(facts).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  let configuration = 0;
  function renderBest(store) {
    const { best, counts } = store.found, names = store.about.metrics.map((each) => each.name);
    renew("best-body", best, () => {
      if (!best.shown.length)
        return [el("p", {}, counts.failed && counts.failed === counts.trials ? "All trials have failed." : "No trial has completed yet.")];
      configuration = Math.min(configuration, best.shown.length - 1);
      const body = el("div");
      const draw = (i) => {
        configuration = i;
        const one = best.shown[i];
        const told = names.map((name, m) => `${name} ${amount(one.values[m])}`).join(", ")
          + (one.expected ? `, expected ${one.expected}` : "");
        body.replaceChildren(
          el("p", {}, `Trial ${one.number}: ${told}${one.feasible ? "" : ". No trial keeps all bounds; this one violates them least"}.`),
          el("div", { class: "pair" }, code(one.code, "the configuration"), code(one.enqueue, "a call that tries it again")));
      };
      draw(configuration);
      const all = decoded(best.numbers).length;
      const more = all > best.shown.length ? ` The first ${best.shown.length} of ${count(all)} can be chosen.` : "";
      const note = best.shown[0].expected && el("p", {}, `Trial ${best.shown[0].number} has the best value observed. The values are noisy: `
        + `the model expects trial ${best.shown.at(-1).number} to be better, and recommend() returns it.`);
      const choice = best.shown.length > 1 && el("p", {}, select("Configuration", best.shown.map((one) =>
        `trial ${one.number}: ${one.values.map(amount).join(", ")}`), configuration, draw), more);
      return [note, choice, body].filter(Boolean);
    });
  }

  function renderSaved(store) {
    const { saved } = store.found;
    reveal("saved", Boolean(saved));
    if (!saved) return;
    renew("saved-body", saved, () => {
      const sentence = el("p", {}, `${count(saved.steps)} of ${count(saved.whole)} steps of whole trainings were done: `
        + `${(100 * saved.share).toFixed(1)} % saved by stopping and pausing trials.`);
      const rungs = saved.rungs.map((each) => [each.depth, each.arrived, each.went_on, `${(100 * each.went_on / (each.arrived || 1)).toFixed(0)} %`]);
      return [sentence, rungs.length ? table(["after steps", "trials that arrived", "went on", "share"], rungs, "Rungs") : null].filter(Boolean);
    });
  }

  function renderFailures(store) {
    const { failures, retries, counts } = store.found;
    reveal("failures", counts.failed > 0 || retries > 0);
    renew("failures-body", [failures, retries, counts.failed], () => {
      const parts = [];
      if (counts.failed) parts.push(el("p", {}, `${count(counts.failed)} of ${count(counts.trials)} trials failed.`));
      if (retries) parts.push(el("p", {}, `Trials were given out again ${count(retries)} times, because a worker had died.`));
      const rows = failures.reasons.map((each) => [each.count, each.reason, el("span", {}, `trial ${each.trial}`,
        each.traceback && el("details", {}, el("summary", {}, "traceback"), el("pre", { tabindex: 0 }, each.traceback)))]);
      if (rows.length) parts.push(table(["trials", "reason", "such as"], rows, "Reasons"));
      if (failures.others) parts.push(el("p", {}, `And ${count(failures.others)} other reasons.`));
      return parts;
    });
  }

  function renderReproduce(store) {
    const { reproduce } = store.about;
    renew("reproduce-body", reproduce, () => {
      const facts = { seed: reproduce.seed, ...reproduce.versions };
      if (reproduce.builds.length) facts["builds that asked"] = reproduce.builds.join(", ");
      const folded = (name, text) => el("details", {}, el("summary", {}, name), code(text, name));
      return [
        el("p", {}, "The study without its trials; functions such as feasible= and known= must be given again:"),
        code(reproduce.code, "the study as Python code"),
        reproduce.commands && el("p", {}, "In a shell:"), reproduce.commands && code(reproduce.commands, "commands"),
        folded("The space", reproduce.space), folded("Options of the sampler", reproduce.options),
        el("p", {}, "Versions of the program that made this page:"),
        table(["what", "which"], Object.entries(facts), "Versions"),
      ].filter(Boolean);
    });
  }

  // ---- the table of trials

  const sorting = { column: 0, down: false, page: 0 };

  function trialColumns(store) {
    const { trial, state, seconds } = store.ends, ends = new Int32Array(store.length).fill(-1), states = new Uint8Array(store.length);
    const [t, s] = [trial.all, state.all];
    for (let e = 0; e < t.length; e++) { ends[t[e]] = e; states[t[e]] = s[e]; }
    store.open.trial.forEach((t, i) => { states[t] = store.open.state[i]; });
    const told = (column) => (t) => (ends[t] < 0 ? NaN : column.all[ends[t]]);
    return [
      { name: "trial", key: (t) => store.numberOf(t), text: (t) => String(store.numberOf(t)) },
      { name: "state", key: (t) => states[t], text: (t) => STATES[states[t]] },
      ...store.values.map((column, m) => ({ name: store.about.metrics[m].name, key: told(column), text: (t) => amount(told(column)(t)) })),
      { name: "seconds", key: told(seconds), text: (t) => amount(told(seconds)(t)) },
      { name: "origin", key: (t) => store.origin.all[t], text: (t) => store.origins[store.origin.all[t]] },
      ...store.params.map((column, p) => ({
        name: store.about.parameters[p].name, key: (t) => column.all[t], text: (t) => valueOf(store, p, t) ?? "",
      })),
    ];
  }

  function renderTrials(store) {
    const columns = store.cached("columns", () => trialColumns(store)), { key } = columns[sorting.column];
    const order = store.cached(`order ${sorting.column} ${sorting.down}`, () => {
      const order = new Int32Array(store.length), keys = new Float64Array(store.length), sign = sorting.down ? -1 : 1;
      for (let t = 0; t < store.length; t++) { order[t] = t; keys[t] = key(t); }
      if (!sorting.column) return sorting.down ? order.reverse() : order; // as they are
      const missing = (a) => (Number.isNaN(keys[a]) ? 1 : 0);
      return order.sort((a, b) => missing(a) - missing(b) || sign * (keys[a] - keys[b]) || a - b);
    });
    const last = Math.max(0, Math.ceil(store.length / ROWS) - 1);
    sorting.page = Math.min(sorting.page, last);
    const rows = Array.from(order.subarray(sorting.page * ROWS, (sorting.page + 1) * ROWS));
    const again = () => renderTrials(store);
    const sortBy = (i) => { Object.assign(sorting, { column: i, down: sorting.column === i && !sorting.down, page: 0 }); again(); };
    const focus = document.activeElement?.dataset?.sort;
    show("trials-head", el("tr", {}, ...columns.map((each, i) => el("th", {
      scope: "col", "aria-sort": i !== sorting.column ? "none" : sorting.down ? "descending" : "ascending",
    }, el("button", { type: "button", "data-sort": i, onclick: () => sortBy(i) },
      each.name, i === sorting.column ? (sorting.down ? " ↓" : " ↑") : "")))));
    if (focus !== undefined) document.querySelector(`[data-sort="${focus}"]`)?.focus();
    show("trials-rows", ...rows.map((t) => el("tr", {}, ...columns.map((each) => el("td", {}, each.text(t))))));
    const of = store.found.counts.trials, some = store.length < of ? ` (of ${count(of)}: the best, and an even sample)` : "";
    byId("trials-where").textContent = store.length
      ? `${count(sorting.page * ROWS + 1)} to ${count(sorting.page * ROWS + rows.length)} of ${count(store.length)} trials${some}` : "No trials yet.";
    const goTo = (page) => () => { sorting.page = page; again(); };
    for (const [id, page] of [["first", 0], ["back", sorting.page - 1], ["next", sorting.page + 1], ["last", last]]) {
      byId(`trials-${id}`).disabled = page < 0 || page > last || page === sorting.page;
      byId(`trials-${id}`).onclick = goTo(page);
    }
  }

  // ---- figures

  const CONFIG = { displaylogo: false, responsive: false, doubleClickDelay: 400, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function theme(printing = false) {
    const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(`--${name}`).trim();
    const night = dark.matches && !printing;
    const found = { font: getComputedStyle(document.body).fontFamily, night };
    found.colours = night // the good ones stand out, and the others can be seen
      ? ["#fde725", "#bddf4a", "#7ad16b", "#4ebd86", "#45a39c", "#5489ad", "#6c72b4", "#7c5fa8"]
      : ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
    const dim = night ? found.colours.toReversed() : found.colours;
    found.scale = dim.map((colour, i) => [i / (dim.length - 1), colour]);
    found.veil = night ? "rgba(20,23,28,0.75)" : "rgba(255,255,255,0.75)";
    for (const name of ["paper", "panel", "ink", "muted", "line", "grid", "good", "best"]) found[name] = of(name);
    if (printing) Object.assign(found, { paper: "#fff", panel: "#fff", ink: "#000", muted: "#444", line: "#999", grid: "#ddd", good: "#0072b2", best: "#c44e00" });
    found.states = night ? ["#2fbf8f", "#56b4e9", "#ff9d57", "#e39cc4", "#f0c54a"] : ["#009e73", "#0072b2", "#d55e00", "#cc79a7", "#e69f00"];
    return found;
  }

  class Picture {
    constructor(figure, page) {
      Object.assign(this, { figure, page, choice: {}, view: {}, stale: true, seen: false });
      this.plot = el("div", { class: "plot" });
      this.note = el("figcaption", { id: `${figure.id}-note` });
      this.controls = el("div", { class: "controls" });
      const head = el("div", { class: "head" }, el("h3", { id: `${figure.id}-title` }, figure.title), this.controls);
      this.element = el("figure", {
        id: `picture-${figure.id}`, class: figure.wide && "wide", role: "group",
        "aria-labelledby": `${figure.id}-title`, "aria-describedby": `${figure.id}-note`,
      }, head, this.plot, this.note);
    }
    place() {
      const { store } = this.page, { early } = this.figure;
      const applies = (early || store.hasResults) && (!this.figure.applies || this.figure.applies(store));
      this.element.hidden = !applies;
      if (applies && this.figure.controls && !this.controls.children.length) {
        for (const [name, options] of Object.entries(this.figure.controls(store))) {
          this.choice[name] = 0;
          this.controls.append(select(name, options, 0, (i) => { this.choice[name] = i; this.view = {}; this.fresh(); }));
        }
      }
      return applies;
    }
    fresh() { // axes of something else: forget the zoom
      this.version = (this.version || 0) + 1;
      this.view = {};
      return this.draw();
    }
    async draw(printing = false) {
      performance.mark(`hpo-begin-${this.figure.id}`);
      const { store, metric } = this.page, width = this.element.clientWidth || 700;
      const options = { store, metric, choice: this.choice, view: this.view, width, theme: theme(printing) };
      const found = this.figure.draw(options);
      this.stale = false;
      if (found.traces && !found.traces.some((each) => each.dimensions?.length || each.x?.length || each.z?.length))
        found.empty = "No complete trial yet.";
      this.plot.hidden = Boolean(found.empty);
      this.note.textContent = found.empty || found.note || "";
      if (found.empty) return;
      this.plot.style.height = found.height ? `${found.height}px` : "";
      found.layout.uirevision = `${metric} ${this.version || 0}`;
      found.layout.width = this.plot.clientWidth;
      found.layout.height = this.plot.clientHeight;
      performance.mark(`hpo-react-${this.figure.id}`);
      await Plotly.react(this.plot, found.traces, found.layout, CONFIG);
      if (!this.listening) {
        this.listening = true;
        this.plot.on("plotly_relayout", (changed) => this.zoomed(changed));
      }
    }
    zoomed(changed) {
      let moved = false;
      for (const axis of ["x", "y"]) {
        if (changed[`${axis}axis.autorange`]) { delete this.view[axis]; moved = true; }
        const [from, to] = [0, 1].map((i) => changed[`${axis}axis.range[${i}]`] ?? changed[`${axis}axis.range`]?.[i]);
        if (typeof from === "number" && typeof to === "number") { this.view[axis] = [Math.min(from, to), Math.max(from, to)]; moved = true; }
      }
      if (!moved) return;
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.draw(), 120);
    }
  }

  class Page {
    constructor(store) {
      this.store = store;
      this.metric = objectives(store)[0];
      this.pictures = FIGURES.map((figure) => new Picture(figure, this));
      show("figures", ...this.pictures.map((each) => each.element));
      const names = store.about.metrics.map((each) => each.name);
      show("metric", names.length > 1 && select("Metric", names, this.metric, (m) => {
        this.metric = m;
        for (const picture of this.pictures) { picture.view = {}; picture.stale = true; }
        this.draw();
      }));
      this.watcher = new IntersectionObserver((entries) => {
        for (const entry of entries) this.pictures.find((each) => each.element === entry.target).seen = entry.isIntersecting;
        this.draw();
      }, { rootMargin: "300px" });
      for (const picture of this.pictures) this.watcher.observe(picture.element);
      this.render();
    }
    render() {
      for (const part of [renderHead, renderBest, renderSaved, renderFailures, renderReproduce, renderTrials]) part(this.store);
      for (const picture of this.pictures) picture.stale = picture.place();
      byId("waiting").hidden = this.store.hasResults;
      return this.draw();
    }
    // Draw what is seen and out of date, one picture a frame, so that the page stays quick.
    async draw() {
      if (this.drawing) { this.again = true; return; }
      this.drawing = true;
      try {
        do {
          this.again = false;
          for (const picture of this.pictures) {
            if (!picture.seen || !picture.stale || picture.element.hidden) continue;
            await picture.draw();
            performance.mark(`hpo-end-${picture.figure.id}`);
            await new Promise((next) => { setTimeout(next, 0); });
          }
        } while (this.again);
      } finally { this.drawing = false; }
      performance.mark("hpo-drawn");
    }
    redraw() {
      for (const picture of this.pictures) picture.stale = true;
      return this.draw();
    }
    print(printing) {
      for (const picture of this.pictures) if (!picture.element.hidden) picture.draw(printing);
    }
    close() { this.watcher.disconnect(); for (const picture of this.pictures) Plotly.purge(picture.plot); }
  }

  let page = null;
  function open(message) {
    page?.close();
    said.clear();
    const store = new Store(message);
    store.live = Boolean(message.era);
    page = new Page(store);
    Object.assign(globalThis, { hpoPage: page, hpoOpen: open }); // for whoever looks from the console
  }

  dark.addEventListener("change", () => page?.redraw());
  addEventListener("beforeprint", () => page?.print(true));
  addEventListener("afterprint", () => page?.print(false));
  let settled;
  addEventListener("resize", () => { clearTimeout(settled); settled = setTimeout(() => page?.redraw(), 150); });

  // ---- live

  const query = (facts) => new URLSearchParams(facts).toString();

  async function asked(address) {
    const answer = await fetch(address, { cache: "no-store", credentials: "same-origin" });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  async function follow(name) {
    let era = "", wait = EVERY;
    for (;;) {
      try {
        if (!document.hidden || !page) {
          const since = page && era ? { era, trials: page.store.cursor[0], ends: page.store.cursor[1], position: page.store.position } : {};
          const message = await asked(`api/study?${query({ name, ...since })}`);
          byId("notice").textContent = message.gone || "";
          if (message.gone) { byId("status").textContent = ""; return; }
          take(message, era);
          era = message.era;
          byId("status").textContent = `Live; up to date at ${new Date().toLocaleTimeString()}.`;
          wait = EVERY;
        }
      } catch (error) {
        byId("status").textContent = "";
        byId("notice").textContent = `The server does not answer: ${error.message}. Trying again.`;
        wait = Math.min(2 * wait, LONGEST_WAIT);
      }
      await new Promise((next) => { setTimeout(next, wait); });
    }
  }

  function take(message, era) {
    if (message.same) return;
    performance.mark("hpo-received");
    if (message.about) {
      open(message);
      if (era) byId("notice").textContent = "The study has changed; this page has read it again.";
    } else {
      page.store.append(message);
      page.render();
    }
    page.store.position = message.position;
  }

  async function listStudies() {
    for (;;) {
      try {
        const { studies, storage } = await asked("api/studies");
        byId("lead").textContent = storage;
        renew("studies", studies, () => (studies.length ? [el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Studies" }, el("table", {},
          el("thead", {}, el("tr", {}, ...["study", "trials", "running", "failed", "best", "sampler"].map((each) => el("th", { scope: "col" }, each)))),
          el("tbody", {}, ...studies.map((each) => el("tr", {}, el("th", { scope: "row" }, el("a", { href: `study?${query({ name: each.name })}` }, each.shown)),
            ...(each.problem ? [el("td", { colspan: 5, class: "text" }, `damaged: ${each.problem}`)]
              : [count(each.trials), count(each.running), count(each.failed), each.best, each.sampler].map((fact) => el("td", {}, fact))))))))]
          : [el("p", {}, "No studies yet.")]));
        byId("notice").textContent = "";
      } catch (error) {
        byId("notice").textContent = `The server does not answer: ${error.message}. Trying again.`;
      }
      await new Promise((next) => { setTimeout(next, 2 * EVERY); });
    }
  }

  const data = byId("data");
  if (data) open(JSON.parse(data.textContent));
  else if (document.body.dataset.page === "studies") listStudies();
  else follow(new URLSearchParams(location.search).get("name"));
})();
