// Prints the calls of a rtpjet cluster that end, and the parties that fall silent, as lines of JSON:
//
//   npm ci
//   node main.js --nats nats://127.0.0.1:4222
//
// It uses nothing of rtpjet but the contract in docs/events.md.
"use strict";

const { parseArgs } = require("node:util");
const { connect, AckPolicy, DeliverPolicy } = require("nats");

const { values: options } = parseArgs({
  options: {
    nats: { type: "string", default: "nats://127.0.0.1:4222" }, // user and password may be in it
    region: { type: "string", default: "default" },
    stream: { type: "string", default: "" }, // the stream to read, if it is a copy of your own
    durable: { type: "string", default: "" }, // a name under which NATS remembers what was read
  },
});

async function main() {
  const url = new URL(options.nats);
  const nc = await connect({
    servers: url.host,
    user: decodeURIComponent(url.username) || undefined,
    pass: decodeURIComponent(url.password) || undefined,
    name: "events-node",
    maxReconnectAttempts: -1,
  });
  const stream = options.stream || "CALLS_" + options.region;
  const manager = await nc.jetstreamManager();
  // From now on. A durable consumer that is there already goes on after what was acknowledged last.
  const config = {
    filter_subject: `calls.${options.region}.>`,
    deliver_policy: DeliverPolicy.New,
    ack_policy: AckPolicy.Explicit,
    ack_wait: 5e9, // ns; what was not acknowledged then comes again
  };
  if (options.durable) {
    config.durable_name = options.durable;
  } else {
    config.inactive_threshold = 5 * 60 * 1e9; // ns; NATS removes it then
  }
  const { name } = await manager.consumers.add(stream, config);
  const consumer = await nc.jetstream().consumers.get(stream, name);
  const messages = await consumer.consume();
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => messages.close()); // ends the loop below
  }
  console.error("following the calls of region", options.region);
  for await (const m of messages) {
    try {
      const line = tell(decode(m.data));
      if (line) console.log(JSON.stringify(line));
    } catch (err) {
      console.error("events-node: passing over an entry:", err.message);
    }
    m.ack();
  }
  await nc.drain(); // what was acknowledged leaves before the connection ends
}

// decode reads the first line of a message. What follows it, the NG command and its reply, is not needed here.
function decode(data) {
  const end = data.indexOf(10);
  if (end < 0) throw new Error("it has no first line");
  const entry = JSON.parse(new TextDecoder().decode(data.subarray(0, end)));
  // The contract of another version may mean something else by the same words.
  if (entry.v !== 1) throw new Error(`it is of version ${entry.v}`);
  return entry;
}

// tell returns what there is to print about an entry, null for nothing. Kinds that it does not know are among those.
function tell(entry) {
  const ev = entry.event;
  switch (entry.kind) {
    case "ended":
      return {
        event: "ended",
        call: entry.call,
        reason: ev.reason,
        seconds: ev.created ? seconds((ev.until ?? entry.at) - ev.created) : null, // null if the entry is of an early release
        packets: ev.rtp?.packets ?? 0,
        bytes: ev.rtp?.bytes ?? 0,
        one_way: ev.one_way ?? 0,
      };
    case "leg_silent":
      return {
        event: "silent",
        call: entry.call,
        tag: ev.tag ?? "",
        media: ev.media,
        seconds: seconds(entry.at - ev.since),
        packets_before: ev.packets ?? 0,
      };
  }
  return null;
}

// Times are µs of Unix time, which a JavaScript number holds exactly.
function seconds(us) {
  return Math.round(us / 1000) / 1000;
}

main().catch((err) => {
  console.error("events-node:", err.message);
  process.exitCode = 1;
});
