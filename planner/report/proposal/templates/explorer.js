"use strict";
// The search's own choice, on the runs that the page holds: the same sums in the same order, so the same figures.
(function () {
  const data = JSON.parse(document.getElementById("plans").textContent);
  const words = data.words;
  const DAY = 86400, HOUR = 3600;

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, key) => key in values ? String(values[key]) : all);
  const group = (x, digits) => x.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const days = seconds => { const d = seconds / DAY; return group(d, d >= 100 ? 0 : d >= 10 ? 1 : 2); };
  const usd = x => group(x, Math.abs(x) >= 100 ? 0 : 2);
  const percent = x => fill(words.percent, { n: Math.round(x * 1000) / 10 });
  const signed = (x, text) => (x > 0 ? "+" : x < 0 ? "−" : "±") + text;

  function paid(pool, seconds) {
    if (pool.paid[3]) return pool.paid[0] + pool.paid[3] * Math.max(seconds - pool.paid[0], 0);
    let time = Math.max(seconds, pool.paid[0]);
    for (const size of [pool.paid[1], pool.paid[2]]) if (size) time = Math.max(Math.ceil(time / size - 1e-9), 1) * size;
    return time;
  }
  function cost(run, pool, usdPerHour, seconds) {
    let total = usdPerHour * (paid(pool, seconds) / HOUR);
    if (run.storage_usd_per_s) total += run.storage_usd_per_s * seconds;
    if (run.egress_usd) total += run.egress_usd;
    return total;
  }
  function value(run, time, money) {
    if (run.objective === "time") return time;
    if (run.objective === "usd_per_day") return run.usd_per_day / DAY * time + money;
    return money;
  }
  function before(a, b) {
    for (const key of ["value", "cost", "time", "gpus", "batch"]) if (a[key] !== b[key]) return a[key] < b[key];
    return a.offer.id < b.offer.id;
  }
  // What the rows of numbers at `changes` are between them, at `x`; one row alone is of every x.
  function between(changes, rows, x) {
    if (rows.length === 1) return rows[0];
    let i = 1;
    while (i < changes.length - 1 && x >= changes[i]) i += 1;
    const part = (x - changes[i - 1]) / (changes[i] - changes[i - 1]);
    return rows[i].map((y, n) => rows[i - 1][n] + part * (y - rows[i - 1][n]));
  }
  // Every run on every offer under these terms; `visit` sees each with whether it keeps the limits.
  function each(run, terms, visit) {
    const level = 5 + run.levels.indexOf(terms.confidence);
    for (const offer of run.offers) {
      for (const number of offer.pools) {
        const pool = run.pools[number];
        for (const [at, cell] of pool.cells.entries()) {
          if (cell[0] < offer.low || cell[0] > offer.high) continue;
          const rate = offer.price * terms.price * cell[cell.length - 1], time = cell[4], sure = cell[level];
          // Where a spot price is spread, each probability has a price of its own.
          const factors = offer.factors ? between(run.changes, offer.factors[number][at], terms.price) : null;
          const half = factors ? rate * factors[0] : rate, dear = factors ? rate * factors[level - 4] : rate;
          const plan = { offer, pool, gpus: cell[1], batch: cell[2], layout: cell[3], time, sure, cost: cost(run, pool, half, time), sureCost: cost(run, pool, dear, sure) };
          plan.value = value(run, time, plan.cost);
          plan.ends = sure + (pool.wait || 0);
          plan.late = terms.time_s !== null && plan.ends > terms.time_s;
          plan.dear = terms.cost_usd !== null && plan.sureCost > terms.cost_usd;
          visit(plan);
        }
      }
    }
  }
  function best(run, terms) {
    let found = null, near = null, stays = null, miss = Infinity;
    each(run, terms, plan => {
      if (!plan.late && !plan.dear) {
        if (found === null || before(plan, found)) found = plan;
        if (plan.offer.id === run.asked.offer && plan.pool === run.pools[run.asked.pool] && plan.gpus === run.asked.gpus) stays = plan;
        return;
      }
      const over = Math.max(terms.time_s === null ? 0 : plan.ends / terms.time_s, terms.cost_usd === null ? 0 : plan.sureCost / terms.cost_usd);
      if (over < miss) { miss = over; near = plan; }
    });
    // The plan asked for stays while it gives up no more than its simpler layout does.
    if (stays && run.asked.given_up > 0 && stays.value <= found.value * (1 + run.asked.given_up) * (1 + 1e-9)) found = stays;
    return { plan: found, near };
  }
  const cluster = plan => fill(words.ui_cluster, { gpus: group(plan.gpus, 0), gpu: plan.pool.gpu, place: plan.offer.own ? plan.offer.id.split("/")[1] : plan.offer.cloud, kind: plan.offer.kind });

  // Drawing.
  const NS = "http://www.w3.org/2000/svg", W = 640, H = 300, L = 58, R = 14, T = 48, B = 42;
  function el(parent, name, attributes, text) {
    const e = document.createElementNS(NS, name);
    for (const key in attributes) e.setAttribute(key, attributes[key]);
    if (text !== undefined) e.textContent = text;
    parent.appendChild(e);
    return e;
  }
  // What tells points apart: accelerator and kind of price, what all share left out.
  function called(run, shown) {
    const kinds = new Set(shown.map(p => p.offer.kind)), gpus = new Set(shown.map(p => p.pool.gpu));
    const text = (gpu, kind) => kinds.size < 2 ? gpu : gpus.size < 2 ? kind : fill(words.ui_gpu_kind, { gpu, kind });
    const every = run.offers.flatMap(offer => offer.pools.map(n => text(run.pools[n].gpu, offer.kind)));
    return { all: [...new Set(every)].sort(), of: p => text(p.pool.gpu, p.offer.kind) };
  }
  function draw(svg, run, terms, answer) {
    while (svg.firstChild) svg.removeChild(svg.firstChild);
    const all = [];
    each(run, terms, plan => all.push(plan));
    all.sort((a, b) => a.time - b.time || a.cost - b.cost);
    const line = []; let least = Infinity;
    for (const plan of all) if (plan.cost < least) { line.push(plan); least = plan.cost; }
    const main = answer.plan || answer.near || line[0];
    if (!main) return;
    // The scale is that of the points, around the best one and the ask; a limit beyond them is named at the edge.
    const far = 3 * Math.max(main.time, run.asked.time_s), quick = all.find(p => !p.late && !p.dear);
    const tall = Math.max(2 * main.cost, 2 * run.asked.cost_usd, quick ? 1.05 * quick.cost : 0);
    const shown = line.filter(p => p.time <= far && p.cost <= tall);
    const drawn = [main, ...shown], per = Math.max(...drawn.map(p => p.cost)) >= 1e4 ? 1000 : 1;
    const across = plane.axis(drawn.map(p => p.time / DAY), terms.time_s === null ? null : terms.time_s / DAY);
    const up = plane.axis(drawn.map(p => p.cost / per), terms.cost_usd === null ? null : terms.cost_usd / per);
    const x = t => L + (W - L - R) * across.share(t / DAY), y = c => H - B - (H - T - B) * up.share(c / per);
    const late = across.limit !== null, dear = up.limit !== null;
    let last = Infinity;
    for (const c of plane.ticks(up, 5)) {
      if (last - y(c * per) < 14) continue;
      last = y(c * per);
      el(svg, "path", { class: "grid-line", d: `M${L} ${y(c * per)}L${W - R} ${y(c * per)}`, fill: "none" });
      el(svg, "text", { class: "soft", x: L - 6, y: y(c * per) + 4, "text-anchor": "end", "font-size": 12 }, group(c, c % 1 ? c < 1 ? 2 : 1 : 0));
    }
    last = -99;
    for (const d of plane.ticks(across, 8)) {
      const at = x(d * DAY);
      if (at - last < 34) continue;
      last = at;
      el(svg, "path", { class: "soft-line", d: `M${at} ${H - B}v4`, fill: "none" });
      el(svg, "text", { class: "soft", x: at, y: H - B + 17, "text-anchor": "middle", "font-size": 12 }, String(d));
    }
    const title = (name, axis) => words[axis.log ? name + "_log" : name];
    el(svg, "text", { class: "ink", x: W - R, y: H - 6, "text-anchor": "end", "font-size": 12 }, title("ui_axis_days", across));
    el(svg, "text", { class: "ink", x: 4, y: 32, "font-size": 12 }, title(per > 1 ? "ui_axis_kusd" : "ui_axis_usd", up));
    const name = (x, y, text, end) => el(svg, "text", { class: "ink", x, y, "text-anchor": end ? "end" : "start", "font-size": 12 }, text);
    if (late) el(svg, "path", { class: "limit-line", d: `M${x(terms.time_s)} ${T}V${H - B}`, "stroke-dasharray": "5 3", fill: "none" });
    if (terms.time_s !== null) name(late ? Math.max(x(terms.time_s), 190) : W - R, T - 4, fill(words.ui_limit_days, { days: days(terms.time_s) }) + (late ? "" : across.end ? " →" : " ←"), true);
    if (dear) el(svg, "path", { class: "limit-line", d: `M${L} ${y(terms.cost_usd)}H${W - R}`, "stroke-dasharray": "5 3", fill: "none" });
    const end = late && x(terms.time_s) > W / 2 ? x(terms.time_s) - 6 : W - R; // not across the other limit's line
    if (terms.cost_usd !== null) name(end, dear ? y(terms.cost_usd) + (y(terms.cost_usd) < T + 16 ? 14 : -5) : up.end ? T + 12 : H - B - 6, fill(words.ui_limit_usd, { usd: usd(terms.cost_usd) }) + (dear ? "" : up.end ? " ↑" : " ↓"), true);
    let path = "";
    for (const p of shown) path += path ? `H${x(p.time)}V${y(p.cost)}` : `M${x(p.time)} ${y(p.cost)}`;
    el(svg, "path", { class: "soft-line", d: path, fill: "none" });
    const names = called(run, shown), colour = name => "c" + names.all.indexOf(name) % data.palette.length;
    for (const p of shown) {
      const dot = el(svg, "circle", { class: colour(names.of(p)), cx: x(p.time), cy: y(p.cost), r: 2.6, opacity: p.late || p.dear ? 0.35 : 1 });
      el(dot, "title", {}, cluster(p));
    }
    let legend = W - R;
    for (const name of [...new Set(shown.map(names.of))].sort().reverse()) {
      const label = el(svg, "text", { class: "ink", x: legend, y: 13, "text-anchor": "end", "font-size": 12 }, name);
      legend -= label.getComputedTextLength() + 9;
      el(svg, "circle", { class: colour(name), cx: legend, cy: 9, r: 4 });
      legend -= 16;
    }
    el(svg, "circle", { class: "ink-line", cx: x(main.time), cy: y(main.cost), r: 7, fill: "none", "stroke-width": 2, "stroke-dasharray": answer.plan ? "none" : "2 2" });
  }

  // Controls.
  function control(box, run, name, label, low, high, step, start, allowNone) {
    const id = `what-if-${name}-${run.number}`;
    const wrap = document.createElement("div"); wrap.className = "control";
    const caption = document.createElement("label"); caption.htmlFor = id; caption.textContent = label;
    const number = document.createElement("input");
    number.type = "number"; number.id = id; number.min = low; number.step = "any"; number.inputMode = "decimal";
    if (start !== null) number.value = start;
    if (allowNone) number.placeholder = words.ui_none;
    const slider = document.createElement("input");
    slider.type = "range"; slider.min = low; slider.max = high; slider.step = step; slider.value = start === null ? high : start;
    slider.setAttribute("aria-label", label);
    wrap.append(caption, number, slider); box.append(wrap);
    return {
      read() { const v = parseFloat(number.value); return number.value === "" || !isFinite(v) ? null : v; },
      reset() { number.value = start === null ? "" : start; slider.value = start === null ? high : start; },
      listen(change) {
        number.addEventListener("input", () => { if (number.value !== "") slider.value = number.value; change(); });
        slider.addEventListener("input", () => { number.value = slider.value; change(); });
      },
    };
  }
  const tidy = x => +x.toPrecision(12);
  function build(place) {
    const run = data.runs[+place.dataset.run]; run.number = +place.dataset.run;
    const add = (name, text, kind) => { const e = document.createElement(name); if (text) e.textContent = text; if (kind) e.className = kind; place.append(e); return e; };
    const count = run.pools.reduce((sum, pool) => sum + pool.cells.length, 0);
    add("h3", words.ui_explore);
    add("p", fill(words.ui_explore_intro, { cells: group(count, 0) }), "quiet");
    const box = add("div", "", "controls");
    const step = Math.pow(10, Math.max(0, Math.floor(Math.log10(run.reach_cost_usd)) - 2));
    const time = control(box, run, "time", words.ui_deadline, 0.5, tidy(Math.ceil(run.reach_time_s / DAY / 2)), 0.5, run.time_s === null ? null : tidy(run.time_s / DAY), true);
    const budget = control(box, run, "cost", words.ui_budget, step, tidy(Math.ceil(run.reach_cost_usd / 2 / step) * step), step, run.cost_usd === null ? null : tidy(run.cost_usd), true);
    const price = control(box, run, "price", words.ui_price_percent, -50, 100, 5, 0, false);
    const wrap = document.createElement("div"); wrap.className = "control";
    const set = document.createElement("fieldset"), legend = document.createElement("legend"); legend.textContent = words.ui_confidence; set.append(legend);
    const radios = run.levels.map(level => {
      const label = document.createElement("label"), radio = document.createElement("input");
      radio.type = "radio"; radio.name = "what-if-confidence-" + run.number; radio.value = level; radio.checked = level === run.confidence;
      label.append(radio, percent(level)); set.append(label);
      return radio;
    });
    wrap.append(set); box.append(wrap);
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`); svg.setAttribute("role", "img"); svg.setAttribute("aria-label", words.ui_chart);
    const answer = add("p", "", "answer"); answer.setAttribute("role", "status"); answer.setAttribute("aria-live", "polite");
    const detail = add("p", "", "quiet"), against = add("p", "", "quiet");
    const drawing = add("div", "", "drawing"); drawing.append(svg);
    add("p", words.ui_chart, "quiet");
    add("p", fill(words.ui_beyond, { days: days(run.reach_time_s), usd: usd(run.reach_cost_usd) }), "quiet");
    const reset = add("button", words.ui_reset); reset.type = "button";
    function update() {
      const t = time.read(), c = budget.read(), p = price.read();
      const terms = { time_s: t === null ? null : t * DAY, cost_usd: c, price: 1 + (p === null ? 0 : p) / 100, confidence: +radios.find(r => r.checked).value };
      const found = best(run, terms), plan = found.plan;
      answer.dataset.offer = plan ? plan.offer.id : ""; answer.dataset.gpus = plan ? plan.gpus : ""; answer.dataset.time = plan ? plan.time : ""; answer.dataset.cost = plan ? plan.cost : "";
      if (plan) {
        answer.textContent = fill(words.ui_answer, { cluster: cluster(plan), days: days(plan.time), usd: usd(plan.cost), days_sure: days(plan.sure), usd_sure: usd(plan.sureCost), sure: percent(terms.confidence) });
        detail.textContent = fill(words.ui_layout, { offer: plan.offer.name, batch: group(plan.batch, 0), layout: plan.layout });
        const dt = plan.time - run.asked.time_s, dc = plan.cost - run.asked.cost_usd;
        against.textContent = fill(words.ui_difference, { days: signed(Math.abs(dt) < 43 ? 0 : dt, days(Math.abs(dt))), usd: signed(Math.abs(dc) < 0.005 ? 0 : dc, usd(Math.abs(dc))) });
      } else {
        answer.textContent = found.near ? fill(words.ui_nothing, { cluster: cluster(found.near), days: days(found.near.sure), usd: usd(found.near.sureCost) }) : words.ui_nothing_at_all;
        detail.textContent = against.textContent = "";
      }
      draw(svg, run, terms, found);
      svg.setAttribute("aria-label", words.ui_chart + " " + answer.textContent);
    }
    [time, budget, price].forEach(c => c.listen(update));
    radios.forEach(r => r.addEventListener("change", update));
    reset.addEventListener("click", () => { [time, budget, price].forEach(c => c.reset()); radios.forEach(r => { r.checked = +r.value === run.confidence; }); update(); });
    update();
  }
  document.documentElement.classList.add("js");
  document.querySelectorAll(".explorer").forEach(build);
})();
