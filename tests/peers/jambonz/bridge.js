// Calls the npm package rtpengine-client for the Go test: one JSON request a
// line on standard input, {verb, args}, and one JSON reply a line on standard
// output. The arguments are the relay's host and port.
'use strict';
const readline = require('node:readline');
const { Client } = require('rtpengine-client');

const [host, port] = process.argv.slice(2);
const client = new Client({ timeout: 10000, localAddress: '127.0.0.1' });

client.on('error', (err) => {
  console.error(err);
  process.exit(1);
});
client.on('listening', async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { verb, args } = JSON.parse(line);
    try {
      console.log(JSON.stringify(await client[verb]({ host, port: Number(port) }, args)));
    } catch (err) {
      console.log(JSON.stringify({ result: 'failed', 'error-reason': String(err) }));
    }
  }
  client.close();
});
