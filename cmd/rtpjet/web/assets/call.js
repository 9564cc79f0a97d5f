import { Refusal, get } from "./api.js";
import { badge, panel } from "./cluster.js";
import { h } from "./dom.js";
import { clock, day, number, owner, percent, rate, short, span, us } from "./format.js";
import { ladder, words } from "./ladder.js";
import { sdp } from "./sdp.js";

// CallPage is the life of a call, and the moment of it that is looked at. As long as that is the last one, it goes on with the
// call.
export class CallPage {
  constructor(id, app, render) {
    Object.assign(this, { id, app, render, ladder: null, at: 0, follow: true, moments: new Map(), streams: [], rates: new Map(), unfolded: false });
    this.load();
  }

  async load() {
    if (this.loading) {
      this.stale = true;
      return;
    }
    this.loading = true;
    try {
      const l = await get("call", { id: this.id });
      this.ladder = l;
      this.error = null;
      if (this.wanted !== undefined) this.at = Math.min(this.wanted, l.steps.length - 1);
      else if (this.follow) this.at = l.steps.length - 1;
      this.follow = this.at === l.steps.length - 1;
      delete this.wanted;
      await this.moment();
    } catch (e) {
      if (!this.ladder) this.error = e;
    }
    this.loading = false;
    this.render();
    if (this.stale) {
      this.stale = false;
      this.load();
    }
  }

  // changed is told how far the call is.
  changed(seq) {
    const last = this.ladder?.steps.at(-1)?.seq || 0;
    if (seq > last || (this.error && seq)) this.load();
  }

  setStreams(list) {
    this.streams = list;
    for (const s of list) {
      const key = s.local;
      const line = this.rates.get(key) || [];
      if (s.rate_in >= 0) line.push(s.rate_in);
      this.rates.set(key, line.slice(-60));
    }
    this.render();
  }

  step(by) {
    this.go(this.at + by);
  }

  // go moves the page to a step.
  go(i, keep = true) {
    if (!this.ladder) {
      this.wanted = i;
      return;
    }
    const last = this.ladder.steps.length - 1;
    const next = Math.max(0, Math.min(i, last));
    this.follow = next === last;
    if (next !== this.at) {
      this.at = next;
      this.moment();
      this.reveal = true;
    }
    if (keep) {
      const to = new URLSearchParams(this.follow ? { id: this.id } : { id: this.id, at: this.at });
      history.replaceState(null, "", "#/call?" + to);
    }
    this.render();
  }

  // moment fetches the state at the present step, and the next one on the way there.
  async moment() {
    const at = this.at;
    const seq = this.ladder.steps[at].seq;
    if (this.moments.has(at + ":" + seq)) return;
    try {
      const m = await get("call", { id: this.id, at });
      this.moments.set(at + ":" + seq, m);
      if (this.moments.size > 200) this.moments.delete(this.moments.keys().next().value);
      this.render();
    } catch {
      // The page shows the moment before until the next try.
    }
  }

  draw() {
    const title = h("h1", { class: "mono" }, this.id);
    if (this.error) return [h("div", { class: "head" }, title), this.missing()];
    if (!this.ladder) return [h("div", { class: "head" }, title), h("p", { class: "empty" }, "Reading the history …")];
    const step = this.ladder.steps[this.at];
    const state = this.moments.get(this.at + ":" + step.seq) || this.last;
    this.last = state;
    const room = document.getElementById("ladder")?.clientWidth || Math.min(window.innerWidth - 32, 640);
    return [
      this.head(title),
      this.slider(),
      h(
        "div",
        { class: "story" },
        h(
          "div",
          { class: "left" },
          panel(
            "ladder",
            "Ladder",
            ladder(this.ladder, this.at, room - 2, (i) => this.go(i), this.unfolded),
            this.folds() && h("p", { class: "more" }, h("button", { type: "button", onclick: () => ((this.unfolded = !this.unfolded), this.render()) }, this.unfolded ? "Fold what repeats itself" : "Show all " + number(this.ladder.steps.length) + " steps")),
            h("details", { class: "words" }, h("summary", {}, "The ladder in words"), words(this.ladder, this.at, (i) => this.go(i), this.unfolded)),
          ),
        ),
        h("div", { class: "right" }, this.what(step), state && this.state(state), this.live() && this.counters()),
      ),
      state && sdp(state),
    ];
  }

