import { Live, Refusal, get, lock, unlock, unlocked } from "./api.js";
import { CallPage } from "./call.js";
import { callsPage } from "./calls.js";
import { clusterPage } from "./cluster.js";
import { ask, confirm, help, say } from "./dialogs.js";
import { h, show } from "./dom.js";

const $ = (id) => document.getElementById(id);
const main = $("main");
const pageSize = 50;

// app is all that the page knows.
const app = {
  route: { name: "cluster" },
  cluster: null,
  news: [],
  calls: null,
  call: null,
  skew: 0, // of this machine's clock, µs
  now: () => Date.now() * 1000 + app.skew,
  act,
};

const live = new Live(
  {
    cluster: (c) => {
      app.cluster = c;
      render();
    },
    news: (items) => {
      const last = app.news.length ? app.news[0].id : 0;
      if (items[0].id <= last) app.news = []; // the node began anew, or tells all again
      app.news = [...items.reverse(), ...app.news].slice(0, 50);
      render();
    },
    calls: (page) => {
      app.calls = page;
      render();
    },
    call: (c) => app.call?.changed(c.seq),
    streams: (s) => app.call?.setStreams(s),
  },
  (state) => {
    const texts = { live: "live", connecting: "connecting", lost: "no connection", paused: "paused" };
    $("link").dataset.state = state;
    show($("link"), h("i", { "aria-hidden": "true" }), h("span", {}, texts[state]));
  },
);

// parse reads the part of the address behind #.
function parse() {
  const [path, query] = location.hash.slice(1).split("?");
  const params = new URLSearchParams(query || "");
  if (path === "/call") return { name: "call", id: params.get("id") || "", at: params.get("at") };
  if (path === "/calls") return { name: "calls", q: params.get("q") || "", from: Number(params.get("from")) || 0 };
  return { name: "cluster" };
}

function route() {
  const was = app.route;
  app.route = parse();
  const r = app.route;
  for (const a of document.querySelectorAll("[data-nav]")) {
    const here = a.dataset.nav === r.name || (a.dataset.nav === "calls" && r.name === "call");
    if (here) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (r.name !== "calls") $("search").value = "";
  if (r.name === "call") {
    if (app.call?.id !== r.id) app.call = new CallPage(r.id, app, render);
    if (r.at !== null) app.call.go(Number(r.at), false);
    live.watch({ call: r.id });
    document.title = r.id + " – rtpjet";
  } else {
    app.call = null;
    if (r.name === "calls") {
      if (was.name !== "calls" || was.q !== r.q || was.from !== r.from) app.calls = was.name === "calls" ? app.calls : null;
      if (document.activeElement !== $("search")) $("search").value = r.q;
      live.watch({ calls: 1, q: r.q, from: r.from, limit: pageSize });
      document.title = "Calls – rtpjet";
    } else {
      live.watch({ calls: 1, limit: 8 });
      document.title = "Cluster – rtpjet";
    }
  }
  if (was.name !== r.name || was.id !== r.id) {
    window.scrollTo(0, 0);
    show(main);
  }
  render();
}

let due = 0;

// render shows everything anew, once for all that has come in meanwhile.
function render() {
  if (due) return;
  due = requestAnimationFrame(() => {
    due = 0;
    draw();
  });
}

function draw() {
  const r = app.route;
  main.dataset.page = r.name;
  if (r.name === "call") show(main, app.call.draw());
  else if (r.name === "calls") show(main, callsPage(app, pageSize));
  else show(main, clusterPage(app));
  const c = app.cluster;
  $("unlock").hidden = !c || c.read_only;
  $("unlock").textContent = unlocked() ? "Lock" : "Unlock";
  show(
    $("foot"),
    c ? ["Seen by ", h("b", {}, c.node), c.read_only ? ", for looking only" : unlocked() ? ", unlocked" : ", locked", ". All times are UTC."] : "",
  );
}

// act carries out what an operator wants, once he has said so twice.
async function act(question, doIt) {
  if (!unlocked() && !(await askToken())) return;
  const answer = await confirm(question);
  if (!answer) return;
  say("working …");
  try {
    say((await doIt(answer)).done, "good");
  } catch (e) {
    if (e instanceof Refusal && e.status === 401) lock();
    say(e.message, "bad");
    render();
  }
}

async function askToken() {
  const said = await ask();
  if (!said) return false;
  try {
    await unlock(said);
    say("Unlocked. The token is forgotten with this tab.", "good");
    render();
    return true;
  } catch (e) {
    say(e.message, "bad");
    return false;
  }
}

$("unlock").addEventListener("click", async () => {
  if (unlocked()) {
    lock();
    say("Locked.");
    render();
  } else {
    await askToken();
  }
});
$("help").addEventListener("click", help);

let typing = 0;
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, 200);
});
$("search-form").addEventListener("submit", (e) => {
  e.preventDefault();
  clearTimeout(typing);
  search();
  // A call-id that is there as it stands is what was meant, also if it has ended.
  const id = $("search").value.trim();
  if (id) get("call", { id }).then(() => (location.hash = "#/call?" + new URLSearchParams({ id })), () => {});
});

function search() {
  const q = $("search").value.trim();
  const next = q ? "#/calls?" + new URLSearchParams({ q }) : "#/calls";
  if (app.route.name === "calls") history.replaceState(null, "", next);
  else history.pushState(null, "", next);
  route();
}

document.addEventListener("keydown", (e) => {
  const typingNow = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.nodeName) && e.target.type !== "range" && e.target.type !== "checkbox";
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
  if (typingNow) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  const keys = {
    "/": () => ($("search").focus(), $("search").select()),
    "?": help,
    g: () => (location.hash = "#/"),
    c: () => (location.hash = "#/calls"),
    "[": () => app.call?.step(-1),
    "]": () => app.call?.step(1),
    "{": () => app.call?.go(0),
    "}": () => app.call?.go(Infinity),
  };
  if (!keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
});

document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", route);
window.addEventListener("resize", render);
setInterval(() => document.hidden || render(), 1000); // ages
route();
