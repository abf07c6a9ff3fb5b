"use strict";
// The axes of a plane of time and cost, by the rules of `frontier_scene.py`, for what a reader chooses to be drawn.
const plane = (() => {
  const LOG_FROM = 5, FAR = { false: 2, true: 6 }, NEAR = 0.35, FEW_TICKS = 4;
  // `log`: as the reader has it, or undefined: as the values ask for it. `limit`: the budget, where it is drawn.
  function axis(values, budget, log) {
    let low = Math.min(...values), high = Math.max(...values);
    const given = log !== undefined;
    if (!given) log = low > 0 && high >= LOG_FROM * low;
    const drawn = budget !== null && budget >= low / FAR[log] && budget <= high * FAR[log];
    const beyond = budget !== null && !drawn && budget > low;
    if (drawn) { low = Math.min(low, budget); high = Math.max(high, budget); }
    if (low === high && !(given && log)) { low *= 0.5; high = 1.5 * high || 1; log = false; }
    else if (log) { const margin = low === high ? 1.5 : Math.pow(high / low, 0.06); low /= margin; high *= margin; }
    else if (low < NEAR * high) { low = 0; high *= 1.06; }
    else { const margin = 0.08 * (high - low); low = Math.max(0, low - margin); high += margin; }
    const share = log ? v => Math.log(v / low) / Math.log(high / low) : v => (v - low) / (high - low);
    const end = drawn ? share(budget) : budget === null || beyond ? 1 : 0;
    return { low, high, log, share, end, limit: drawn ? budget : null };
  }
  function ticks({ low, high, log }, most) {
    const out = [];
    if (log) {
      for (const steps of [[1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]]) {
        out.length = 0;
        for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
          for (const m of steps) { const v = +(m * Math.pow(10, e)).toPrecision(6); if (v >= low && v <= high) out.push(v); }
        if (out.length >= FEW_TICKS) break;
      }
      return out;
    }
    const raw = (high - low) / most, unit = Math.pow(10, Math.floor(Math.log10(raw)));
    const step = [1, 2, 2.5, 5, 10].map(m => m * unit).find(s => s >= raw * (1 - 1e-9));
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high; i++) out.push(+(i * step).toPrecision(9));
    return out;
  }
  return { axis, ticks };
})();
