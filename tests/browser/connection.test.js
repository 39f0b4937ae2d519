// How a connection begins, lives and ends, and what takes its place.

import assert from 'node:assert/strict';
import { beforeEach } from 'node:test';

import * as webwire from '../../transports/wirecore_browser/webwire.js';
import { ACCEPT, Network, frozen, id, pass, settled, utf8, vectors } from './network.js';

let network;

beforeEach(() => {
  network = new Network();
});

frozen('connected means that the server has told its configuration', async () => {
  const client = network.connect();
  assert.equal(client.status, 'connecting');
  let connected = 0;
  client.on('connected', () => connected++);
  const ready = client.ready();
  network.last.readyState = 1;
  assert.equal(client.status, 'connecting');
  network.last.deliver(ACCEPT);
  await ready;
  assert.deepEqual([client.status, connected], ['connected', 1]);
  await client.ready();
});

frozen('requests that were made before wait, in order, and then go', async () => {
  const client = network.connect();
  const replies = [client.request('a'), client.request('b'), client.signal('c', '', { wait: true })];
  await settled();
  assert.deepEqual(network.last.sent, []);
  network.last.accept();
  assert.deepEqual(network.last.sent, [`7f${id(1)}0161`, `7f${id(2)}0162`, '400163']);
  network.last.deliver(`bf${id(1)}`);
  network.last.deliver(`bf${id(2)}`);
  await Promise.all(replies);
});

const mismatches = [
  ['another major version', '17030060ea000000200000', webwire.IncompatibleVersion],
  ['version 1.4', '17010460ea000000200000', webwire.IncompatibleVersion],
  ['a sub-protocol', '17020060ea00000020000078', webwire.SubprotocolMismatch],
  ['another buffer size', '17020060ea000000210000', webwire.BufferSizeMismatch],
  ['no AcceptConf', '3f016178', webwire.UnexpectedFirstMessage],
  ['half an AcceptConf', '17020060ea0000002000', webwire.UnexpectedFirstMessage],
  ['nothing in it', '', webwire.UnexpectedFirstMessage],
];
for (const [what, first, kind] of mismatches) {
  frozen(`a first message with ${what} ends the trying, and the next request tries anew`,
    async (context) => {
      const client = network.connect();
      const request = assert.rejects(client.request('a'), kind);
      const reasons = [];
      client.on('disconnected', (error) => reasons.push(error.name));
      network.last.accept(first);
      await request;
      assert.equal(client.status, 'disconnected');
      assert.deepEqual(reasons, [kind.name]);
      await assert.rejects(client.ready(), kind);
      await assert.rejects(client.signal('a'), kind);
      const again = client.request('b');
      await pass(context, 1999);
      assert.equal(network.sockets.length, 1, 'not more often than the interval');
      await pass(context, 1);
      assert.equal(network.sockets.length, 2);
      network.last.accept();
      network.last.deliver(`bf${id(1)}`);
      await again;
    });
}

frozen('a sub-protocol that only begins like ours is another', async () => {
  const client = network.connect({ subprotocol: 'xy' });
  const ready = assert.rejects(client.ready(), webwire.SubprotocolMismatch);
  network.last.accept('17020060ea00000020000078');
  await ready;
});

frozen('after a refusal nothing is tried unasked', async (context) => {
  const client = network.connect();
  network.last.accept('17030060ea000000200000');
  await pass(context, 60_000);
  assert.deepEqual([client.status, network.sockets.length], ['disconnected', 1]);
});

frozen('a text message as the first is no AcceptConf', async () => {
  const client = network.connect();
  const ready = assert.rejects(client.ready(), webwire.UnexpectedFirstMessage);
  network.last.readyState = 1;
  network.last.deliverText('hi');
  await ready;
});

frozen('minor versions, sub-protocols and buffers that agree are fine', async () => {
  for (const [options, accept] of [
    [{}, '17020960ea000000200000'],
    [{ subprotocol: 'chat.v1' }, `17020060ea000000200000${utf8('chat.v1')}`],
    [{ subprotocol: 'наш' }, `17020060ea000000200000${utf8('наш')}`],
    [{ bufferSize: 32 }, '17020060ea000020000000'],
  ]) {
    const client = network.connect(options);
    network.last.accept(accept);
    assert.equal(client.status, 'connected');
  }
});