  folds() {
    return this.ladder.rows.some((r) => r.first !== r.last);
  }

  missing() {
    const near = this.error instanceof Refusal ? this.error.near : [];
    return h(
      "div",
      { class: "panel" },
      h("p", { class: "empty" }, this.error.message),
      near.length > 0 && h("p", {}, "Live calls with a call-id like it:"),
      near.length > 0 && h("ul", { class: "near" }, near.map((id) => h("li", {}, h("a", { class: "mono", href: "#/call?" + new URLSearchParams({ id }) }, id)))),
    );
  }

  live() {
    const life = this.ladder.lives.at(-1);
    return life ? !life.ended : false;
  }

  head(title) {
    const life = this.ladder.lives[this.ladder.steps[this.at].life] || this.ladder.lives.at(-1);
    const many = this.ladder.lives.length > 1;
    const last = this.ladder.steps.at(-1);
    if (!life) return h("div", { class: "head" }, title);
    const began = us(life.began), over = life.until || life.ended;
    return h(
      "div",
      { class: "head" },
      title,
      h(
        "p",
        { class: "facts" },
        life.ended ? badge("plain", "ended: " + life.why.replace("_", " ")) : over ? badge("plain", "being deleted") : badge("good", "live"),
        h("span", {}, "owner ", h("b", {}, owner(last.owner || life.owner))),
        h("span", {}, "began ", h("b", {}, day(began) + " " + clock(began))),
        h("span", {}, over ? "lasted " : "for ", h("b", {}, span((over ? us(over) : this.app.now()) - began))),
        many && h("span", {}, "call " + (this.ladder.lives.indexOf(life) + 1) + " of " + this.ladder.lives.length + " under this call-id"),
      ),
    );
  }

  slider() {
    const steps = this.ladder.steps, last = steps.length - 1, s = steps[this.at];
    const text = "step " + (this.at + 1) + " of " + steps.length + ", " + s.label + ", " + clock(us(s.at), 3);
    const go = (i) => () => this.go(i);
    return h(
      "div",
      { class: "slider panel", role: "group", "aria-label": "Moment in the history of the call" },
      h("button", { type: "button", class: "icon", "aria-label": "To the begin", title: "To the begin ({)", disabled: this.at === 0, onclick: go(0) }, "«"),
      h("button", { type: "button", class: "icon", "aria-label": "One step back", title: "One step back ([)", disabled: this.at === 0, onclick: go(this.at - 1) }, "‹"),
      h("input", { type: "range", id: "slider", min: 0, max: last, value: this.at, "aria-label": "Step", "aria-valuetext": text, oninput: (e) => this.go(Number(e.target.value)) }),
      h("button", { type: "button", class: "icon", "aria-label": "One step on", title: "One step on (])", disabled: this.at === last, onclick: go(this.at + 1) }, "›"),
      h("button", { type: "button", id: "now", "aria-pressed": String(this.follow), title: "To the last step, and on with the call (})", onclick: go(Infinity) }, this.live() ? "Now" : "End"),
      h("output", { for: "slider" }, h("b", {}, "Step " + (this.at + 1) + " of " + steps.length), h("i", {}, " · "), h("span", {}, s.label + " · " + clock(us(s.at), 3))),
    );
  }

  what(s) {
    const changes = (s.changes || []).filter((c) => !c.minor);
    return panel(
      "step",
      "What happened",
      h("p", { class: "lead" }, h("b", {}, s.label), s.node ? " at " + s.node : "", h("span", { class: "muted" }, " · event " + s.seq)),
      (s.says || []).length > 0 && h("ul", { class: "says" }, s.says.map((t) => h("li", {}, t))),
      s.asked && s.asked.command && h("p", { class: "muted small" }, "asked by " + (s.asked.by || "nobody") + (s.took_us ? ", took " + short(s.took_us + (s.logged_us || 0)) : "") + (s.answered ? ", reply of " + number(s.answered.bytes) + " bytes" : "")),
      changes.length > 0 &&
        h(
          "details",
          { class: "changes" },
          h("summary", {}, number(changes.length) + (changes.length === 1 ? " thing" : " things") + " changed in the state"),
          h("dl", {}, changes.map((c) => [h("dt", {}, c.path.replaceAll("/", " › ")), h("dd", { class: "mono" }, c.was && h("del", {}, c.was), c.was && c.is && " → ", c.is && h("ins", {}, c.is))])),
        ),
    );
  }

