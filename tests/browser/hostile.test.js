// What servers, storages, programs and networks do that nobody hopes for.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { beforeEach } from 'node:test';

import * as webwire from '../../transports/wirecore_browser/webwire.js';
import { MemoryStorage, Network, frozen, id, pass, settled, utf8 } from './network.js';

const NAME = 'webwire:ws://example.test/chat';
const TIMES = '"c":"2020-01-02T03:04:05Z","l":"2020-01-02T03:04:06Z"';
const session = (key) => `{"k":"${key}",${TIMES}}`;
const created = (key) => `15${utf8(session(key))}`;
const restore = (number, key) => `20${id(number)}${utf8(key)}`;
const restored = (number, key) => `c0${id(number)}${utf8(session(key))}`;
const CLOSED = '16';

let network;

beforeEach(() => {
  network = new Network();
});

// ---- Restores whose answer comes late ----

for (const [how, options, kind, giveUp] of [
  ['deadline', { timeout: 100 }, 'DeadlineExceeded', (context) => pass(context, 100)],
  ['abort', {}, 'AbortError', (context, aborting) => aborting.abort()],
]) {
  frozen(`a session restored after its caller's ${how} is taken up: the server has it`,
    async (context) => {
      const client = network.connected();
      const events = [];
      client.on('sessionCreated', ({ key }) => events.push(key));
      const aborting = new AbortController();
      const restoring = assert.rejects(
        client.restoreSession('k', { ...options, signal: aborting.signal }), { name: kind });
      await giveUp(context, aborting);
      await restoring;
      assert.equal(client.session, null);
      network.last.deliver(restored(1, 'k'));
      assert.deepEqual([client.session.key, events], ['k', ['k']]);
      client.closeSession();
      assert.deepEqual(network.last.sent.slice(1), [`1f${id(2)}`]);
    });
}

frozen('a restore refused after its deadline is nothing to anybody', async (context) => {
  const client = network.connected();
  const restoring = assert.rejects(client.restoreSession('k', { timeout: 1 }), webwire.DeadlineExceeded);
  await pass(context, 1);
  await restoring;
  network.last.deliver(`03${id(1)}`);
  await settled();
  assert.deepEqual([client.status, client.session], ['connected', null]);
});

frozen('a session closed here while it is being restored stays closed', async () => {
  const storage = new MemoryStorage();
  const client = network.connected({ storage });
  const restoring = assert.rejects(client.restoreSession('k'), webwire.InvalidState);
  const closing = client.closeSession();
  assert.deepEqual(network.last.sent, [restore(1, 'k'), `1f${id(2)}`], 'the server is told');
  network.last.deliver(restored(1, 'k'));
  await restoring;
  assert.deepEqual([client.session, storage.items], [null, {}]);
  network.last.deliver(`bf${id(2)}`);
  await closing;
});

frozen('a session closed by the server before it answers the restore is gone', async () => {
  const storage = new MemoryStorage();
  storage.setItem(NAME, 'k');
  const client = network.connect({ storage });
  const events = [];
  for (const name of ['sessionCreated', 'sessionClosed', 'connected']) {
    client.on(name, () => events.push(name));
  }
  network.last.accept();
  network.last.deliver(CLOSED);
  network.last.deliver(restored(1, 'k'));
  assert.deepEqual([client.status, client.session, storage.items], ['connected', null, {}]);
  assert.deepEqual(events, ['sessionClosed', 'connected']);
});

frozen('closeSession that gives up during a restore forgets all the same', async (context) => {
  const storage = new MemoryStorage();
  storage.setItem(NAME, 'k');
  const client = network.connect({ storage });
  network.last.accept();
  const closing = assert.rejects(client.closeSession({ timeout: 100 }), webwire.ConnectionTimeout);
  await pass(context, 100);
  await closing;
  network.last.deliver(restored(1, 'k'));
  await pass(context, 2000);
  network.last.accept();
  assert.deepEqual([client.status, client.session, storage.items], ['connected', null, {}]);
  assert.deepEqual([network.sockets.length, network.last.sent], [2, []]);
});

// ---- Storages ----