frozen('heartbeats follow the last write by 3/4 of the read timeout', async (context) => {
  const client = network.connected();
  const { sent } = network.last;
  await pass(context, 44_999);
  assert.deepEqual(sent, []);
  await pass(context, 1);
  assert.deepEqual(sent.splice(0), ['21']);
  await pass(context, 30_000);
  await client.signal('a');
  await pass(context, 44_999);
  assert.deepEqual(sent.splice(0), ['3f0161']);
  await pass(context, 1);
  assert.deepEqual(sent.splice(0), ['21']);
  await client.close();
  await pass(context, 100_000);
  assert.deepEqual(sent, []);
});

frozen('a read timeout of weeks, or of nothing, makes no flood of heartbeats', async (context) => {
  network.connect();
  network.last.accept('170200ffffffff00200000');
  await pass(context, 1_000_000_000);
  assert.deepEqual(network.last.sent, []);
  network.connect();
  network.last.accept('1702000000000000200000');
  await pass(context, 1000);
  assert.ok(network.last.sent.length <= 4);
});

frozen('a loss fails what was sent, at once, and the next connection carries on', async () => {
  const client = network.connected();
  const events = [];
  client.on('disconnected', (error) => events.push(error.name));
  client.on('connected', () => events.push('connected'));
  const lost = assert.rejects(client.request('a'), (error) =>
    error instanceof webwire.Disconnected && error.execution === 'maybe_executed');
  network.last.lose();
  await lost;
  assert.deepEqual(events, ['Disconnected']);
  assert.equal(client.status, 'connecting');
  await assert.rejects(client.signal('now'), (error) =>
    error instanceof webwire.Disconnected && error.execution === 'not_sent');
});

frozen('tries to connect are an interval apart, until one holds', async (context) => {
  const client = network.connect();
  for (let tries = 1; tries < 5; tries++) {
    assert.equal(network.sockets.length, tries);
    network.last.fail();
    await pass(context, 1999);
    assert.equal(network.sockets.length, tries);
    await pass(context, 1);
  }
  network.last.accept();
  assert.equal(client.status, 'connected');
  // One that held for longer than the interval is followed at once.
  await pass(context, 10_000);
  network.last.lose();
  assert.equal(network.sockets.length, 6);
});

frozen('a server that says nothing is given up after the dial timeout', async (context) => {
  const client = network.connect({ dialTimeout: 3000 });
  const [silent] = network.sockets;
  await pass(context, 2999);
  assert.equal(network.sockets.length, 1);
  await pass(context, 1);
  assert.equal(network.sockets.length, 2);
  assert.ok(silent.readyState >= 2, 'closed');
  silent.deliver(ACCEPT);
  assert.equal(client.status, 'connecting', 'what comes on the old one is nothing to us');
});

frozen('no connection in time is an error of its own, that says what the last try met', async (context) => {
  const client = network.connect({ requestTimeout: 1000 });
  const request = assert.rejects(client.request('a'), (error) =>
    error instanceof webwire.ConnectionTimeout && error.cause instanceof webwire.Disconnected);
  const signal = assert.rejects(client.signal('a', 'x', { wait: true, timeout: 500 }),
    webwire.ConnectionTimeout);
  const ready = assert.rejects(client.ready(), webwire.ConnectionTimeout);
  network.last.fail();
  await settled();
  await pass(context, 1000);
  await Promise.all([request, signal, ready]);
  await pass(context, 1000);
  network.last.accept();
  assert.deepEqual(network.last.sent, [], 'nothing goes out for who has given up');
});

for (const { label, first, before_reply } of vectors.client_reactions) {
  if (!before_reply.length || before_reply[0].opcode === 'ping' || before_reply[0].opcode === 'close') {
    continue;
  }
  const [{ opcode, hex, id_at }] = before_reply;
  const put = (id_text) => id_at === undefined
    ? hex
    : hex.slice(0, id_at * 2) + id_text + hex.slice(id_at * 2 + 16);
  frozen(`golden reaction: ${label}`, async (context) => {
    context.mock.method(console, 'warn', () => {});
    const client = network.connect();
    network.last.accept(first[0].hex);
    const outcome = client.request('a', 'x').then(() => 'reply', (error) => error.name);
    if (opcode === 'text') network.last.deliverText(Buffer.from(hex, 'hex').toString());
    else network.last.deliver(put(id(1)));
    network.last.deliver(`c0${id(1)}`);
    const expected = {
      'type 5 with the id': 'SessionsDisabled',
      'type 4 with the id': 'MaxSessionConnectionsReached',
      'type 1 with the id': 'ServerShutdown',
      'reply with unknown id before the reply': 'reply',
      'session created, bad JSON': 'reply',
      'client-only: request': 'reply',
      'name-only binary signal': 'reply',
    }[label] ?? 'Disconnected';
    assert.equal(await outcome, expected);
    if (expected !== 'Disconnected') {
      assert.equal(network.sockets.length, 1);
      return;
    }
    // Not a message: that connection ends, and the next one works.
    await pass(context, 2000);
    assert.equal(network.sockets.length, 2);
    network.last.accept();
    const again = client.request('a', 'x');
    network.last.deliver(`c0${id(2)}`);
    await again;
  });
}

