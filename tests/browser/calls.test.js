// Requests, signals and what becomes of them, over a connection that holds.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';

import * as webwire from '../../transports/wirecore_browser/webwire.js';
import { Network, frozen, hex, id, pass, settled, utf8 } from './network.js';

frozen('a request goes out at once, and its reply comes back', async () => {
  const network = new Network();
  const client = network.connected();
  const reply = client.request('echo', 'hällo 😀');
  assert.deepEqual(network.last.sent, [`80${id(1)}04${utf8('echo')}${utf8('hällo 😀')}`]);
  network.last.deliver(`c0${id(1)}${utf8('hällo 😀')}`);
  const { data, encoding, text } = await reply;
  assert.deepEqual([hex(data), encoding, text], [utf8('hällo 😀'), 'utf8', 'hällo 😀']);
});

frozen('replies find their requests in any order', async () => {
  const network = new Network();
  const client = network.connected();
  const replies = ['a', 'b', 'c'].map((name) => client.request(name));
  for (const [number, text] of [[3, 'third'], [1, 'first'], [2, 'second']]) {
    network.last.deliver(`c0${id(number)}${utf8(text)}`);
  }
  assert.deepEqual((await Promise.all(replies)).map(({ text }) => text), ['first', 'second', 'third']);
});

frozen('each kind of payload goes in its encoding', async () => {
  const network = new Network();
  const client = network.connected();
  const whole = new Uint8Array([9, 1, 2, 9]);
  const sent = [
    [['n'], `7f${id(1)}016e`],
    [['n', null], `7f${id(2)}016e`],
    [['n', ''], `80${id(3)}016e`],
    [['', 'x'], `80${id(4)}0078`],
    [['n', '😀', { encoding: 'utf16' }], `81${id(5)}016e003dd800de`],
    [['', 'x', { encoding: 'utf16' }], `81${id(6)}007800`],
    [['n', whole.subarray(1, 3)], `7f${id(7)}016e0102`],
    [['n', new Uint16Array([1, 2])], `7f${id(8)}016e01000200`],
    [['n', whole.buffer], `7f${id(9)}016e09010209`],
    [['n', whole.subarray(1, 3), { encoding: 'utf8' }], `80${id(10)}016e0102`],
  ];
  for (const [given] of sent) client.request(...given);
  await settled();
  assert.deepEqual(network.last.sent, sent.map(([, message]) => message));
});

frozen('a reply in UTF-16, in JSON, or with nothing in it', async () => {
  const network = new Network();
  const client = network.connected();
  const replies = ['a', 'b', 'c'].map((name) => client.request(name));
  network.last.deliver(`c1${id(1)}003dd800de`);
  network.last.deliver(`c0${id(2)}${utf8('{"n": [1]}')}`);
  network.last.deliver(`bf${id(3)}`);
  const [wide, json, empty] = await Promise.all(replies);
  assert.deepEqual([wide.text, wide.encoding], ['😀', 'utf16']);
  assert.deepEqual(json.json(), { n: [1] });
  assert.deepEqual([empty.text, empty.encoding, empty.data.length], ['', 'binary', 0]);
});

frozen('bytes that are no text come as bytes, and tell when asked for text', async () => {
  const network = new Network();
  const reply = network.connected().request('a');
  network.last.deliver(`c0${id(1)}ff`);
  const payload = await reply;
  assert.equal(hex(payload.data), 'ff');
  assert.throws(() => payload.text, webwire.InvalidMessage);
});

frozen("the server's errors are classes", async () => {
  const network = new Network();
  const client = network.connected();
  const failing = (answer) => {
    const request = client.request('a');
    network.last.deliver(answer(network.last.sent.at(-1).slice(2, 18)));
    return request;
  };
  await assert.rejects(
    failing((to) => `00${to}04${utf8('CODE')}${utf8('es ging schief: ü')}`),
    (error) => error instanceof webwire.RequestError && error.code === 'CODE'
      && error.message === 'es ging schief: ü',
  );
  const kinds = [
    webwire.ServerShutdown,
    webwire.InternalError,
    webwire.SessionNotFound,
    webwire.MaxSessionConnectionsReached,
    webwire.SessionsDisabled,
  ];
  for (const [index, kind] of kinds.entries()) {
    await assert.rejects(failing((to) => `0${index + 1}${to}`), (error) => error instanceof kind
      && error instanceof webwire.WebwireError && error.name === kind.name);
  }
});

frozen('no reply in time is an error, and a late reply harms nobody', async (context) => {
  const network = new Network();
  const client = network.connected();
  const slow = assert.rejects(client.request('slow', 'x', { timeout: 100 }), webwire.DeadlineExceeded);
  const other = client.request('other');
  await pass(context, 100);
  await slow;
  network.last.deliver(`c0${id(1)}${utf8('late')}`);
  network.last.deliver(`c0${id(2)}${utf8('in time')}`);
  assert.equal((await other).text, 'in time');
  const usual = assert.rejects(client.request('slow'), webwire.DeadlineExceeded);
  await pass(context, 60_000);
  await usual;
  assert.equal(client.status, 'connected');
});