frozen('of two tabs the second one restores what the first has stored meanwhile', async () => {
  const storage = new MemoryStorage();
  storage.setItem(NAME, 'old');
  const client = network.connect({ storage });
  const other = network.connect({ storage });
  const [mine, theirs] = network.sockets;
  theirs.accept();
  theirs.deliver(`03${id(1)}`);
  theirs.deliver(created('new'));
  mine.accept();
  assert.deepEqual(mine.sent, [restore(1, 'new')]);
  mine.deliver(restored(1, 'new'));
  assert.equal(client.session.key, other.session.key);
});

frozen('what a tab has closed does not come back from what another has stored', async (context) => {
  const storage = new MemoryStorage();
  const client = network.connected({ storage });
  const [mine] = network.sockets;
  mine.deliver(created('k'));
  client.closeSession();
  mine.deliver(`bf${id(1)}`);
  storage.setItem(NAME, 'of another tab');
  await pass(context, 2000);
  mine.lose();
  network.last.accept();
  assert.deepEqual([client.status, network.last.sent, client.session], ['connected', [], null]);
});

frozen('a key that cannot be stored leaves no older one in its place', async () => {
  const storage = new MemoryStorage();
  const client = network.connected({ storage });
  network.last.deliver(created('first'));
  storage.setItem = () => { throw new Error('QuotaExceededError'); };
  network.last.deliver(created('second'));
  assert.deepEqual([client.session.key, storage.items], ['second', {}]);
});

frozen('a key that is stored already is not written again', async () => {
  const storage = new MemoryStorage();
  storage.setItem(NAME, 'k');
  const refuse = () => assert.fail('written');
  const client = network.connect({ storage });
  Object.assign(storage, { setItem: refuse, removeItem: refuse });
  network.last.accept();
  network.last.deliver(restored(1, 'k'));
  assert.deepEqual([client.session.key, storage.items], ['k', { [NAME]: 'k' }]);
});

frozen('a storage that answers with something else holds no key', async () => {
  for (const held of [Promise.resolve('k'), 7, {}, '']) {
    const client = network.connect({ storage: { getItem: () => held } });
    network.last.accept();
    assert.deepEqual([client.status, network.last.sent], ['connected', []]);
  }
});

frozen('a stored key that no message can hold is forgotten, and costs no connection', async () => {
  const storage = new MemoryStorage();
  storage.setItem(NAME, 'x'.repeat(8192));
  const client = network.connect({ storage });
  const reasons = [];
  client.on('sessionRefused', (error) => reasons.push(error.name));
  network.last.accept();
  assert.deepEqual([client.status, network.last.sent], ['connected', []]);
  assert.deepEqual([storage.items, reasons], [{}, ['BufferOverflow']]);
});

frozen('the mere name of localStorage may throw', async (context) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'localStorage');
  const get = () => { throw new Error('SecurityError'); };
  Object.defineProperty(globalThis, 'localStorage', { get, configurable: true });
  context.after(() => {
    if (before) Object.defineProperty(globalThis, 'localStorage', before);
    else delete globalThis.localStorage;
  });
  const client = network.connected({ storage: undefined });
  network.last.deliver(created('k'));
  assert.equal(client.session.key, 'k');
  network.last.deliver(CLOSED);
  assert.equal(client.session, null);
});

// ---- WebSockets ----

frozen('a WebSocket that refuses to send fails the call, and holds on to nothing', async () => {
  const client = network.connected({ maxPending: 1 });
  const refusal = new Error('InvalidStateError');
  const { send } = network.last;
  network.last.send = () => { throw refusal; };
  const aborting = new AbortController();
  for (let i = 0; i < 3; i++) {
    await assert.rejects(client.request('a', 'x', { signal: aborting.signal }), refusal);
    await assert.rejects(client.signal('a', 'x', { signal: aborting.signal }), refusal);
  }
  assert.deepEqual(getEventListeners(aborting.signal, 'abort'), []);
  network.last.send = send;
  const request = client.request('b');
  const [, number] = /^7f(.{16})/.exec(network.last.sent.at(-1));
  network.last.deliver(`bf${number}`);
  await request;
});

