// What the node is asked for: docs/web.md.

let token = sessionStorage.getItem("token") || ""; // gone with the tab

export const unlocked = () => token !== "";

export function lock() {
  token = "";
  sessionStorage.removeItem("token");
}

export class Refusal extends Error {
  constructor(status, body) {
    super(body.error || "the node answered " + status);
    this.status = status;
    this.near = body.near || [];
  }
}

async function ask(path, options) {
  const r = await fetch("/api/v1/" + path, options);
  const body = await r.json().catch(() => ({}));
  if (!r.ok) throw new Refusal(r.status, body);
  return body;
}

export const get = (path, params) => ask(path + (params ? "?" + new URLSearchParams(params) : ""));

export function post(path, body, as = token) {
  return ask(path, {
    method: "POST",
    headers: { Authorization: "Bearer " + as, "Content-Type": "application/json" },
    body: JSON.stringify(body || {}),
  });
}

// unlock tries a token, and keeps it if it is right.
export async function unlock(said) {
  await post("token", {}, said);
  token = said;
  sessionStorage.setItem("token", said);
}

// Live is the one connection by which the node keeps this page up to date: browsers have few for each host, and a tab that
// nobody sees needs none.
export class Live {
  constructor(handlers, state) {
    this.handlers = handlers;
    this.state = state;
    this.params = "";
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close("paused") : this.open()));
    window.addEventListener("pagehide", () => this.close("paused"));
    window.addEventListener("pageshow", () => this.open());
  }

  watch(params) {
    const next = new URLSearchParams(params).toString();
    if (next === this.params && this.source) return;
    this.params = next;
    this.close("connecting");
    this.open();
  }

  open() {
    if (this.source || document.hidden) return;
    const source = new EventSource("/api/v1/live?" + this.params);
    this.source = source;
    source.onopen = () => this.state("live");
    source.onerror = () => {
      this.state("lost");
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      this.source = null; // the node refused: it starts, or has enough to do
      this.again = setTimeout(() => this.open(), 3000);
    };
    for (const [name, f] of Object.entries(this.handlers)) {
      source.addEventListener(name, (e) => this.source === source && f(JSON.parse(e.data)));
    }
  }

  close(why) {
    clearTimeout(this.again);
    this.source?.close();
    this.source = null;
    this.state(why);
  }
}
