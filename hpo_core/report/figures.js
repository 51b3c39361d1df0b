"use strict";
// From columns to figures of Plotly. The report and the live page draw with this file and nothing else.
//
// Glossary
// end         of a trial; ends are in the order in which trials ended, and everything indexes them
// view        ranges that the reader has zoomed to, in the units of an axis: log10 on a logarithmic one
// thin        keep one dot for each small cell of what is seen, so that no picture has too many

const HPO = (() => {
  const STATES = ["running", "complete", "stopped", "failed", "paused"];
  const [COMPLETE, STOPPED, FAILED] = [1, 2, 3];
  const MOST_DOTS = 2000, MOST_LINES = 400, MOST_PANELS = 6, MOST_AXES = 10, MOST_BARS = 16, WIDE = 20;
  const GOLDEN = 0.6180339887498949, SILVER = Math.SQRT2 - 1, LONGEST = 34, MANY_LEVELS = 12;
  const GRID = 30, NEAREST = 600, FEWEST = 4; // cells and trials of an interpolated surface

  const SHARES = [1, 0.5, 0.25, 0.1, 0.01], INACTIVE = -0.15;

  // ---- columns

  const KINDS = { f8: Float64Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array };

  function decoded(column) {
    const [kind, text] = Object.entries(column)[0];
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new KINDS[kind](bytes.buffer);
  }

  class Growing {
    constructor(column) { this.data = decoded(column); this.length = this.data.length; }
    append(column) {
      const more = decoded(column), length = this.length + more.length;
      if (length > this.data.length) {
        const data = new this.data.constructor(Math.max(length, 2 * this.data.length));
        data.set(this.all);
        this.data = data;
      }
      this.data.set(more, this.length);
      this.length = length;
    }
    get all() { return this.data.subarray(0, this.length); }
  }

  class Store {
    constructor(message) {
      this.about = message.about;
      const { trials, ends } = message;
      this.params = trials.params.map((each) => new Growing(each));
      this.origin = new Growing(trials.origin);
      this.number = trials.number ? decoded(trials.number) : null;
      this.ends = {};
      for (const name of ["trial", "place", "state", "seconds", "feasible"])
        this.ends[name] = new Growing(ends[name]);
      this.values = ends.values.map((each) => new Growing(each));
      this.found = {};
      this.hovers = []; // by end, which never changes
      this._finish(message);
    }
    append(message) {
      const { trials, ends } = message;
      trials.params.forEach((each, i) => this.params[i].append(each));
      this.origin.append(trials.origin);
      for (const name of Object.keys(this.ends)) this.ends[name].append(ends[name]);
      ends.values.forEach((each, i) => this.values[i].append(each));
      this._finish(message);
    }
    _finish(message) {
      this.origins = message.origins;
      this.cursor = message.cursor;
      this.open = {};
      for (const name of ["trial", "state"]) this.open[name] = decoded(message.open[name]);
      if (message.found) this.found = message.found;
      this.cache = new Map();
    }
    get length() { return this.origin.length; }
    get hasResults() { return objectives(this).some((metric) => this.complete(metric).length); }
    numberOf(trial) { return this.number ? this.number[trial] : trial; }
    cached(key, make) {
      if (!this.cache.has(key)) this.cache.set(key, make());
      return this.cache.get(key);
    }
    // Ends of complete trials with a value of a metric, and of those that keep all bounds.
    complete(metric) {
      return this.cached(`complete ${metric}`, () => {
        const state = this.ends.state.all, value = this.values[metric].all;
        return filtered(state.length, (e) => state[e] === COMPLETE && Number.isFinite(value[e]));
      });
    }
    feasible(metric) {
      return this.cached(`feasible ${metric}`, () => {
        const feasible = this.ends.feasible.all;
        return only(this.complete(metric), (e) => feasible[e]);
      });
    }
    sorted(metric) {
      return this.cached(`sorted ${metric}`, () => pick(this.values[metric].all, this.feasible(metric)).sort());
    }
    endOf(number) {
      const byNumber = this.cached("ends by number", () => {
        const trial = this.ends.trial.all, found = new Map();
        for (let e = 0; e < trial.length; e++) found.set(this.numberOf(trial[e]), e);
        return found;
      });
      return byNumber.get(number);
    }
    // Ends of the front, or of the best trial.
    get best() {
      return this.cached("best", () => {
        if (!this.found.best) return [];
        return [...decoded(this.found.best.numbers)].map((n) => this.endOf(n)).filter((e) => e !== undefined);
      });
    }
    // A column of a parameter by end; NaN where it is inactive.
    along(p) {
      return this.cached(`along ${p}`, () => {
        const column = this.params[p].all, listed = Boolean(this.about.parameters[p].levels);
        return mapped(this.ends.trial.all, (t) => (listed && column[t] < 0 ? NaN : column[t]));
      });
    }
    signOf(metric) { return ["minimize", "at_most"].includes(this.about.metrics[metric].kind) ? 1 : -1; }
    isObjective(metric) { return ["minimize", "maximize"].includes(this.about.metrics[metric].kind); }
    // Parameters, the most important first.
    ordered(metric) {
      return this.cached(`ordered ${metric}`, () => {
        const weight = new Float64Array(this.params.length);
        weight.set(this.found.importance[metric] || []);
        return [...weight.keys()].sort((a, b) => weight[b] - weight[a] || a - b);
      });
    }
  }

  function filtered(n, keep) {
    const found = new Int32Array(n);
    let k = 0;
    for (let i = 0; i < n; i++) if (keep(i)) found[k++] = i;
    return found.slice(0, k);
  }

  // Loops, because methods of typed arrays with a function are slow on 100,000 numbers.
  function only(list, keep) {
    const found = new Int32Array(list.length);
    let k = 0;
    for (let i = 0; i < list.length; i++) if (keep(list[i])) found[k++] = list[i];
    return found.slice(0, k);
  }

  function mapped(list, of) {
    const found = new Float64Array(list.length);
    for (let i = 0; i < list.length; i++) found[i] = of(list[i], i);
    return found;
  }

  const pick = (values, ends) => mapped(ends, (e) => values[e]);

  // ---- text

  // Plotly reads tags and entities in every text that it draws.
  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const label = (text) => escaped(text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

  function amount(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en-US");
    return Number(value.toPrecision(5)).toString();
  }
  const count = (n) => n.toLocaleString("en-US");

  function valueOf(store, p, trial) {
    const value = store.params[p].all[trial], { levels } = store.about.parameters[p];
    if (levels) return value < 0 ? null : levels[value];
    return Number.isNaN(value) ? null : amount(value);
  }

  function hover(store, e) {
    if (store.hovers[e] === undefined) store.hovers[e] = described(store, e);
    return store.hovers[e];
  }

  function described(store, e) {
    const trial = store.ends.trial.all[e];
    const lines = [`<b>trial ${store.numberOf(trial)}</b>`];
    store.about.metrics.forEach((each, m) => {
      lines.push(`${label(each.name)}: ${amount(store.values[m].all[e])}`);
    });
    for (let p = 0; p < store.params.length && lines.length < 16; p++) {
      const value = valueOf(store, p, trial);
      if (value !== null) lines.push(`${label(store.about.parameters[p].name)} = ${label(value)}`);
    }
    return lines.join("<br>");
  }

  // ---- axes

  const extent = (values) => {
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  };

  function readsBetterLog(values) {
    const [low, high] = extent(values);
    return low > 0 && high / low > WIDE;
  }

  const ticks = (levels) => levels.length > MANY_LEVELS
    ? { tickmode: "auto", nticks: MANY_LEVELS }
    : { tickmode: "array", tickvals: [...levels.keys()], ticktext: levels.map(label) };

  function parameterAxis(store, p) {
    const each = store.about.parameters[p];
    if (each.levels)
      return { title: { text: label(each.name) }, type: "linear", range: [-0.6, each.levels.length - 0.4], ...ticks(each.levels) };
    const whole = each.integer && !each.log && each.high - each.low <= 10 ? { dtick: 1 } : {};
    return { title: { text: label(each.name) }, type: each.log ? "log" : "linear", ...whole };
  }

  // Where dots of a parameter are drawn: those of one level side by side. The steps of two axes that are seen
  // together must be unrelated, or dots lie on a line.
  function spread(store, p, step = GOLDEN) {
    return store.cached(`spread ${p} ${step}`, () => {
      const at = store.along(p);
      if (!store.about.parameters[p].levels) return at;
      return mapped(at, (value, e) => value + 0.5 * (((e + 1) * step) % 1) - 0.25);
    });
  }

  const scaled = (values, type) => (type === "log" ? mapped(values, Math.log10) : values);

  // ---- thinning

  // Return ends of which no two are drawn in the same cell of what is seen; `first` are always among them.
  function thin(ends, x, y, { most = MOST_DOTS, view = {}, first = [] } = {}) {
    const [x0, x1] = view.x || extent(pick(x, ends)), [y0, y1] = view.y || extent(pick(y, ends));
    const seen = view.x || view.y
      ? only(ends, (e) => x[e] >= x0 && x[e] <= x1 && y[e] >= y0 && y[e] <= y1)
      : ends;
    if (seen.length <= most) return seen;
    const kept = new Set(first), mixed = shuffled(seen); // the first of a cell would be the earliest
    for (let side = Math.ceil(Math.sqrt(4 * most)); side >= 4; side = Math.floor(side / 1.4)) {
      const taken = new Uint8Array(side * side), found = [];
      const across = (side - 1) / (x1 - x0 || 1), up = (side - 1) / (y1 - y0 || 1);
      for (let i = 0; i < seen.length && found.length <= most; i++) {
        const e = mixed[i], cell = Math.round((x[e] - x0) * across) + side * Math.round((y[e] - y0) * up);
        if (!taken[cell] || kept.has(e)) { taken[cell] = 1; found.push(e); }
      }
      if (found.length <= most) return found;
    }
    return everySo(seen, most);
  }

  // In an order that is the same each time, and in which neighbours are far apart.
  function shuffled(list) {
    const n = list.length, found = new Int32Array(n);
    let stride = Math.max(1, Math.floor(n * GOLDEN));
    const divisor = (a, b) => (b ? divisor(b, a % b) : a);
    while (divisor(n, stride) > 1) stride++;
    for (let i = 0, at = 0; i < n; i++, at = (at + stride) % n) found[i] = list[at];
    return found;
  }

  function everySo(list, most) {
    if (list.length <= most) return list;
    return Array.from({ length: most }, (_, i) => list[Math.floor((i * (list.length - 1)) / (most - 1))]);
  }

  const drawnOf = (drawn, all) => (drawn < all
    ? ` ${count(drawn)} of ${count(all)} are drawn, one where dots would lie on each other; zoom in for more.` : "");

  // ---- figures

  function base(theme, more) {
    const axis = {
      gridcolor: theme.grid, linecolor: theme.line, zeroline: false, automargin: true, title: { standoff: 8 },
      tickcolor: theme.line,
    };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: theme.font, size: 13, color: theme.ink },
      margin: { l: 56, r: 14, t: 26, b: 44 }, hovermode: "closest", showlegend: true, uirevision: "kept",
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      hoverlabel: { bgcolor: theme.panel, bordercolor: theme.line, font: { color: theme.ink, family: theme.font }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.muted, activecolor: theme.ink },
      ...more,
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key)))
      layout[name] = { ...axis, ...(layout[name].type === "log" && { nticks: 4 }), ...layout[name], title: { ...axis.title, ...layout[name].title } };
    return layout;
  }

  function dots(store, ends, x, y, more) {
    return {
      type: "scatter", mode: "markers", x: pick(x, ends), y: pick(y, ends), customdata: Array.from(ends),
      text: Array.from(ends, (e) => hover(store, e)), hovertemplate: "%{text}<extra></extra>", ...more,
    };
  }
  const ring = (theme, ends, store, x, y, name) =>
    dots(store, ends, x, y, { name, marker: { size: ends.length > 3 ? 7 : 9, color: theme.best, line: { width: 1.5, color: theme.paper } } });
  const cross = (theme) => ({ size: 7, symbol: "x-thin", color: theme.muted, line: { width: 1.2, color: theme.muted } });

  const bestName = (store) => (store.about.metrics.filter((_, m) => store.isObjective(m)).length > 1 ? "front" : "best");

  function bound(store, metric, theme, axis = "y") {
    const each = store.about.metrics[metric];
    if (each.bound === undefined) return {};
    const line = axis === "y" ? { x0: 0, x1: 1, xref: "paper", y0: each.bound, y1: each.bound } : {};
    return { shapes: [{ type: "line", ...line, line: { color: theme.best, width: 1.5, dash: "dash" } }] };
  }

  const FIGURES = [
    {
      id: "history", title: "History", wide: true,
      draw({ store, theme, metric, view }) {
        const ends = store.complete(metric), feasible = store.ends.feasible.all;
        const x = store.ends.place.all, y = store.values[metric].all, sign = store.signOf(metric);
        const type = readsBetterLog(pick(y, ends)) ? "log" : "linear", height = scaled(y, type);
        const good = store.feasible(metric), broken = only(ends, (e) => !feasible[e]);
        const best = [];
        for (const e of good) if (!best.length || sign * y[e] < sign * y[best.at(-1)]) best.push(e);
        const shown = thin(good, x, height, { view, first: store.isObjective(metric) ? best : [] });
        const crosses = thin(broken, x, height, { view, most: 800 });
        const name = store.about.metrics[metric].name;
        const traces = [dots(store, shown, x, y, { name: "trials", marker: { size: 5, color: theme.good, opacity: 0.45 } })];
        if (broken.length) traces.push(dots(store, crosses, x, y, { name: "breaks a bound", marker: cross(theme) }));
        let note = `${count(ends.length)} complete trials.`;
        if (store.isObjective(metric) && best.length) {
          const last = best.at(-1);
          traces.push({
            type: "scatter", mode: "lines", name: "best so far", hoverinfo: "skip", x: [...pick(x, best), x[x.length - 1]],
            y: [...pick(y, best), y[last]], line: { shape: "hv", color: theme.best, width: 2.5 },
          });
          note += ` Best ${name}: ${amount(y[last])}, trial ${store.numberOf(store.ends.trial.all[last])}, after ${count(x[last])} finished trials.`;
        }
        note += drawnOf(shown.length + crosses.length, ends.length);
        return {
          traces, note,
          layout: base(theme, {
            xaxis: { title: { text: "finished trials" }, rangemode: "tozero" },
            yaxis: { title: { text: label(name) }, type }, ...bound(store, metric, theme),
          }),
        };
      },
    },
    {
      id: "importance", title: "Importance of parameters",
      applies: (store) => store.params.length > 1,
      draw({ store, theme, metric }) {
        const weight = store.found.importance[metric];
        if (!weight) return { empty: "Too few trials, or all of them equally good." };
        const shown = store.ordered(metric).slice(0, MOST_BARS).reverse();
        const names = shown.map((p) => label(store.about.parameters[p].name));
        return {
          traces: [{
            type: "bar", orientation: "h", x: shown.map((p) => weight[p]), y: [...shown.keys()], marker: { color: theme.good },
            text: shown.map((p) => ` ${(100 * weight[p]).toFixed(1)} %`), textposition: "outside", cliponaxis: false,
            hovertemplate: "%{text}<extra></extra>",
          }],
          layout: base(theme, {
            showlegend: false, margin: { l: 56, r: 56, t: 26, b: 44 },
            xaxis: { title: { text: `importance for ${label(store.about.metrics[metric].name)}` }, tickformat: ".0%", rangemode: "tozero" },
            yaxis: { tickmode: "array", tickvals: [...shown.keys()], ticktext: names },
          }),
          note: `What sets the best tenth of the trials apart from the others (PED-ANOVA).${shown.length < store.params.length
            ? ` The ${shown.length} most important of ${store.params.length} parameters.` : ""}`,
        };
      },
    },
    {
      id: "edf", title: "Distribution of results",
      draw({ store, theme, metric }) {
        const sorted = store.sorted(metric), n = sorted.length;
        if (!n) return { empty: "No complete trial keeps all bounds." };
        const at = everySo([...Array(n).keys()], 1000);
        const type = readsBetterLog(sorted) ? "log" : "linear";
        return {
          traces: [{
            type: "scatter", mode: "lines", x: pick(sorted, at), y: at.map((i) => (i + 1) / n), line: { shape: "hv", color: theme.good, width: 2.2 },
            hovertemplate: "%{y:.1%} of the trials have at most %{x:.5g}<extra></extra>",
          }],
          layout: base(theme, {
            showlegend: false, xaxis: { title: { text: label(store.about.metrics[metric].name) }, type },
            yaxis: { title: { text: "share of trials" }, tickformat: ".0%", range: [0, 1.02] },
          }),
          note: `The share of ${count(n)} complete trials whose value is at most that of the horizontal axis.`,
        };
      },
    },
    {
      id: "slice", title: "Results against parameters", wide: true,
      controls: (store) => ({ parameter: ["the most important", ...store.about.parameters.map((each) => each.name)] }),
      draw({ store, theme, metric, choice, width, view }) {
        const single = choice.parameter > 0;
        const ends = store.feasible(metric), order = store.ends.place.all;
        const shown = single ? [choice.parameter - 1]
          : store.ordered(metric).filter((p) => has(store, [p], ends, 1)).slice(0, MOST_PANELS);
        if (!shown.length || (single && !has(store, shown, ends, 1))) return { empty: "No complete trial has this parameter." };
        const columns = single || width < 520 ? 1 : Math.min(shown.length, width < 900 ? 2 : 3);
        const rows = Math.ceil(shown.length / columns), y = store.values[metric].all;
        const type = readsBetterLog(pick(y, ends)) ? "log" : "linear", height = scaled(y, type);
        const traces = [], axes = {};
        let drawn = 0, all = 0;
        shown.forEach((p, k) => {
          const at = k ? k + 1 : "", x = spread(store, p), axis = parameterAxis(store, p);
          const own = only(ends, (e) => !Number.isNaN(x[e])), best = store.best.filter((e) => !Number.isNaN(x[e]));
          const options = { most: Math.max(400, MOST_DOTS / shown.length), first: best, view: single ? view : {} };
          const some = thin(own, scaled(x, axis.type), height, options);
          drawn += some.length;
          all += own.length;
          traces.push(dots(store, some, x, y, {
            name: "trials", xaxis: `x${at}`, yaxis: `y${at}`, showlegend: false,
            marker: { size: 5, opacity: 0.6, color: pick(order, some), coloraxis: "coloraxis" },
          }));
          traces.push({ ...ring(theme, best, store, x, y, bestName(store)), xaxis: `x${at}`, yaxis: `y${at}`, showlegend: false });
          const [i, j] = [k % columns, Math.floor(k / columns)], gap = 0.08, between = 62 / (250 * rows);
          const w = (1 - gap * (columns - 1)) / columns, h = (1 - between * (rows - 1)) / rows;
          axes[`xaxis${at}`] = { ...axis, domain: [i * (w + gap), i * (w + gap) + w], anchor: `y${at}` };
          const down = 1 - j * (h + between);
          axes[`yaxis${at}`] = {
            type, domain: [down - h, down], anchor: `x${at}`, ...(k && { matches: "y" }),
            title: { text: i ? "" : label(store.about.metrics[metric].name) },
          };
        });
        return {
          traces, height: single ? 360 : 60 + 250 * rows,
          layout: base(theme, {
            ...axes, showlegend: false, margin: { l: 56, r: 14, t: 12, b: 44 },
            coloraxis: { colorscale: theme.scale, reversescale: !theme.night, colorbar: { title: { text: "order" }, thickness: 10, outlinewidth: 0 } },
          }),
          note: `Large dots: ${bestName(store)}. Trials in which a parameter is inactive are left out of its panel.`
            + drawnOf(drawn, all),
        };
      },
      applies: (store) => store.params.length > 0,
    },
    {
      id: "contour", title: "Contour", controls: pairControls, applies: (store) => store.params.length > 1,
      draw({ store, theme, metric, choice, view }) {
        const pair = paired(store, metric, choice), { ends, x, y, xaxis, yaxis } = pair;
        if (ends.length < FEWEST) return { empty: "Too few complete trials have both parameters." };
        const fitted = surfaceOf(store, metric, pair), surface = fitted || interpolated(store, metric, pair), best = store.best.filter((e) => ends.includes(e));
        const some = thin(ends, scaled(x, xaxis.type), scaled(y, yaxis.type), { most: 600, first: best, view });
        return {
          traces: [
            {
              type: "contour", x: surface.x, y: surface.y, z: surface.z, colorscale: theme.scale, reversescale: (store.signOf(metric) > 0) === theme.night, ncontours: 14, line: { width: 0.4 },
              contours: { coloring: "fill" }, hoverinfo: "skip", opacity: 0.9, colorbar: { thickness: 10, outlinewidth: 0 }, showlegend: false,
            },
            dots(store, some, x, y, { name: "trials", marker: { size: 4, color: theme.ink, opacity: 0.55 } }),
            ring(theme, best, store, x, y, bestName(store)),
          ],
          layout: base(theme, { xaxis, yaxis, showlegend: false }),
          note: fitted
            ? `The surface is what a Gaussian process of these two parameters expects, fitted to ${count(fitted.fitted)} trials.`
            : `The surface is a mean of ${count(Math.min(ends.length, NEAREST))} trials, weighted by their distance: a guide for the eye.`,
        };
      },
    },
    {
      id: "rank", title: "Ranks", controls: pairControls, applies: (store) => store.params.length > 1,
      draw({ store, theme, metric, choice, view }) {
        const { ends, x, y, xaxis, yaxis } = paired(store, metric, choice);
        if (!ends.length) return { empty: "No complete trial has both parameters." };
        const rank = ranks(store, metric);
        const some = thin(ends, scaled(x, xaxis.type), scaled(y, yaxis.type), { view });
        return {
          traces: [dots(store, some, x, y, {
            marker: {
              size: 6, color: mapped(some, rank), colorscale: theme.scale, reversescale: theme.night, cmin: 0, cmax: 1,
              colorbar: { thickness: 10, outlinewidth: 0, tickvals: [0, 0.25, 0.5, 0.75, 1], ticktext: ["best", "25 %", "50 %", "75 %", "worst"] },
            },
          })],
          layout: base(theme, { xaxis, yaxis, showlegend: false }),
          note: `Colour is the rank among all complete trials.${drawnOf(some.length, ends.length)}`,
        };
      },
    },
    {
      id: "parallel", title: "Parallel coordinates", wide: true, applies: (store) => store.params.length > 0,
      controls: () => ({ show: SHARES.map((share) => (share < 1 ? `the best ${100 * share} %` : "all")) }),
      draw({ store, theme, metric, choice, width }) {
        const ends = store.feasible(metric), rank = ranks(store, metric), value = store.values[metric].all;
        const kept = choice.show ? only(ends, (e) => rank(e) <= SHARES[choice.show]) : ends;
        const some = [...new Set([...everySo(kept, MOST_LINES), ...store.best])].sort((a, b) => rank(b) - rank(a));
        if (!some.length) return { empty: "No complete trial keeps all bounds." };
        const type = readsBetterLog(pick(value, ends)) ? "log" : "linear", name = label(store.about.metrics[metric].name);
        const shown = store.ordered(metric).slice(0, Math.max(2, Math.min(MOST_AXES, Math.floor(width / 110) - 1)));
        const axes = [...shown.map((p) => parallelAxis(store, p, ends)),
          { name, ...shares(scaled(pick(value, some), type), type), along: scaled(value, type) }];
        const lines = theme.colours.map((colour) => ({ colour, x: [], y: [], text: [] })), n = lines.length;
        const best = { colour: theme.best, x: [], y: [], text: [] }, first = new Set(store.best);
        for (const e of some) {
          const line = first.has(e) ? best : lines[Math.min(n - 1, Math.floor(rank(e) / SHARES[choice.show] * n))];
          axes.forEach((axis, k) => { line.x.push(k); line.y.push(axis.shareOf(axis.along[e])); line.text.push(hover(store, e)); });
          line.x.push(null); line.y.push(null); line.text.push("");
        }
        return {
          traces: [...lines.reverse(), best].filter((each) => each.x.length).map((each) => ({
            type: "scatter", mode: "lines", x: each.x, y: each.y, text: each.text, hovertemplate: "%{text}<extra></extra>",
            line: { color: each.colour, width: each !== best ? 1 : first.size > 3 ? 1.5 : 3 }, opacity: each === best ? 0.9 : 0.6,
          })),
          layout: base(theme, {
            showlegend: false, margin: { l: 20, r: 60, t: 40, b: 12 },
            xaxis: {
              range: [-0.15, axes.length - 0.6], tickmode: "array", tickvals: [...axes.keys()], ticktext: axes.map((axis) => axis.name), side: "top",
              gridcolor: theme.muted, showgrid: true, fixedrange: true, tickangle: 0, ticklen: 0,
            },
            yaxis: { visible: false, range: [-0.2, 1.05] },
            annotations: axes.flatMap((axis, k) => axis.ticks.map(([share, text]) => ({
              x: k, y: share, text, showarrow: false, xanchor: "left", xshift: 3, font: { size: 11, color: theme.ink }, bgcolor: theme.veil, borderpad: 0,
            }))),
          }),
          note: `${count(some.length)} of ${count(ends.length)} complete trials`
            + `${shown.length < store.params.length ? `, the ${shown.length} most important of ${store.params.length} parameters` : ""}; `
            + `orange: ${bestName(store)}, ${theme.night ? "bright" : "dark"}: good.`,
        };
      },
    },
    {
      id: "timeline", title: "Timeline", wide: true, early: true, applies: (store) => store.found.timeline.all > 0,
      draw({ store, theme }) {
        const found = store.found.timeline;
        const [number, state, start, end] = ["number", "state", "start", "end"].map((name) => decoded(found[name]));
        const [, last] = extent(end.map((at, i) => (Number.isNaN(at) ? start[i] : at)));
        const now = store.live ? Math.max(last, Date.now() / 1000 - found.origin) : last;
        const shortest = Math.max(now / 400, 1e-3); // that can be seen; dates are whole milliseconds
        const at = (seconds) => new Date(1000 * (found.origin + seconds));
        const traces = STATES.map((name, s) => {
          const x = [], y = [];
          state.forEach((each, i) => {
            if (each !== s) return;
            x.push(at(start[i]), at(Math.max(Number.isNaN(end[i]) ? now : end[i], start[i] + shortest)), null);
            y.push(number[i], number[i], null);
          });
          return {
            type: "scatter", mode: "lines", name, x, y, connectgaps: false, line: { width: number.length > 200 ? 1.5 : 4, color: theme.states[s] },
            hovertemplate: "trial %{y}, %{x}<extra></extra>", visible: x.length > 0,
          };
        });
        return {
          traces, layout: base(theme, { xaxis: { type: "date" }, yaxis: { title: { text: "trial" } } }),
          note: found.all > number.length ? `${count(number.length)} of ${count(found.all)} trials, evenly.` : "",
        };
      },
    },
    {
      id: "curves", title: "Learning curves", wide: true, early: true, applies: (store) => Boolean(store.found.curves?.length),
      draw({ store, theme, metric }) {
        const found = store.found.curves.find((each) => each.metric === metric);
        if (!found) return { empty: "Nothing was reported for this metric." };
        const [number, state, start, step, value] = ["number", "state", "start", "step", "value"].map((name) => decoded(found[name]));
        const best = new Set(store.best.map((e) => store.numberOf(store.ends.trial.all[e])));
        const lines = [...STATES.map((name, s) => ({ name, colour: theme.states[s], width: 1.1, opacity: 0.5 })),
          { name: bestName(store), colour: theme.best, width: 3, opacity: 1 }].map((each) => ({ ...each, x: [], y: [], text: [] }));
        number.forEach((n, k) => {
          const line = lines[best.has(n) ? STATES.length : state[k]];
          for (let i = start[k]; i < start[k + 1]; i++) { line.x.push(step[i]); line.y.push(value[i]); line.text.push(`trial ${n}`); }
          line.x.push(null); line.y.push(null); line.text.push("");
        });
        const [, last] = extent(step), type = readsBetterLog(value) ? "log" : "linear";
        const shapes = found.rungs.map((depth) => ({
          type: "line", x0: depth, x1: depth, yref: "paper", y0: 0, y1: 1, line: { color: theme.muted, width: 1, dash: "dot" },
        }));
        return {
          traces: lines.filter((each) => each.x.length).map((each) => ({
            type: "scatter", mode: last > 1 ? "lines" : "markers", name: each.name, x: each.x, y: each.y, text: each.text, opacity: each.opacity,
            line: { color: each.colour, width: each.width }, hovertemplate: "%{text}, after %{x}: %{y:.5g}<extra></extra>",
          })),
          layout: base(theme, {
            xaxis: { title: { text: "steps done" } }, shapes,
            yaxis: { title: { text: label(store.about.metrics[metric].name) }, type },
          }),
          note: (number.length < found.all ? `${count(number.length)} of ${count(found.all)} curves, of each outcome as many as of any other. ` : "")
            + (shapes.length ? "Dotted: the steps at which trials were stopped or paused." : ""),
        };
      },
    },
    {
      id: "front", title: "Front", controls: frontControls, applies: (store) => objectives(store).length > 1,
      draw({ store, theme, choice, view }) {
        const all = objectives(store), pairs = frontPairs(all), [a, b] = pairs[choice.objectives] || pairs[0];
        const x = store.values[a].all, y = store.values[b].all, feasible = store.ends.feasible.all;
        const ends = only(store.complete(a), (e) => Number.isFinite(y[e])), front = store.best;
        const types = [x, y].map((values) => (readsBetterLog(pick(values, ends)) ? "log" : "linear"));
        const [across, up] = [scaled(x, types[0]), scaled(y, types[1])], on = new Set(front);
        const dominated = only(ends, (e) => feasible[e] && !on.has(e)), broken = only(ends, (e) => !feasible[e]);
        const shown = thin(dominated, across, up, { view }), crosses = thin(broken, across, up, { view, most: 800 });
        const line = [...front].sort((i, j) => x[i] - x[j]);
        const steps = store.signOf(a) === store.signOf(b) && store.signOf(a) > 0 ? "hv" : "vh";
        const traces = [dots(store, shown, x, y, { name: "dominated", marker: { size: 5, color: theme.good, opacity: 0.45 } })];
        if (broken.length) traces.push(dots(store, crosses, x, y, { name: "breaks a bound", marker: cross(theme) }));
        traces.push(dots(store, line, x, y, {
          name: "front", mode: all.length === 2 ? "lines+markers" : "markers", line: { shape: steps, color: theme.best, width: 1.5 },
          marker: { size: 8, color: theme.best },
        }));
        const goal = (m) => `${label(store.about.metrics[m].name)} (${store.about.metrics[m].kind}d)`;
        return {
          traces,
          layout: base(theme, { xaxis: { title: { text: goal(a) }, type: types[0] }, yaxis: { title: { text: goal(b) }, type: types[1] } }),
          note: `${count(front.length)} trials are on the front.${drawnOf(shown.length + crosses.length, dominated.length + broken.length)}`,
        };
      },
    },
    {
      id: "hypervolume", title: "Hypervolume", applies: (store) => Boolean(store.found.hypervolume),
      draw({ store, theme }) {
        const found = store.found.hypervolume, place = decoded(found.place), value = decoded(found.value);
        const ends = store.ends.place.all;
        const x = [0, ...place, ends[ends.length - 1]], y = [0, ...value, value.length ? value.at(-1) : 0];
        const point = Object.entries(found.reference).map(([name, at]) => `${name} ${amount(at)}`).join(", ");
        return {
          traces: [{ type: "scatter", mode: "lines", x, y, line: { shape: "hv", color: theme.good, width: 2.2 }, hovertemplate: "%{y:.5g} after %{x}<extra></extra>" }],
          layout: base(theme, {
            showlegend: false, xaxis: { title: { text: "finished trials" }, rangemode: "tozero" },
            yaxis: { title: { text: "hypervolume" }, rangemode: "tozero" },
          }),
          note: `Up to the reference ${point}.`,
        };
      },
    },
  ];

  const objectives = (store) => store.about.metrics.map((_, m) => m).filter((m) => store.isObjective(m));
  const frontPairs = (all) => all.flatMap((a, i) => all.slice(i + 1).map((b) => [a, b]));

  function frontControls(store) {
    const pairs = frontPairs(objectives(store)), name = (m) => store.about.metrics[m].name;
    return pairs.length > 1 ? { objectives: pairs.map(([a, b]) => `${name(a)} and ${name(b)}`) } : {};
  }

  function pairControls(store) {
    const names = store.about.parameters.map((each) => each.name);
    return { across: ["the most important", ...names], up: ["the next", ...names] };
  }

  // Whether all of some parameters are active in at least `fewest` of some trials.
  function has(store, parameters, ends, fewest) {
    const along = parameters.map((p) => store.along(p));
    let found = 0;
    for (let i = 0; i < ends.length && found < fewest; i++)
      if (along.every((values) => !Number.isNaN(values[ends[i]]))) found++;
    return found >= fewest;
  }

  function paired(store, metric, choice) {
    const order = store.ordered(metric), all = store.feasible(metric), enough = (...p) => has(store, p, all, FEWEST);
    const first = (taken, fits) => order.find((p) => p !== taken && fits(p)) ?? order.find((p) => p !== taken);
    const a = choice.across > 0 ? choice.across - 1 : first(choice.up - 1, (p) => enough(p));
    const b = choice.up > 0 ? choice.up - 1 : first(a, (p) => enough(a, p));
    const x = spread(store, a), y = spread(store, b, SILVER), ends = only(all, (e) => !Number.isNaN(x[e]) && !Number.isNaN(y[e]));
    return { a, b, ends, x, y, xaxis: parameterAxis(store, a), yaxis: parameterAxis(store, b) };
  }

  // The rank of an end among feasible trials: 0 for the best, 1 for the worst, equals share their mean.
  function ranks(store, metric) {
    const sorted = store.sorted(metric), value = store.values[metric].all, sign = store.signOf(metric), n = sorted.length;
    const bound = (at, above) => {
      let low = 0, high = n;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle] < at || (above && sorted[middle] === at)) low = middle + 1; else high = middle;
      }
      return low;
    };
    return (e) => {
      const rank = (bound(value[e], false) + bound(value[e], true) - 1) / 2;
      return (sign > 0 ? rank : n - 1 - rank) / Math.max(n - 1, 1);
    };
  }

  // The surface that came with the data, if this pair has one.
  function surfaceOf(store, metric, { a, b }) {
    const found = (store.found.contours || []).find((each) => each.metric === metric && each.pair.includes(a) && each.pair.includes(b));
    if (!found) return null;
    const [x, y, mean] = [found.x, found.y, found.mean].map(decoded);
    const rows = Array.from(y, (_, j) => Array.from(x, (_, i) => mean[j * x.length + i]));
    if (found.pair[0] === a) return { x: [...x], y: [...y], z: rows, fitted: found.fitted };
    return { x: [...y], y: [...x], z: Array.from(x, (_, i) => rows.map((row) => row[i])), fitted: found.fitted };
  }

  // A surface over two parameters: at each node the mean of trials, weighted by the inverse fourth power of
  // their distance, both ranges taken as 1.
  function interpolated(store, metric, { a, b, ends, xaxis, yaxis }) {
    const some = everySo(ends, NEAREST), value = store.values[metric].all;
    const z = pick(readsBetterLog(pick(value, some)) ? scaled(value, "log") : value, some);
    const [u, v] = [[a, xaxis], [b, yaxis]].map(([p, axis]) => nodes(store, p, axis, some));
    const z2 = v.node.map((at, j) => u.node.map((_, i) => {
      let total = 0, weight = 0;
      for (let k = 0; k < some.length; k++) {
        const d = (u.share[k] - u.at[i]) ** 2 + (v.share[k] - v.at[j]) ** 2 + 1e-4, w = 1 / (d * d);
        total += w * z[k];
        weight += w;
      }
      return total / weight;
    }));
    return { x: u.node, y: v.node, z: z2 };
  }

  function nodes(store, p, axis, some) {
    const values = scaled(store.along(p), axis.type), own = pick(values, some), { levels } = store.about.parameters[p];
    const [low, high] = levels ? [0, levels.length - 1] : extent(own), range = high - low || 1;
    const n = levels ? Math.min(levels.length, GRID) : GRID;
    const at = Array.from({ length: n }, (_, i) => (n > 1 ? i / (n - 1) : 0));
    const node = at.map((share) => (axis.type === "log" ? 10 ** (low + share * range) : low + share * range));
    return { node, at, share: own.map((value) => (value - low) / range) };
  }

  // An axis of parallel coordinates; an inactive parameter has a place of its own below the others.
  function parallelAxis(store, p, ends) {
    const each = store.about.parameters[p], along = scaled(store.along(p), each.log ? "log" : "linear");
    const present = pick(along, ends).filter(Number.isFinite);
    const axis = each.levels
      ? shares([0, each.levels.length - 1], "linear", everySo([...each.levels.keys()], MANY_LEVELS).map((at) => [at, label(each.levels[at])]))
      : shares(present, each.log ? "log" : "linear");
    if (present.length < ends.length) axis.ticks.push([INACTIVE, "inactive"]);
    return { name: label(each.name), along, ...axis };
  }

  // From values, already scaled, to shares of their range, and ticks: [share, text].
  function shares(values, type, marks) {
    const [low, high] = values.length ? extent(values) : [0, 0], range = high - low;
    const shareOf = (value) => (Number.isNaN(value) ? INACTIVE : range > 0 ? (value - low) / range : 0.5);
    const at = range > 0 ? [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * range) : [low];
    const told = (value) => String(Number((type === "log" ? 10 ** value : value).toPrecision(3)));
    return { shareOf, ticks: (marks || at.map((value) => [value, told(value)])).map(([value, text]) => [shareOf(value), text]) };
  }

  return { STATES, FIGURES, Store, decoded, amount, count, valueOf, objectives, everySo };
})();