  state(st) {
    if (st.ended || !st.live) return panel("state", "The call at this moment", h("p", { class: "empty" }, "It is over" + (st.ended ? ": " + st.ended : "") + "."));
    return panel(
      "state",
      "The call at this moment",
      h("p", { class: "facts" }, h("span", {}, "owner ", h("b", {}, owner(st.owner))), h("span", {}, "owner number ", h("b", {}, String(st.epoch))), st.blocked && badge("bad", "media blocked"), st.delete_at ? badge("warn", "to be deleted at " + clock(st.delete_at)) : null),
      h("div", { class: "parties" }, st.parties.map((p) => this.party(st, p))),
    );
  }

  party(st, p) {
    const heard = p.hears.map((id) => st.parties.find((q) => q.id === id)?.name).filter(Boolean);
    return h(
      "section",
      { class: "party", key: "party" + p.id, "aria-label": "Party " + p.name },
      h("h3", { class: "mono" }, p.name, p.label && h("small", {}, p.label)),
      heard.length > 0 && h("p", { class: "muted small" }, "hears " + heard.join(", ")),
      p.medias.map((m) =>
        h(
          "dl",
          { class: "media" },
          h("dt", {}, m.type),
          h("dd", {}, m.protocol + (m.direction ? ", " + m.direction : ""), m.notes.map((n) => badge("warn", n))),
          m.codecs.length > 0 && [h("dt", {}, "codecs"), h("dd", {}, m.codecs.join(", "))],
          h("dt", {}, "sends to"),
          h("dd", { class: "mono" }, m.local || "–", m.told && [" as ", m.told]),
          h("dt", {}, "is at"),
          h("dd", { class: "mono" }, m.learned || m.remote || "–", m.learned ? h("small", {}, "learned; its SDP says " + m.remote) : null),
          m.crypto && [h("dt", {}, "SRTP"), h("dd", {}, m.crypto)],
        ),
      ),
    );
  }

  counters() {
    if (!this.follow) return panel("streams", "Streams", h("p", { class: "empty" }, "Packets are counted now, and not for earlier moments. "), h("p", { class: "more" }, h("button", { type: "button", onclick: () => this.go(Infinity) }, "Go to now")));
    const names = Object.fromEntries((this.last?.parties || []).map((p) => [p.id, p.name]));
    const shown = this.streams.filter((s) => !s.rtcp || s.packets_in || s.packets_out);
    if (!shown.length) return panel("streams", "Streams", h("p", { class: "empty" }, "Asking the owner …"));
    return panel(
      "streams",
      "Streams",
      h(
        "table",
        { class: "cards" },
        h("thead", {}, h("tr", {}, ["From", "Packets/s in, out", "Loss", "Last minute"].map((t) => h("th", { scope: "col" }, t)))),
        h(
          "tbody",
          {},
          shown.map((s) =>
            h(
              "tr",
              { key: s.local },
              h("th", { scope: "row" }, h("span", { class: "mono" }, names[s.party] || "party " + s.party), h("small", {}, s.type + (s.rtcp ? " RTCP" : ""))),
              h("td", { "data-label": "Packets/s", class: "num" }, s.known ? rate(s.rate_in) + ", " + rate(s.rate_out) : "the owner does not answer"),
              h("td", { "data-label": "Loss", class: "num" + (s.loss > 0.01 ? " bad" : "") }, s.rtcp ? "–" : percent(s.loss), s.lost > 0 && h("small", {}, number(s.lost) + " lost")),
              h("td", { "data-label": "Last minute", class: "spark" }, spark(this.rates.get(s.local) || [])),
            ),
          ),
        ),
      ),
    );
  }
}

// spark is a small curve of packets a second. What it says stands beside it as a number.
function spark(list) {
  if (list.length < 2) return "";
  const w = 90, high = 22, top = Math.max(...list, 1);
  const points = list.map((v, i) => ((i * w) / 59).toFixed(1) + "," + (high - 2 - (v / top) * (high - 4)).toFixed(1)).join(" ");
  return h("svg", { width: w, height: high, viewBox: "0 0 " + w + " " + high, "aria-hidden": "true" }, h("polyline", { points, class: "curve" }));
}