frozen('a second AcceptConf is without effect', async () => {
  const client = network.connected();
  network.last.deliver('17030060ea000000200000');
  assert.equal(client.status, 'connected');
});

frozen('a connection that has ended is noticed before its event comes', async () => {
  const client = network.connected();
  const [first] = network.sockets;
  first.readyState = 2;
  await assert.rejects(client.signal('a'), webwire.Disconnected);
  const request = client.request('a');
  assert.deepEqual(first.sent, []);
  assert.equal(client.status, 'connecting');
  request.catch(() => {});
});

frozen('a request on a connection that has ended waits for the next', async (context) => {
  const client = network.connected();
  await pass(context, 2000);
  const [first] = network.sockets;
  first.readyState = 3;
  const request = client.request('a');
  assert.deepEqual(first.sent, []);
  network.last.accept();
  network.last.deliver(`bf${id(1)}`);
  await request;
  network.last.readyState = 3; // and the event never comes
  await client.close();
});

frozen('without autoconnect nothing is dialled unasked, and one call is one try', async (context) => {
  const client = network.connect({ autoconnect: false });
  assert.equal(client.status, 'disconnected');
  await assert.rejects(client.request('a'), webwire.Disconnected);
  await assert.rejects(client.ready(), webwire.Disconnected);
  assert.equal(network.sockets.length, 0);
  const failed = assert.rejects(client.connect(), webwire.Disconnected);
  network.last.fail();
  await failed;
  const silent = assert.rejects(client.connect(), webwire.ConnectionTimeout);
  await pass(context, 5000);
  await silent;
  const both = [client.connect(), client.connect()];
  assert.equal(network.sockets.length, 3);
  network.last.accept();
  await Promise.all(both);
  network.last.lose();
  await pass(context, 60_000);
  assert.equal(client.status, 'disconnected');
  assert.equal(network.sockets.length, 3);
});

frozen('close ends it for now; connect, or a request, goes on', async (context) => {
  const client = network.connected();
  const pending = assert.rejects(client.request('a'), webwire.Disconnected);
  const reasons = [];
  client.on('disconnected', (error) => reasons.push(error.message));
  await client.close();
  await pending;
  assert.deepEqual([client.status, reasons], ['disconnected', ['the client was closed']]);
  await pass(context, 60_000);
  assert.equal(network.sockets.length, 1);
  await assert.rejects(client.signal('a'), webwire.Disconnected);
  const request = client.request('b');
  network.last.accept();
  network.last.deliver(`bf${id(2)}`);
  await request;
  await client.close();
  await client.close();
  const connecting = client.connect();
  network.last.accept();
  await connecting;
});

frozen('close while dialling fails who waits', async () => {
  const client = network.connect();
  const waiting = [client.request('a'), client.ready()].map((call) =>
    assert.rejects(call, webwire.Disconnected));
  await client.close();
  await Promise.all(waiting);
});

frozen('a server that never answers the close is not waited for', async (context) => {
  const client = network.connected();
  network.last.close = () => {};
  const closing = client.close();
  await pass(context, 5000);
  await closing;
});

frozen('a constructor that refuses is no reason to try again', async (context) => {
  const refusal = new Error('an insecure WebSocket from a secure page');
  const client = network.connect({ WebSocket: class { constructor() { throw refusal; } } });
  await assert.rejects(client.ready(), refusal);
  const again = assert.rejects(client.request('a'), refusal);
  await pass(context, 2000);
  await again;
  await pass(context, 60_000);
  assert.equal(client.status, 'disconnected');
});
