import { post } from "./api.js";
import { callRows } from "./calls.js";
import { h } from "./dom.js";
import { clock, count, day, number, short, span, version } from "./format.js";

// clusterPage is nodes, floating addresses, what has happened, and the newest calls.
export function clusterPage(app) {
  const c = app.cluster;
  if (!c) return h("p", { class: "empty" }, "Asking the nodes …");
  const up = c.nodes.filter((n) => n.answers).length;
  return [
    h("h1", { class: "hidden" }, "Cluster"),
    h(
      "dl",
      { class: "tiles" },
      tile("Nodes up", up + " of " + c.nodes.length, up < c.nodes.filter((n) => n.state !== "down").length ? "bad" : ""),
      tile("Live calls", number(c.calls)),
      tile("Packets in", number(c.packets_in), "", "/s"),
      tile("Packets out", number(c.packets_out), "", "/s"),
    ),
    h("div", { class: "columns" }, h("div", { class: "left" }, nodes(app, c), floats(app, c), newest(app)), feed(app)),
  ];
}

const tile = (name, value, level, unit) => h("div", { class: "tile", "data-level": level }, h("dt", {}, name), h("dd", {}, value, unit && h("small", {}, unit)));

function nodes(app, c) {
  return panel(
    "nodes",
    "Nodes",
    h(
      "table",
      { class: "cards" },
      h("thead", {}, h("tr", {}, ["Node", "Calls", "Packets/s in, out", "Behind the log", "Up for", "Version", "Lease"].map((t) => h("th", { scope: "col" }, t)), c.read_only ? null : h("th", { scope: "col" }, h("span", { class: "hidden" }, "Actions")))),
      h("tbody", {}, c.nodes.map((n) => node(app, c, n))),
    ),
  );
}

const states = { alive: "good", draining: "warn", silent: "warn", gone: "bad", down: "plain" };
const stateTexts = { alive: "alive", silent: "not heard by NATS", gone: "gone", down: "ended" };

function node(app, c, n) {
  const state = n.draining && n.answers ? "draining" : n.state;
  return h(
    "tr",
    { key: n.id, "data-node": n.id },
    h("th", { scope: "row" }, h("span", { class: "name" }, n.id), badge(states[state], stateTexts[state] || state)),
    cell("Calls", n.answers ? number(n.calls) : "–", "num"),
    cell("Packets/s", n.answers ? number(n.packets_in) + ", " + number(n.packets_out) : "–", "num"),
    cell("Behind the log", behind(n), n.lag > 1e6 ? "bad" : ""),
    cell("Up for", n.answers ? span(app.now() - n.started) : "–"),
    cell("Version", h("span", { class: "mono", title: n.version }, version(n.version))),
    cell("Lease", n.lease + " · epoch " + n.epoch + (n.zone ? " · zone " + n.zone : "") + (n.by ? " · claimed by " + n.by : "")),
    c.read_only ? null : h("td", { class: "do" }, nodeActions(app, n, state)),
  );
}

function behind(n) {
  if (!n.answers) return "–";
  const out = n.behind ? count(n.behind, "event") + ", " + short(n.lag) : "up to date";
  return n.unlogged ? out + "; " + number(n.unlogged) + " not logged" : out;
}

function nodeActions(app, n, state) {
  if (n.answers && !n.draining) {
    return button("Drain", "Drain " + n.id, () =>
      app.act(
        { title: "Drain " + n.id + "?", text: n.id + " takes no new calls from now on. Its " + count(n.calls, "call") + " go on until they end.", yes: "Drain", options: [{ name: "move", text: "move its floating addresses to other nodes now", on: false }] },
        (a) => post("nodes/" + n.id + "/drain", { move: a.move }),
      ),
    );
  }
  if (n.answers) {
    return button("Undrain", "Undrain " + n.id, () =>
      app.act({ title: "Undrain " + n.id + "?", text: n.id + " takes new calls again.", yes: "Undrain" }, () => post("nodes/" + n.id + "/undrain")),
    );
  }
  if (state === "gone" || state === "down") {
    return button("Take over", "Take over the calls of " + n.id, () =>
      app.act(
        { title: "Take over the calls of " + n.id + "?", text: "Other nodes become the owners of its calls now. Each is heard again with its next offer or answer.", yes: "Take over", danger: true },
        () => post("nodes/" + n.id + "/takeover"),
      ),
    );
  }
  return null;
}

