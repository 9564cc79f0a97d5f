import { h, show } from "./dom.js";

// open shows a dialog, and returns what it was closed with: "" if it was not confirmed.
function open(title, ...body) {
  return new Promise((done) => {
    const d = h("dialog", { "aria-labelledby": "dialog-title" }, h("h2", { id: "dialog-title" }, title), body);
    d.addEventListener("close", () => {
      d.remove();
      done(d.returnValue);
    });
    d.addEventListener("click", (e) => e.target === d && d.close(""));
    document.body.append(d);
    d.showModal();
  });
}

const buttons = (yes, danger) =>
  h(
    "div",
    { class: "buttons" },
    h("button", { type: "button", onclick: (e) => e.target.closest("dialog").close("") }, "Cancel"),
    h("button", { type: "submit", class: danger ? "danger" : "primary" }, yes),
  );

// ask asks for the token.
export function ask() {
  const input = h("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const submit = (e) => {
    e.preventDefault();
    e.target.closest("dialog").close(input.value);
  };
  return open(
    "Unlock",
    h(
      "form",
      { onsubmit: submit },
      h("p", {}, "The token stands in the file that this node was given with ", h("code", {}, "--http-token-file"), "."),
      h("label", { for: "token" }, "Token"),
      input,
      buttons("Unlock"),
    ),
  );
}

// confirm asks whether something is really to be done. What is checked comes back.
export async function confirm(q) {
  const boxes = (q.options || []).map((o) => ({ ...o, input: h("input", { type: "checkbox", checked: o.on }) }));
  const choice = q.choice && h("select", { id: "choice" }, q.choice.map((c) => h("option", { value: c.value }, c.text)));
  const submit = (e) => {
    e.preventDefault();
    e.target.closest("dialog").close("yes");
  };
  const said = await open(
    q.title,
    h(
      "form",
      { onsubmit: submit },
      h("p", {}, q.text),
      choice && h("p", {}, h("label", { for: "choice" }, q.choiceLabel), choice),
      boxes.map((b) => h("label", { class: "check" }, b.input, " ", b.text)),
      buttons(q.yes, q.danger),
    ),
  );
  if (said !== "yes") return null;
  const out = { choice: choice ? choice.value : "" };
  for (const b of boxes) out[b.name] = b.input.checked;
  return out;
}

const shortcuts = [
  ["/", "search calls"],
  ["g", "the cluster"],
  ["c", "all calls"],
  ["[  ]", "one step back or on in a call's history"],
  ["{  }", "to its begin, or to now"],
  ["← →", "the same on the slider"],
  ["Esc", "leave the search, or close a dialog"],
  ["?", "this list"],
];

export function help() {
  return open(
    "Keyboard shortcuts",
    h("dl", { class: "keys" }, shortcuts.map(([key, what]) => [h("dt", {}, key.split("  ").map((k) => h("kbd", {}, k))), h("dd", {}, what)])),
    h("form", { method: "dialog" }, h("div", { class: "buttons" }, h("button", { class: "primary" }, "Close"))),
  );
}

let fading = 0;

// say tells the operator what has come of something.
export function say(text, level) {
  const box = document.getElementById("said");
  box.dataset.level = level || "";
  show(box, h("p", {}, text), h("button", { type: "button", "aria-label": "Close this message", onclick: () => show(box) }, "×"));
  clearTimeout(fading);
  if (level !== "bad") fading = setTimeout(() => show(box), 8000);
}
