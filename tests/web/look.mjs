// The browser's side of TestPage: looks at the page as an operator does. What it wants to happen in the cluster it writes to its
// standard output, a line of JSON each, and reads what came of it.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const config = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const log = (text) => console.log(JSON.stringify({ do: "log", text }));

async function wish(w) {
  console.log(JSON.stringify(w));
  const reply = JSON.parse((await lines.next()).value);
  if (reply.error) throw new Error(w.do + ": " + reply.error);
}

const patience = 30_000;
const context = await chromium.launchPersistentContext(config.profile, {
  executablePath: config.chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  viewport: { width: 1280, height: 800 },
  colorScheme: "light",
  reducedMotion: "reduce",
});
context.setDefaultTimeout(patience);
const page = context.pages()[0] || (await context.newPage());

// Whatever the page writes to the console is a mistake: a refused asset, a policy that was hurt, an error. That a server refuses
// an order is none.
const complaints = [];
page.on("console", (m) => {
  if (["error", "warning"].includes(m.type()) && !/status of 40[1-9]|status of 503|ERR_CONNECTION|ERR_INCOMPLETE/.test(m.text())) complaints.push(m.text());
});
page.on("pageerror", (e) => complaints.push(String(e)));
const elsewhere = [];
page.on("request", (r) => {
  if (!r.url().startsWith(config.url)) elsewhere.push(r.url());
});