frozen('who waits behind a call that cannot be sent is served', async () => {
  const client = network.connect();
  const failing = assert.rejects(client.request('first'), /once/);
  const request = client.request('second');
  let failed = false;
  const { send } = network.last;
  network.last.send = function (data) {
    if (!failed) {
      failed = true;
      throw new Error('once');
    }
    send.call(this, data);
  };
  network.last.accept();
  await failing;
  network.last.deliver(`bf${id(2)}`);
  await request;
  assert.equal(client.status, 'connected');
});

frozen('a connection that ends while those who wait are served keeps the others waiting', async (context) => {
  const client = network.connect();
  const failing = assert.rejects(client.request('first'), webwire.Disconnected);
  const request = client.request('second');
  const [first] = network.sockets;
  first.send = function () { this.lose(); };
  first.accept();
  await failing;
  await pass(context, 2000);
  network.last.accept();
  assert.equal(network.last.sent.length, 1);
  network.last.deliver(`bf${network.last.sent[0].slice(2, 18)}`);
  await request;
});

frozen('a heartbeat that cannot be sent ends the connection, not the program', async (context) => {
  const client = network.connected();
  network.last.send = () => { throw new Error('InvalidStateError'); };
  await pass(context, 45_000);
  assert.equal(client.status, 'connecting');
  assert.equal(network.sockets.length, 2);
  network.last.accept();
  await pass(context, 44_000);
  network.last.readyState = 2; // closing, and its event doesn't come
  await pass(context, 1000);
  assert.equal(network.sockets.length, 3);
});

frozen('a restore that cannot be sent is tried again on the next connection', async (context) => {
  const storage = new MemoryStorage();
  storage.setItem(NAME, 'k');
  const client = network.connect({ storage });
  network.last.send = () => { throw new Error('InvalidStateError'); };
  network.last.accept();
  assert.deepEqual([client.status, storage.items], ['connecting', { [NAME]: 'k' }]);
  await pass(context, 2000);
  network.last.accept();
  network.last.deliver(`c0${network.last.sent[0].slice(2, 18)}${utf8(session('k'))}`);
  assert.deepEqual([client.status, client.session.key], ['connected', 'k']);
});

frozen('who connects as soon as it is disconnected is not taken for one who waited', async () => {
  const client = network.connected();
  let connecting;
  client.on('disconnected', () => { connecting ??= client.connect(); });
  const closing = client.close();
  network.last.accept();
  await connecting;
  await closing;
  assert.equal(client.status, 'connected');
});

frozen('close waits no longer than usual, however long a try may take', async (context) => {
  const client = network.connected({ dialTimeout: Infinity });
  network.last.close = () => {};
  const closing = client.close();
  await pass(context, 5000);
  await closing;
});

frozen('a WebSocket that refuses to close is let go', async () => {
  const client = network.connected();
  network.last.close = () => { throw new Error('InvalidStateError'); };
  await client.close();
  assert.equal(client.status, 'disconnected');
});

frozen('a message that is neither text nor an ArrayBuffer ends the connection', async () => {
  const client = network.connected();
  network.last.onmessage({ data: new Blob(['x']) });
  assert.equal(client.status, 'connecting');
});

// ---- Programs ----

frozen('arguments of a wrong kind leave nothing behind', async (context) => {
  const client = network.connected({ maxPending: 1 });
  const aborting = new AbortController();
  const { signal } = aborting;
  for (const [options, kind] of [
    [{ signal: {} }, TypeError],
    [{ signal, timeout: 'soon' }, RangeError],
    [{ signal, timeout: NaN }, RangeError],
  ]) {
    await assert.rejects(client.request('a', 'x', options), kind);
    await assert.rejects(client.ready(options), kind);
  }
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
  await pass(context, 60_000); // no timer of theirs throws
  assert.deepEqual(network.last.sent, ['21']);
  const connecting = network.connect();
  for (const how of [{ timeout: 1 }, {}]) {
    const waiting = assert.rejects(connecting.request('a', 'x', { signal, ...how }));
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await pass(context, 1);
    if (!how.timeout) aborting.abort();
    await waiting;
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  }
});

