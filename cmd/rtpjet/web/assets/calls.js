import { h } from "./dom.js";
import { clock, number, owner, span } from "./format.js";

const levels = { answered: "good", offered: "plain", "on hold": "warn", "being deleted": "warn", blocked: "bad" };

// callsPage is the list of live calls, a page of it.
export function callsPage(app, size) {
  const p = app.calls, { q } = app.route;
  const head = h("h1", {}, "Live calls");
  if (!p) return [head, h("p", { class: "empty" }, "Looking for calls …")];
  const found = q ? number(p.found) + " of " + number(p.live) + " match “" + q + "”" : number(p.live) + (p.live === 1 ? " call" : " calls") + ", the newest first";
  return [
    h("div", { class: "head" }, head, h("p", { role: "status", class: "muted" }, found)),
    h("section", { class: "panel", "aria-label": "Live calls" }, p.calls.length ? callRows(app, p.calls) : nothing(app, q)),
    pager(p, q, size),
  ];
}

function nothing(app, q) {
  if (!q) return h("p", { class: "empty" }, "No call is live.");
  const link = "#/call?" + new URLSearchParams({ id: q });
  return h("p", { class: "empty" }, "No live call matches. ", h("a", { href: link }, "Look in the archive for the call-id “" + q + "”"));
}

export function callRows(app, rows) {
  return h(
    "table",
    { class: "cards calls" },
    h("thead", {}, h("tr", {}, ["Call-id", "State", "Parties", "Media", "Owner", "For", "Began"].map((t) => h("th", { scope: "col" }, t)))),
    h(
      "tbody",
      {},
      rows.map((c) =>
        h(
          "tr",
          { key: c.call, "data-call": c.call },
          h("th", { scope: "row" }, h("a", { class: "mono", href: "#/call?" + new URLSearchParams({ id: c.call }) }, c.call)),
          h("td", { "data-label": "State" }, h("span", { class: "badge", "data-level": levels[c.state] || "plain" }, c.state)),
          h("td", { "data-label": "Parties", class: "clip", title: c.tags.join(", ") }, c.tags.join(", ") || "–"),
          h("td", { "data-label": "Media" }, c.media || "–"),
          h("td", { "data-label": "Owner" }, owner(c.owner)),
          h("td", { "data-label": "For", class: "num" }, span(app.now() - c.created)),
          h("td", { "data-label": "Began", class: "num" }, clock(c.created)),
        ),
      ),
    ),
  );
}

function pager(p, q, size) {
  if (p.found <= size && p.from === 0) return null;
  const to = (from) => "#/calls?" + new URLSearchParams(q ? { q, from } : { from });
  const last = Math.min(p.from + size, p.found);
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages of the list" },
    p.from > 0 ? h("a", { href: to(Math.max(0, p.from - size)), rel: "prev" }, "← Newer") : h("span", {}),
    h("span", { class: "muted" }, number(Math.min(p.from + 1, p.found)) + " to " + number(last) + " of " + number(p.found)),
    last < p.found ? h("a", { href: to(p.from + size), rel: "next" }, "Older →") : h("span", {}),
  );
}
