"use strict";
// Draws the plans that the page holds: which of them, on which axes, is the reader's choice. Nothing is searched again.
(function () {
  const data = JSON.parse(document.getElementById("plans").textContent), plans = data.plans, words = data.words;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, key) => key in values ? String(values[key]) : all);
  const place = document.getElementById("plane"), rows = [...document.querySelectorAll("#all tbody tr")];
  const NS = "http://www.w3.org/2000/svg", H = 400, L = 54, R = 16, T = 34, B = 46;
  const MARKS = ["circle", "triangle", "square", "diamond"];
  const group = (x, digits) => x.toLocaleString("en-US", { minimumFractionDigits: 0, maximumFractionDigits: digits });
  const three = x => x === 0 ? "0" : group(x, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x)))));
  const signed = (x, unit) => (x > 0 ? "+" : x < 0 ? "−" : "±") + three(Math.abs(x)) + " " + unit;

  function make(parent, name, attributes, text) {
    const e = name === "svg" || parent && parent.namespaceURI === NS ? document.createElementNS(NS, name) : document.createElement(name);
    for (const key in attributes || {}) e.setAttribute(key, attributes[key]);
    if (text !== undefined) e.textContent = text;
    if (parent) parent.appendChild(e);
    return e;
  }

  // Controls: a box is there only where it leaves a choice.
  const controls = make(place, "div", { class: "controls" });
  function boxes(title, name, values) {
    if (values.length < 2) return () => true;
    const set = make(make(controls, "div", { class: "control" }), "fieldset");
    make(set, "legend", {}, title);
    const inputs = values.map(value => {
      const label = make(set, "label"), input = make(label, "input", { type: "checkbox", name, value });
      input.checked = true;
      label.append(value);
      input.addEventListener("change", draw);
      return input;
    });
    return plan => inputs.some(input => input.checked && input.value === plan[name]);
  }
  function choice(title, name, start) {
    const set = make(make(controls, "div", { class: "control" }), "fieldset");
    make(set, "legend", {}, title);
    const inputs = [words.linear, words.logarithmic].map((value, i) => {
      const label = make(set, "label"), input = make(label, "input", { type: "radio", name, value });
      input.checked = !!i === start;
      label.append(value);
      input.addEventListener("change", draw);
      return input;
    });
    return () => inputs[1].checked;
  }
  const unique = key => [...new Set(plans.map(plan => plan[key]))];
  const byGpu = boxes(words.gpu, "gpu", unique("gpu")), byCloud = boxes(words.cloud, "cloud", unique("cloud"));
  const counts = [...new Set(plans.map(plan => plan.gpus))].sort((a, b) => a - b);
  let most = () => Infinity, told = () => undefined;
  if (data.gpus && counts.length > 1) {
    const box = make(controls, "div", { class: "control" });
    const label = make(box, "label", { for: "most" });
    const slider = make(box, "input", { type: "range", id: "most", min: 0, max: counts.length - 1, step: 1, value: counts.length - 1 });
    most = () => counts[+slider.value];
    told = () => { const n = group(most(), 0); label.textContent = fill(words.at_most, { n }); slider.setAttribute("aria-valuetext", fill(words.gpus, { n })); };
    slider.addEventListener("input", () => { told(); draw(); });
  }
  told();
  const within = boxes(words.budgets, "where", unique("where"));
  const logX = choice(words.time_axis, "x", data.x.log), logY = choice(words.cost_axis, "y", data.y.log);

  const frame = make(place, "div", { class: "frame" });
  const svg = make(frame, "svg", { tabindex: 0, role: "listbox", "aria-label": data.title, "aria-describedby": "how" });
  const tip = make(frame, "div", { class: "tip", hidden: "" });
  const said = make(place, "p", { class: "said", role: "status", "aria-live": "polite" });
  const summary = make(place, "p", { class: "quiet" });
  make(place, "p", { class: "quiet", id: "how" }, words.how);

  let shown = [], at = null, x, y;

  function axis(values, given, log, from, to) {
    const found = plane.axis(values, given.budget, log);
    return Object.assign(v => from + (to - from) * found.share(v), found, { end: from + (to - from) * found.end });
  }
  function key() {
    const list = make(null, "ul", { class: "key" });
    data.offers.forEach((name, offer) => {
      const item = make(list, "li"), sample = make(item, "svg", { width: 14, height: 14, "aria-hidden": true });
      mark(sample, { offer }, 7, 7, 4.5);
      item.append(" " + name);
    });
    frame.after(list);
  }
  function mark(parent, plan, px, py, r, attributes) {
    const kind = MARKS[Math.floor(plan.offer / 6 + plan.offer) % MARKS.length], hue = "c" + plan.offer % 6;
    const d = kind === "circle" ? `M${px - r} ${py}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`
      : kind === "triangle" ? `M${px} ${py - 1.2 * r}l${1.15 * r} ${2 * r}h${-2.3 * r}z`
      : kind === "square" ? `M${px - 0.9 * r} ${py - 0.9 * r}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`
      : `M${px} ${py - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`;
    const look = plan.over ? { class: hue + "-line hollow", fill: "none", "stroke-width": 1.6 } : { class: hue };
    return make(parent, "path", { d, ...look, ...attributes });
  }
  // Labels stand up and to the right of what they name: no plan that another beats is drawn there.
  function labels(W) {
    const taken = [];
    const free = (a, b) => a.x >= L && a.x + a.w <= W - 2 && a.y > T - 14 && !taken.some(o => a.x < o.x + o.w + 6 && o.x < a.x + a.w + 6 && Math.abs(a.y - o.y) < 15) && (b || !shown.some(p => { const dx = x(p.t), dy = y(p.c); return dx > a.x - 5 && dx < a.x + a.w + 5 && dy > a.y - 15 && dy < a.y + 6; }));
    function put(anchorX, anchorY, text, attributes) {
      const e = make(svg, "text", { "font-size": 12, ...attributes }, text), w = e.getComputedTextLength();
      for (const loose of [false, true]) for (let k = 0; k < 10; k++) for (const x of [anchorX + 10, anchorX - w - 10, Math.max(L + 4, Math.min(anchorX - w / 2, W - w - 4))]) {
        const a = { x, y: anchorY - 6 - 15 * k, w };
        if (free(a, loose)) { taken.push(a); e.setAttribute("x", a.x); e.setAttribute("y", a.y); return; }
      }
      e.remove();
    }
    const chosen = shown.find(p => p.chosen);
    if (chosen) put(x(chosen.t), y(chosen.c) - 8, fill(words.chosen_label, { gpus: group(chosen.gpus, 0), time: `${three(chosen.t)} ${data.x.unit}`, cost: `${three(chosen.c)} ${data.y.unit}` }), { class: "ink", "font-weight": 700 });
    if (data.offers.length <= data.few) for (const offer of new Set(shown.map(p => p.offer))) {
      const first = shown.find(p => p.offer === offer);
      put(x(first.t), y(first.c), data.offers[offer], { class: "c" + offer % 6 + " name" });
    }
  }
  function draw() {
    const W = Math.max(300, Math.min(900, frame.clientWidth || 640));
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
    while (svg.firstChild) svg.removeChild(svg.firstChild);
    shown = plans.filter(plan => byGpu(plan) && byCloud(plan) && within(plan) && plan.gpus <= most());
    rows.forEach((row, i) => { row.hidden = !shown.includes(plans[i]); });
    let least = Infinity;
    const stairs = shown.filter(plan => { const better = plan.c < least; if (better) least = plan.c; return better; });
    summary.textContent = fill(shown.length === plans.length ? words.all_shown : words.some_shown, { shown: shown.length, all: plans.length });
    if (!shown.length) { select(null); return; }
    x = axis(shown.map(p => p.t), data.x, logX(), L, W - R);
    y = axis(shown.map(p => p.c), data.y, logY(), H - B, T);
    const right = x.end, top = y.end;
    if (data.x.budget !== null || data.y.budget !== null) make(svg, "rect", { class: "budget", x: L, y: top, width: right - L, height: H - B - top });
    let last = Infinity;
    for (const v of plane.ticks(y, 6)) {
      if (last - y(v) < 16) continue;
      last = y(v);
      make(svg, "path", { class: "grid-line", d: `M${L} ${last}H${W - R}` });
      make(svg, "text", { class: "soft", x: L - 7, y: last + 4, "text-anchor": "end", "font-size": 12 }, three(v));
    }
    last = -99;
    for (const v of plane.ticks(x, W / 80)) {
      if (x(v) - last < 34) continue;
      last = x(v);
      make(svg, "path", { class: "soft-line", d: `M${last} ${H - B}v5` });
      make(svg, "text", { class: "soft", x: last, y: H - B + 19, "text-anchor": "middle", "font-size": 12 }, three(v));
    }
    make(svg, "path", { class: "soft-line", d: `M${L} ${H - B}H${W - R}` });
    make(svg, "text", { class: "ink", x: W - R, y: H - 8, "text-anchor": "end", "font-size": 12 }, x.log ? data.x.log_title : data.x.title);
    make(svg, "text", { class: "ink", x: 4, y: 13, "font-size": 12 }, y.log ? data.y.log_title : data.y.title);
    if (x.limit !== null) make(svg, "path", { class: "limit-line", d: `M${right} ${top}V${H - B}`, "stroke-dasharray": "5 3" });
    if (y.limit !== null) make(svg, "path", { class: "limit-line", d: `M${L} ${top}H${right}`, "stroke-dasharray": "5 3" });
    const edge = right > L ? right : W - R, roof = top < H - B ? top : T; // a budget that every plan exceeds is named in the corner
    for (const text of data.budget) {
      const note = make(svg, "text", { class: "ink", x: edge - 5, y: roof - 6 < T - 8 ? roof + 14 : roof - 6, "text-anchor": "end", "font-size": 12 }, text);
      if (note.getComputedTextLength() <= edge - L - 10) break;
      note.remove();
    }
    make(svg, "path", { class: "soft-line", fill: "none", d: stairs.map((p, i) => i ? `H${x(p.t)}V${y(p.c)}` : `M${x(p.t)} ${y(p.c)}`).join("") });
    const widest = Math.max(...shown.map(p => p.gpus));
    for (const plan of [...shown].reverse()) {
      const r = data.gpus ? 2.2 + 4.2 * Math.sqrt(plan.gpus / widest) : 4;
      mark(svg, plan, x(plan.t), y(plan.c), r, { role: "option", id: "plan-" + plans.indexOf(plan), "aria-label": plan.name, "aria-selected": false });
      if (plan.chosen) make(svg, "circle", { class: "ink-line", cx: x(plan.t), cy: y(plan.c), r: 9, fill: "none", "stroke-width": 2 });
    }
    labels(W);
    select(shown.includes(at) ? at : null);
  }
  function select(plan) {
    for (const old of svg.querySelectorAll(".cursor")) old.remove();
    for (const old of svg.querySelectorAll("[aria-selected=true]")) old.setAttribute("aria-selected", false);
    rows.forEach((row, i) => row.classList.toggle("at", plans[i] === plan));
    at = plan;
    tip.hidden = plan === null;
    if (plan === null) { said.textContent = ""; svg.removeAttribute("aria-activedescendant"); return; }
    const px = x(plan.t), py = y(plan.c);
    svg.insertBefore(make(svg, "path", { class: "cursor soft-line", d: `M${L} ${py}H${px}V${H - B}`, fill: "none", "stroke-dasharray": "2 3" }), svg.querySelector("[role=option]"));
    make(svg, "circle", { class: "cursor ink-line", cx: px, cy: py, r: 7, fill: "none", "stroke-width": 1.5 });
    const option = document.getElementById("plan-" + plans.indexOf(plan));
    option.setAttribute("aria-selected", true);
    svg.setAttribute("aria-activedescendant", option.id);
    tip.textContent = "";
    make(tip, "strong", {}, plan.name);
    for (const line of plan.lines) make(tip, "span", {}, line);
    const chosen = plans.find(p => p.chosen);
    if (chosen && chosen !== plan) make(tip, "span", {}, fill(words.against, { time: signed(plan.t - chosen.t, data.x.unit), cost: signed(plan.c - chosen.c, data.y.unit) }));
    said.textContent = [...tip.children].map(e => e.textContent).join("; ");
    const scale = svg.clientWidth / svg.viewBox.baseVal.width, room = frame.clientWidth, wide = tip.offsetWidth;
    const beside = px * scale + 16 + wide <= room ? px * scale + 16 : px * scale - 16 - wide;
    tip.style.left = Math.max(0, Math.min(beside, room - wide)) + "px";
    tip.style.top = Math.max(0, py * scale - tip.offsetHeight - 14) + "px";
  }
  function nearest(event) {
    if (!shown.length) return null;
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    const px = (event.clientX - box.left) / scale, py = (event.clientY - box.top) / scale;
    let found = null, miss = 40 * 40;
    for (const plan of shown) { const d = (x(plan.t) - px) ** 2 + (y(plan.c) - py) ** 2; if (d < miss) { miss = d; found = plan; } }
    return found;
  }
  svg.addEventListener("pointermove", event => { const plan = nearest(event); if (plan !== at) select(plan); });
  svg.addEventListener("pointerdown", event => select(nearest(event)));
  svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse" && document.activeElement !== svg) select(null); });
  svg.addEventListener("focus", () => { if (at === null && shown.length && svg.matches(":focus-visible")) select(shown.find(p => p.chosen) || shown[0]); });
  svg.addEventListener("blur", () => select(null));
  svg.addEventListener("keydown", event => {
    const i = shown.indexOf(at), to = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (event.key === "Escape") select(null);
    else if (to !== undefined && shown.length) { event.preventDefault(); select(shown[Math.max(0, Math.min(shown.length - 1, to))]); }
  });
  rows.forEach((row, i) => row.addEventListener("pointerenter", () => { if (shown.includes(plans[i])) select(plans[i]); }));
  document.documentElement.classList.add("js");
  if (data.offers.length > data.few) key();
  let wide = 0;
  const again = () => { if (frame.clientWidth !== wide) { wide = frame.clientWidth; draw(); } };
  addEventListener("resize", again);
  again();
})();