frozen('options of a wrong type are told before anything is dialled', () => {
  for (const options of [{ dialTimeout: '3000' }, { requestTimeout: '1' }, { reconnectInterval: '1' },
    { bufferSize: '8192' }, { bufferSize: 8192.5 }, { bufferSize: 2 ** 32 }, { maxPending: '9' }]) {
    assert.throws(() => network.connect(options), RangeError);
  }
  assert.throws(() => network.connect({ subprotocol: 7 }), TypeError);
  assert.equal(network.sockets.length, 0);
});

frozen('handlers that throw, end themselves or others, or close the client harm nobody', async (context) => {
  const reports = context.mock.method(console, 'error', () => {});
  const client = network.connected();
  const seen = [];
  const stopFirst = client.on('signal:a', () => { stopFirst(); seen.push('first'); throw new Error('1'); });
  client.on('signal:a', () => ({ get then() { throw new Error('2'); } }));
  client.on('signal:a', () => Promise.reject(new Error('3')));
  client.on('signal:a', () => seen.push('last'));
  network.last.deliver('40016178');
  network.last.deliver('40016178');
  await settled();
  assert.deepEqual(seen, ['first', 'last', 'last']);
  assert.deepEqual(reports.mock.calls.map((call) => call.arguments[0].message).sort(),
    ['1', '2', '2', '3', '3']);
  for (const event of ['sessionCreated', 'sessionClosed', 'disconnected', 'connected']) {
    client.on(event, () => { throw new Error(event); });
  }
  network.last.deliver(created('k'));
  network.last.deliver(CLOSED);
  await pass(context, 2000);
  network.last.lose();
  network.last.accept();
  assert.equal(client.status, 'connected');
  client.on('signal:b', () => void client.close());
  network.last.deliver('40016278');
  assert.equal(client.status, 'disconnected');
});

frozen('a page that goes into the cache of the browser closes, and comes back', async (context) => {
  const storage = new MemoryStorage();
  const client = network.connected({ storage });
  network.last.deliver(created('k'));
  client.close(); // pagehide: not waited for
  await pass(context, 600_000);
  assert.equal(network.sockets.length, 1);
  client.connect(); // pageshow
  network.last.accept();
  network.last.deliver(restored(1, 'k'));
  assert.deepEqual([client.status, client.session.key], ['connected', 'k']);
});

// ---- Storms ----

frozen('a server that accepts and ends each connection is dialled at the interval', async (context) => {
  const storage = new MemoryStorage();
  storage.setItem(NAME, 'k');
  const client = network.connect({ storage });
  for (const answer of ['ff', `01${id(2)}`, `02${id(3)}`, '']) {
    network.last.accept();
    network.last.deliver(answer);
    const dialled = network.sockets.length;
    for (let i = 0; i < 5; i++) {
      client.request('a', '', { timeout: 50 }).catch(() => {});
      client.connect({ timeout: 50 }).catch(() => {});
    }
    await pass(context, 1999);
    assert.equal(network.sockets.length, dialled);
    await pass(context, 1);
    assert.equal(network.sockets.length, dialled + 1);
  }
  assert.equal(storage.items[NAME], 'k');
});

frozen('clients that lost the same server do not come back in one instant', async (context) => {
  const dialled = [];
  for (const chance of [0, 0.5, 0.999]) {
    Math.random.mock.mockImplementation(() => chance);
    network.connect();
    network.last.fail();
    const before = network.sockets.length;
    let waited = 0;
    for (; network.sockets.length === before; waited += 10) await pass(context, 10);
    dialled.push(waited);
    network.last.accept();
  }
  assert.deepEqual(dialled, [2000, 2100, 2200]);
});

frozen('a slip of the pen in an option, an event or the URL is told at once', () => {
  const client = network.connected();
  const { WebSocket } = network;
  assert.throws(() => client.on('sginal', () => {}), /there is no event sginal/);
  assert.throws(
    () => webwire.connect('ws://example.test/', { buffersize: 64, WebSocket }),
    /there is no option buffersize/,
  );
  assert.throws(() => webwire.connect(17, { WebSocket }), /the URL is a string/);
});