async function check(what) {
  // As a tool of the test, past the policy that the page has for scripts.
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const list = found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.target.join(" ") + " " + (n.any[0]?.message || "")).join("; ")}`);
  assert.deepEqual(list, [], what + ": accessibility");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, what + ": the page is " + wide + " px wider than the window");
}

// pictures are those of docs/web.md.
const pictures = { "cluster light": "web-cluster", "call light": "web-call", "call dark": "web-call-dark", "call phone": "web-phone" };

async function looks(name) {
  for (const [kind, width, height, scheme] of [["light", 1280, 800, "light"], ["dark", 1280, 800, "dark"], ["phone", 360, 740, "light"], ["phone-dark", 360, 740, "dark"]]) {
    await page.setViewportSize({ width, height });
    for (const b of await page.getByRole("button", { name: "Close this message" }).all()) await b.click();
    await page.evaluate(() => (document.activeElement.blur(), window.scrollTo(0, 0)));
    await page.emulateMedia({ colorScheme: scheme });
    await page.evaluate(() => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f))));
    await check(name + ", " + kind);
    const shot = pictures[name + " " + kind];
    if (shot === "web-call") await page.setViewportSize({ width, height: 1040 });
    if (config.shots && shot) await page.screenshot({ path: `${config.shots}/${shot}.png`, animations: "disabled" });
    if (config.shots && process.env.WEB_FULL) await page.screenshot({ path: `${config.shots}/${name}-${kind}-full.png`, fullPage: true, animations: "disabled" });
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
}

const row = (id) => page.locator(`tr[data-node="${id}"]`);
const hears = (text) => page.locator(".feed li", { hasText: text }).first().waitFor();

async function cluster() {
  await page.goto(config.url + "/");
  await page.locator("#link[data-state=live]").waitFor();
  for (const id of ["n1", "n2", "n3"]) await row(id).getByText("alive").waitFor();
  await page.locator("tr[data-float]").nth(1).waitFor();
}

async function list() {
  await page.keyboard.press("c");
  await page.locator("h1", { hasText: "Live calls" }).waitFor();
  await page.getByText("62 calls").waitFor();
  assert.equal(await page.locator("tr[data-call]").count(), 50, "calls on a page");
  await page.getByRole("link", { name: "Older" }).click();
  await page.getByText("51 to 62 of 62").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("office-007 callee");
  await page.getByText("1 of 62 match").waitFor();
  assert.equal(await page.locator("tr[data-call]").count(), 1);
  // A call that begins now appears by itself.
  await page.keyboard.press("Control+A");
  await page.keyboard.type("appears");
  await page.getByText("No live call matches").waitFor();
  await wish({ do: "place", call: "appears-by-itself", node: "n2" });
  await page.locator('tr[data-call="appears-by-itself"]').waitFor();
  await wish({ do: "delete", call: "appears-by-itself", node: "n3" });
  await page.getByText("No live call matches").waitFor();
}

async function call() {
  await page.goto(config.url + "/#/call?id=reception-1");
  await page.locator("#slider").waitFor();
  await page.locator(".ladder .step").nth(1).waitFor();
  // What is learned of the phones comes in by itself; then nothing changes but packets.
  await page.locator(".ladder .step.found").nth(1).waitFor();
  await page.locator("#streams tr", { hasText: "lost" }).first().waitFor();
  await wish({ do: "resignal", call: "reception-1", node: "n3" });
  await page.locator(".ladder .step.signal").nth(3).waitFor();
  await page.locator('.ladder [data-step="5"]').waitFor();
  const last = Number(await page.locator("#slider").getAttribute("max"));
  assert.ok(last >= 3, "steps: " + last);
  assert.equal(await page.locator("#now").getAttribute("aria-pressed"), "true");
  await page.locator("#sdp-answer").waitFor();
  assert.match(await page.locator("#sdp-offer").innerText(), /c=IN IP4/);
  assert.ok((await page.locator("#sdp-offer tr.changed").count()) > 0, "no difference is marked");
  if (config.shots) await page.waitForFunction(() => document.querySelector("#streams polyline")?.points.length > 20);
  await looks("call");
  // The slider moves the whole page.
  await page.locator("#slider").focus();
  await page.keyboard.press("Home");
  await page.locator("#step .lead", { hasText: "offer" }).waitFor();
  await page.locator("#sdp-answer").waitFor({ state: "detached" });
  await page.locator(".party h3", { hasText: "(no tag yet)" }).waitFor();
  assert.equal(await page.locator(".ladder .step.here").getAttribute("data-step"), "0");
  // All but the first one, however many there are by now.
  const [later, steps] = await page.evaluate(() => [".ladder .step.later", ".ladder .step"].map((s) => document.querySelectorAll(s).length));
  assert.equal(later, steps - 1, "steps that were yet to come");
  assert.match(page.url(), /at=0/);
  await page.keyboard.press("ArrowRight");
  await page.locator("#step .lead", { hasText: "answer" }).waitFor();
  await page.locator("#sdp-answer").waitFor();
  await page.keyboard.press("[");
  await page.locator('.ladder .step.here[data-step="0"]').waitFor();
  await page.keyboard.press("}");
  await page.locator(`.ladder .step.here[data-step="${last}"]`).waitFor();
  await page.locator('.ladder [data-step="1"]').click();
  await page.locator('.ladder .step.here[data-step="1"]').waitFor();
  await page.getByText("The ladder in words").click();
  await page.locator("button.line[aria-current=step]", { hasText: "answer" }).waitFor();
  await check("the ladder in words");
  await page.getByText("The ladder in words").click();
  // As long as the last step is looked at, the page goes on with the call.
  await page.keyboard.press("}");
  await wish({ do: "resignal", call: "reception-1", node: "n3" });
  await page.locator(`.ladder .step.here`, { hasText: "" }).and(page.locator(`[data-step]:not([data-step="${last}"])`)).waitFor();
  const text = await page.locator("body").innerText();
  assert.doesNotMatch(text, /inline:(?!\[hidden\])/, "a key is shown");
}

async function ended() {
  await wish({ do: "delete", call: "reception-1", node: "n2" });
  await page.locator(".facts .badge", { hasText: "ended: deleted" }).waitFor();
  await page.goto(config.url + "/#/calls");
  await page.goto(config.url + "/#/call?id=reception-1");
  await page.locator(".facts .badge", { hasText: "ended: deleted" }).waitFor();
  await page.locator(".ladder .step.end").waitFor();
  await page.goto(config.url + "/#/call?id=office-00x");
  await page.getByText("There is no call").waitFor();
  await page.getByRole("link", { name: /^office-00\d$/ }).first().waitFor();
}

async function orders() {
  await page.goto(config.url + "/");
  // Without the token nothing is changed, whoever asks.
  for (const headers of [{}, { Authorization: "Bearer wrong" }, { Cookie: "token=" + config.token }]) {
    const r = await fetch(config.url + "/api/v1/nodes/n2/drain", { method: "POST", headers });
    assert.equal(r.status, 401);
  }
  await row("n2").getByRole("button", { name: "Drain" }).click();
  await page.getByLabel("Token").fill("a wrong token");
  await page.getByRole("button", { name: "Unlock", exact: true }).last().click();
  await page.locator("#said", { hasText: "nothing was changed" }).waitFor();
  await row("n2").getByText("alive").waitFor();
  await row("n2").getByRole("button", { name: "Drain" }).click();
  await page.getByLabel("Token").fill(config.token);
  await check("the token");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Drain n2?" }).waitFor();
  await check("a question");
  await page.getByRole("dialog").getByRole("button", { name: "Drain" }).click();
  await page.locator("#said", { hasText: "n2 takes no new calls" }).waitFor();
  await row("n2").getByText("draining").waitFor();
  await hears("n2 is draining");
  await row("n2").getByRole("button", { name: "Undrain" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Undrain" }).click();
  await row("n2").getByText("alive").waitFor();
  await hears("n2 takes new calls again");
}

// moved kills the node that holds a floating address, and sees that happen. All nodes are on one machine, so no other node can
// have the sockets of the float's calls open beforehand: an order to move it is refused, and says why.
async function moved() {
  const float = page.locator("tr[data-float]").first();
  const id = await float.getAttribute("data-float");
  const to = (await float.locator("td[data-label=Holder]").innerText()).trim();
  await float.getByRole("button", { name: "Move" }).click();
  await page.getByRole("dialog", { name: "Move " + id }).getByRole("button", { name: "Cancel" }).click();
  await wish({ do: "kill", node: to });
  await hears(`${to} is gone`);
  await row(to).locator(".badge", { hasText: "gone" }).waitFor();
  await float.locator("td[data-label=Holder]").filter({ hasNotText: to }).filter({ hasText: /n\d/ }).waitFor();
  await hears(`${id} is with`);
  assert.equal(await page.locator("#link").getAttribute("data-state"), "live", "the page was not loaded anew");
  await row(to).getByRole("button", { name: "Take over" }).waitFor();
  await looks("cluster");
  await wish({ do: "restart", node: to });
  await row(to).getByText("alive").waitFor();
  await hears(`${to} is back`);
}

let failed = null;
try {
  await wish({ do: "place", call: "reception-1", node: "n2", skip: 25 });
  await wish({ do: "crowd", call: "office", num: 61 });
  log("the calls are there");
  for (const f of [cluster, list, call, ended, orders, moved]) {
    const began = Date.now();
    await f();
    log(f.name + ": " + ((Date.now() - began) / 1000).toFixed(1) + " s");
  }
  assert.deepEqual(complaints, [], "the browser complains");
  assert.deepEqual(elsewhere, [], "something was asked for elsewhere");
} catch (e) {
  failed = e;
  console.error(e);
  if (config.shots) await page.screenshot({ path: config.shots + "/failed.png" }).catch(() => {});
}
await context.close();
process.exit(failed ? 1 : 0);
