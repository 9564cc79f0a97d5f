// Elements, and how what is shown becomes what is to be shown: in place, so that focus, selection and scrolling stay.

const svgSpace = "http://www.w3.org/2000/svg";
const svgTags = new Set(["svg", "g", "line", "path", "rect", "circle", "text", "title", "polyline"]);

// h makes an element. Attributes that begin with "on" are handlers; false and null leave an attribute or a child out.
export function h(tag, attrs, ...children) {
  const node = svgTags.has(tag) ? document.createElementNS(svgSpace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attrs || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) on(node, name.slice(2), value);
    else if (name === "key") node.key = String(value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const c of children) {
    if (Array.isArray(c)) append(node, c);
    else if (c instanceof Node) node.append(c);
    else if (c !== false && c !== null && c !== undefined && c !== "") node.append(String(c));
  }
}

// on sets the one handler of a kind that an element has. It is looked up when the event comes, so it can be replaced.
function on(node, kind, f) {
  if (!node.handlers) node.handlers = {};
  node.handlers[kind] = f;
  listen(node, kind);
}

function listen(node, kind) {
  if (!node.listens) node.listens = new Set();
  if (node.listens.has(kind)) return;
  node.listens.add(kind);
  node.addEventListener(kind, (e) => node.handlers?.[kind]?.(e));
}

// show makes the children of an element those given.
export function show(parent, ...children) {
  const next = document.createElement("div");
  append(next, children);
  morphChildren(parent, next);
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.key === b.key && a.id === b.id;
}

function morphChildren(old, next) {
  const keyed = new Map();
  for (const c of old.childNodes) if (c.key !== undefined) keyed.set(c.key, c);
  let at = old.firstChild;
  for (const want of [...next.childNodes]) {
    if (want.key !== undefined) {
      const have = keyed.get(want.key);
      if (have && have !== at && alike(have, want)) {
        old.insertBefore(have, at);
        at = have;
      }
    }
    if (at && alike(at, want)) {
      morph(at, want);
      at = at.nextSibling;
    } else {
      old.insertBefore(want, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function morph(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) return;
  const keep = old.nodeName === "DETAILS" ? "open" : ""; // that is the reader's
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && name !== keep) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value && name !== keep) old.setAttribute(name, value);
  }
  old.handlers = next.handlers;
  for (const kind of Object.keys(next.handlers || {})) listen(old, kind);
  if (old.nodeName === "INPUT") {
    if (old !== document.activeElement || old.type === "range") {
      if (next.hasAttribute("value")) old.value = next.getAttribute("value");
    }
    return;
  }
  morphChildren(old, next);
}
