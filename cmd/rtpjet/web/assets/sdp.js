import { h } from "./dom.js";
import { panel } from "./cluster.js";

const signs = { changed: "~", removed: "−", added: "+" };
const signTexts = { changed: "changed", removed: "removed", added: "added" };

// sdp shows what came in beside what went out.
export function sdp(state) {
  if (!state.exchanges.length) return null;
  return h("div", { class: "sdps" }, state.exchanges.map((x) => exchange(x)));
}

function exchange(x) {
  const title = x.command === "offer" ? "SDP of the offer" : "SDP of the answer";
  const changed = x.rows.filter((r) => r.mark).length;
  return panel(
    "sdp-" + x.command,
    title,
    h("p", { class: "muted small" }, "event " + x.seq + " at " + x.node + "; " + (changed ? changed + " of " + x.rows.length + " lines differ" : "nothing was changed")),
    h(
      "table",
      { class: "sdp" },
      h("caption", { class: "hidden" }, title + ": what came in, and what went out"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "hidden" }, "Difference")), h("th", { scope: "col" }, "came in"), h("th", { scope: "col" }, "went out"))),
      h("tbody", {}, x.rows.map((r) => h("tr", { class: r.mark || "same" }, h("td", { class: "sign" }, r.mark && [h("span", { "aria-hidden": "true" }, signs[r.mark]), h("span", { class: "hidden" }, signTexts[r.mark])]), h("td", { class: "in" }, line(r.in, "del")), h("td", { class: "out" }, line(r.out, "ins"))))),
    ),
  );
}

const line = (pieces, tag) => (pieces || []).map((p) => (p.new ? h(tag, {}, p.text) : p.text));