function floats(app, c) {
  if (!c.floats.length) return null;
  return panel(
    "floats",
    "Floating addresses",
    h(
      "table",
      { class: "cards" },
      h("thead", {}, h("tr", {}, ["Address", "Holder", "Successor", "Calls", "Epoch", "Moved last"].map((t) => h("th", { scope: "col" }, t)), c.read_only ? null : h("th", { scope: "col" }, h("span", { class: "hidden" }, "Actions")))),
      h("tbody", {}, c.floats.map((f) => float(app, c, f))),
    ),
  );
}

function float(app, c, f) {
  const others = c.nodes.filter((n) => n.answers && n.id !== f.holder);
  return h(
    "tr",
    { key: f.id, "data-float": f.id },
    h("th", { scope: "row" }, h("span", { class: "name mono" }, f.id), f.addresses.length > 1 && h("small", {}, f.addresses.join(", "))),
    cell("Holder", f.holder ? h("b", {}, f.holder) : badge("bad", "nobody")),
    cell("Successor", f.successor ? [f.successor, f.ready ? null : badge("warn", "not ready")] : badge("warn", "none")),
    cell("Calls", number(f.calls), "num"),
    cell("Epoch", String(f.epoch), "num"),
    cell("Moved last", [f.moved_at ? day(f.moved_at) + " " + clock(f.moved_at) : "–", f.why && h("small", {}, f.why), f.moves && badge("warn", "moves to " + f.moves), !f.agreed && badge("bad", "the nodes do not agree")]),
    c.read_only
      ? null
      : h(
          "td",
          { class: "do" },
          f.holder &&
            others.length > 0 &&
            button("Move", "Move " + f.id, () =>
              app.act(
                { title: "Move " + f.id + "?", text: "Its " + count(f.calls, "call") + " go with it, without a pause that can be heard.", yes: "Move", choiceLabel: "To ", choice: [{ value: "", text: "the node with the least to do" }, ...others.map((n) => ({ value: n.id, text: n.id }))] },
                (a) => post("floats/" + f.id + "/move", { to: a.choice }),
              ),
            ),
        ),
  );
}

function newest(app) {
  if (!app.calls) return null;
  return panel(
    "newest",
    "Newest calls",
    app.calls.calls.length ? callRows(app, app.calls.calls.slice(0, 8)) : h("p", { class: "empty" }, "No call is live."),
    app.calls.live > 8 && h("p", { class: "more" }, h("a", { href: "#/calls" }, "All " + number(app.calls.live) + " calls")),
  );
}

function feed(app) {
  const items = app.news.map((n) =>
    h("li", { key: n.id, "data-level": n.level, "data-kind": n.kind }, h("time", {}, clock(n.at)), h("span", {}, n.text, n.call && [" ", h("a", { href: "#/call?" + new URLSearchParams({ id: n.call }) }, n.call)])),
  );
  return h(
    "section",
    { class: "panel feed", "aria-labelledby": "feed-title" },
    h("h2", { id: "feed-title" }, "What happened"),
    h(
      "div",
      { role: "log", "aria-live": "polite", "aria-labelledby": "feed-title", tabindex: items.length > 4 ? 0 : null },
      items.length ? h("ol", {}, items) : h("p", { class: "empty" }, "Nothing since this node was started. Takeovers, drains and moves appear here."),
    ),
  );
}

export function panel(id, title, ...body) {
  return h("section", { class: "panel", "aria-labelledby": id + "-title", id }, h("h2", { id: id + "-title" }, title), body);
}

const cell = (label, value, kind) => h("td", { "data-label": label, class: value === "–" ? "none" : kind }, value);

export const badge = (level, text) => h("span", { class: "badge", "data-level": level }, text);

const button = (text, label, onclick) => h("button", { type: "button", "aria-label": label, onclick }, text);
