import { h } from "./dom.js";
import { clock, number, short, us } from "./format.js";

const rowHeight = 50, foldHeight = 34, headHeight = 40;

// items are what is drawn of the steps: what repeats itself is drawn once.
function items(l, unfolded) {
  const out = [];
  for (const r of l.rows) {
    if (unfolded || r.first === r.last) {
      for (let i = r.first; i <= r.last; i++) out.push({ step: i, first: i, last: i });
      continue;
    }
    let shown = 0, i = r.first;
    for (; i <= r.last && shown < r.round; i++) {
      out.push({ step: i, first: i, last: i });
      if (l.steps[i].label !== "rollover") shown++;
    }
    const text = r.round === 0 ? number(r.rollovers) + " rollovers noted" : "the same " + number(r.times - 1) + " more times";
    if (i <= r.last) out.push({ fold: "↻ " + text, first: i, last: r.last });
  }
  return out;
}

// kinds of steps by what they mean to a reader.
const kinds = { offered: "signal", answered: "signal", taken_over: "takeover", ended: "end", deletion_scheduled: "end", parties_removed: "end", endpoint_learned: "found", rolled_over: "found", media_blocked: "warn", unreadable: "bad" };

function kindOf(s) {
  if (s.answered?.result && s.answered.result !== "ok") return "bad";
  return kinds[s.kind] || "found";
}

function names(l, life) {
  const of = l.lives[life]?.names || {};
  return Object.fromEntries(l.lines.map((x) => [x.key, of[x.key] || x.name || x.key]));
}

// ladder draws the steps up to the present one in full, those after it faintly.
export function ladder(l, at, width, go, unfolded) {
  const n = l.lines.length;
  const gap = n > 1 ? Math.min(190, (width - 84) / (n - 1)) : 0;
  const used = 84 + gap * (n - 1);
  const x = Object.fromEntries(l.lines.map((line, i) => [line.key, 42 + Math.max(0, (width - used) / 2) + i * gap]));
  const list = items(l, unfolded);
  const called = names(l, l.steps[at].life);
  let y = 0;
  const rows = list.map((it) => {
    const top = y;
    y += it.fold ? foldHeight : rowHeight;
    return it.fold ? fold(it, top, width, at, go) : step(l.steps[it.step], it.step, top, width, x, at, go);
  });
  const label = "Ladder diagram of " + number(l.steps.length) + " steps between " + l.lines.map((line) => called[line.key]).join(", ") + ". The same follows in words.";
  return [
    h("div", { class: "ladder-head", "aria-hidden": "true" }, h("svg", { width, height: headHeight, viewBox: "0 0 " + width + " " + headHeight }, l.lines.map((line) => head(line, called[line.key], x[line.key], Math.max(gap, 70), width)))),
    h(
      "div",
      { class: "ladder-body" },
      h("svg", { role: "img", "aria-label": label, width, height: y + 8, viewBox: "0 0 " + width + " " + (y + 8), class: "ladder" }, h("g", {}, l.lines.map((line) => h("line", { class: "life " + line.kind, x1: x[line.key], x2: x[line.key], y1: 0, y2: y + 8 }))), rows),
    ),
  ];
}

// head is the name above a line. It stands off its line a little where the drawing would not have room for it.
function head(line, name, x, gap, width) {
  const room = Math.max(5, Math.floor((gap - 18) / 7.3));
  const text = name.length > room ? name.slice(0, room - 1) + "…" : name;
  const w = Math.max(36, text.length * 7.3 + 16);
  const mid = Math.min(Math.max(x, w / 2 + 8), width - w / 2 - 8);
  return h("g", { class: "who " + line.kind }, h("rect", { x: mid - w / 2, y: 7, width: w, height: 26, rx: line.kind === "party" ? 13 : 6 }), h("text", { x: mid, y: 24, "text-anchor": "middle" }, text), h("title", {}, name));
}

function step(s, i, top, width, x, at, go) {
  const kind = kindOf(s);
  const cls = "step " + kind + (i === at ? " here" : "") + (i > at ? " later" : "");
  const took = (s.took_us || 0) + (s.logged_us || 0);
  const time = clock(us(s.at), 3) + (took && s.asked ? " · " + short(took) : "");
  const drawing = [];
  const path = (s.path || []).filter((k) => x[k] !== undefined);
  let line = top + 37;
  for (let k = 0; k + 1 < path.length; k++) {
    const a = x[path[k]], b = x[path[k + 1]];
    if (k > 0 && a > x[path[k - 1]] !== b > a) line += 6; // back over what is drawn already
    const way = Math.sign(b - a);
    drawing.push(h("path", { class: "arrow", d: `M${a} ${line}H${b - way * 7}` }), h("path", { class: "tip", d: `M${b} ${line}l${-way * 9} -4.5v9z` }));
  }
  if (path.length) drawing.push(h("circle", { class: "dot", cx: x[path[0]], cy: top + 37, r: path.length > 1 ? 3.5 : 5 }));
  const first = path.length ? x[path[0]] : width / 2;
  const onRight = first < width - 110;
  const mid = path.length > 1 ? (first + x[path[1]]) / 2 : onRight ? first + 10 : first - 10;
  const anchor = path.length > 1 ? "middle" : onRight ? "start" : "end";
  return h(
    "g",
    { class: cls, key: "step" + i, onclick: () => go(i), "data-step": i },
    h("rect", { class: "row", x: 0, y: top, width, height: rowHeight }),
    h("rect", { class: "bar", x: 0, y: top, width: 3, height: rowHeight }),
    drawing,
    h("text", { class: "time", x: 10, y: top + 15 }, time),
    h("text", { class: "label", x: mid, y: path.length > 1 ? top + 31 : top + 41, "text-anchor": anchor }, s.label),
  );
}

function fold(it, top, width, at, go) {
  const inside = at >= it.first && at <= it.last;
  return h(
    "g",
    { class: "step fold" + (inside ? " here" : "") + (it.first > at ? " later" : ""), key: "fold" + it.first, onclick: () => go(it.last) },
    h("rect", { class: "row", x: 0, y: top, width, height: foldHeight }),
    h("rect", { class: "bar", x: 0, y: top, width: 3, height: foldHeight }),
    h("text", { class: "label", x: width / 2, y: top + 21, "text-anchor": "middle" }, it.fold),
  );
}

// words is the ladder as a list, for those who do not see it, and for those who rather read.
export function words(l, at, go, unfolded) {
  return h(
    "ol",
    { class: "steps" },
    items(l, unfolded).map((it) => {
      if (it.fold) return h("li", { key: "fold" + it.first, class: "muted" }, it.fold);
      const s = l.steps[it.step];
      const called = names(l, s.life);
      const path = (s.path || []).map((k) => called[k] || k).join(" → ");
      return h(
        "li",
        { key: "step" + it.step },
        h("button", { type: "button", class: "line", "aria-current": it.step === at ? "step" : null, onclick: () => go(it.step) }, h("time", {}, clock(us(s.at), 3)), " ", h("b", {}, s.label), " ", path),
        (s.says || []).length > 0 && h("p", { class: "muted small" }, s.says.join(". ") + "."),
      );
    }),
  );
}