frozen('an AbortSignal ends a request with its reason', async () => {
  const network = new Network();
  const client = network.connected();
  const aborting = new AbortController();
  const reason = new Error('changed my mind');
  const request = client.request('a', 'x', { signal: aborting.signal });
  aborting.abort(reason);
  await assert.rejects(request, reason);
  network.last.deliver(`c0${id(1)}`);
  await assert.rejects(client.request('b', 'x', { signal: aborting.signal }), reason);
  assert.equal(network.last.sent.length, 1, 'nothing goes out for who has given up already');
  const lasting = new AbortController();
  const answered = client.request('c', 'x', { signal: lasting.signal });
  network.last.deliver(`bf${id(2)}`);
  await answered;
  assert.deepEqual(getEventListeners(lasting.signal, 'abort'), []);
  assert.equal(client.status, 'connected');
});

frozen('what the wire does not take is refused before anything is sent', async () => {
  const network = new Network();
  const client = network.connected();
  const { UnsendableMessage, BufferOverflow } = webwire;
  const refusals = [
    [client.request(''), UnsendableMessage],
    [client.request('ü', 'x'), UnsendableMessage],
    [client.request('n'.repeat(256), 'x'), UnsendableMessage],
    [client.request('n', new Uint8Array(3), { encoding: 'utf16' }), UnsendableMessage],
    [client.request('n', 'x\udc00'), UnsendableMessage],
    [client.signal('n', '', { encoding: 'utf16' }), UnsendableMessage],
    [client.signal(''), UnsendableMessage],
    [client.request('n', 'x'.repeat(8192)), BufferOverflow],
    [client.signal('n', 'x'.repeat(8190)), BufferOverflow],
    [client.request('n', { an: 'object' }), TypeError],
    [client.request(7, 'x'), TypeError],
    [client.request('n', 'x', { encoding: 'latin1' }), TypeError],
    [client.request('n', 'x', { encoding: 'binary' }), TypeError],
    [client.request('n', 'x', { timeout: -1 }), RangeError],
    [client.request('n', 'x', { timeout: 'long' }), RangeError],
  ];
  for (const [call, kind] of refusals) await assert.rejects(call, kind);
  assert.deepEqual(network.last.sent, []);
  await client.signal('n', 'x'.repeat(8189));
  assert.equal(network.last.sent[0].length, 8192 * 2, 'exactly the size still passes');
});

frozen('what waits has a bound, and so has what the network has not taken', async () => {
  const network = new Network();
  const client = network.connected({ maxPending: 2, maxBuffered: 1000 });
  const waiting = [client.request('a'), client.request('b')];
  await assert.rejects(client.request('c'), webwire.BufferOverflow);
  network.last.deliver(`bf${id(1)}`);
  network.last.deliver(`bf${id(2)}`);
  await Promise.all(waiting);
  network.last.bufferedAmount = 1001;
  await assert.rejects(client.signal('d'), webwire.BufferOverflow);
  network.last.bufferedAmount = 1000;
  await client.signal('d');
});

frozen('signals go both ways', async () => {
  const network = new Network();
  const client = network.connected();
  await client.signal('chat', 'hi');
  await client.signal('only-a-name');
  await client.signal('', '😀', { encoding: 'utf16' });
  assert.deepEqual(network.last.sent, [
    `4004${utf8('chat')}${utf8('hi')}`,
    `3f0b${utf8('only-a-name')}`,
    '41003dd800de',
  ]);
  const seen = [];
  client.on('signal', (name, { text, encoding }) => seen.push([name, text, encoding]));
  const stop = client.on('signal:news', ({ text }) => seen.push([text]));
  network.last.deliver(`4004${utf8('news')}${utf8('😀')}`);
  stop();
  network.last.deliver(`4104${utf8('news')}3dd800de`);
  network.last.deliver(`3f04${utf8('only')}`);
  network.last.deliver('3f0078');
  assert.deepEqual(seen, [
    ['news', '😀', 'utf8'],
    ['😀'],
    ['news', '😀', 'utf16'],
    ['only', '', 'binary'],
    ['', 'x', 'binary'],
  ]);
});

frozen('a handler that fails is reported, and the others are called', async (context) => {
  const reports = context.mock.method(console, 'error', () => {});
  const network = new Network();
  const client = network.connected();
  const seen = [];
  client.on('signal', () => { throw new Error('first'); });
  client.on('signal', async () => { throw new Error('second'); });
  client.on('signal', () => seen.push('third'));
  network.last.deliver('3f0078');
  await settled();
  assert.deepEqual(seen, ['third']);
  assert.deepEqual(reports.mock.calls.map((call) => call.arguments[0].message), ['first', 'second']);
  assert.equal(client.status, 'connected');
});

frozen('options that make no sense are told at once', () => {
  const network = new Network();
  for (const options of [{ bufferSize: 31 }, { requestTimeout: 0 }, { dialTimeout: 'long' },
    { reconnectInterval: NaN }, { maxPending: 0 }]) {
    assert.throws(() => network.connect(options), RangeError);
  }
  const { connect } = webwire;
  assert.throws(() => connect('ftp://example.test/', { WebSocket: network.WebSocket }), TypeError);
  assert.throws(() => connect('/relative', { WebSocket: network.WebSocket }), TypeError);
  assert.throws(() => connect('ws://example.test/', { WebSocket: 'ws' }), TypeError);
  connect('https://example.test/chat?room=1#top', { WebSocket: network.WebSocket, storage: null });
  assert.equal(network.last.url, 'wss://example.test/chat?room=1');
});

frozen('an option that no call has is told', async () => {
  const client = new Network().connected();
  for (const wrong of [{ timout: 100 }, { wait: true }]) {
    await assert.rejects(client.request('a', 'b', wrong), /there is no option (timout|wait) here/);
  }
  await assert.rejects(client.ready({ within: 5 }), /there is no option within here/);
});
