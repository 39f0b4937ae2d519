// Sessions: created, kept, restored before all else, closed.

import assert from 'node:assert/strict';
import { beforeEach } from 'node:test';
import { inspect } from 'node:util';

import * as webwire from '../../transports/wirecore_browser/webwire.js';
import { MemoryStorage, Network, frozen, id, pass, settled, utf8 } from './network.js';

const NAME = 'webwire:ws://example.test/chat';
const TIMES = '"c":"2020-01-02T03:04:05.678901234Z","l":"2020-01-02T03:04:06+02:00"';
const JSON_OF_ALICE = `{"k":"alice-key",${TIMES},"i":{"user":"alice"}}`;
const CREATED = `15${utf8(JSON_OF_ALICE)}`;
const CLOSED = '16';
const restore = (number, key = 'alice-key') => `20${id(number)}${utf8(key)}`;
const restored = (number, json = JSON_OF_ALICE) => `c0${id(number)}${utf8(json)}`;

let network;
let storage;

beforeEach(() => {
  network = new Network();
  storage = new MemoryStorage();
});

/** A client that reports its events, by name and the session's user at that moment. */
function reporting(options = {}) {
  const client = network.connect({ storage, ...options });
  const events = [];
  for (const name of ['sessionCreated', 'sessionRefused', 'sessionClosed', 'connected', 'disconnected']) {
    client.on(name, () => events.push(`${name} ${client.session?.info.user ?? '-'}`));
  }
  return [client, events];
}

function storing(key) {
  storage.setItem(NAME, key);
}

frozen('a session that the server creates is known before the reply that follows it', async () => {
  const [client, events] = reporting();
  network.last.accept();
  const login = client.request('login', 'alice').then(() => client.session.key);
  network.last.deliver(CREATED);
  network.last.deliver(`bf${id(1)}`);
  assert.equal(await login, 'alice-key');
  assert.deepEqual(events, ['connected -', 'sessionCreated alice']);
  assert.deepEqual(storage.items, { [NAME]: 'alice-key' });
  const { created, lastLookup, info } = client.session;
  assert.equal(created.toISOString(), '2020-01-02T03:04:05.678Z');
  assert.equal(lastLookup.toISOString(), '2020-01-02T01:04:06.000Z');
  assert.deepEqual(info, { user: 'alice' });
});

frozen('the key shows in no console and in no JSON', async () => {
  const [client] = reporting();
  network.last.accept();
  network.last.deliver(CREATED);
  for (const shown of [inspect(client, { depth: 9 }), inspect(client.session), JSON.stringify(client.session)]) {
    assert.ok(!shown.includes('alice-key'));
  }
});

frozen('times are read in every form of RFC 3339', async () => {
  const [client] = reporting();
  network.last.accept();
  for (const [text, expected] of [
    ['2020-01-02t03:04:05z', '2020-01-02T03:04:05.000Z'],
    ['2020-01-02T03:04:05.1-08:00', '2020-01-02T11:04:05.100Z'],
  ]) {
    network.last.deliver(`15${utf8(`{"k":"k","c":"${text}","l":"${text}"}`)}`);
    assert.equal(client.session.created.toISOString(), expected);
  }
});

frozen('a handler may close the client in the middle of it all', async () => {
  storing('alice-key');
  const [client, events] = reporting();
  client.on('sessionCreated', () => void client.close());
  network.last.accept();
  network.last.deliver(restored(1));
  assert.deepEqual(events, ['sessionCreated alice', 'disconnected alice']);
});

frozen('a session with nothing in it has an empty info', async () => {
  const [client] = reporting();
  network.last.accept();
  network.last.deliver(`15${utf8(`{"k":"k",${TIMES}}`)}`);
  assert.deepEqual(client.session.info, {});
});

frozen('a session that cannot be read is ignored, and the connection lives', async (context) => {
  const warnings = context.mock.method(console, 'warn', () => {});
  const [client, events] = reporting();
  network.last.accept();
  const unreadable = ['{oops', '[]', 'null', '{"k":""}', `{"k":7,${TIMES}}`, `{"k":"k",${TIMES},"i":[]}`,
    '{"k":"secret","c":"yesterday","l":"2020-01-02T03:04:06Z"}'];
  for (const json of unreadable) network.last.deliver(`15${utf8(json)}`);
  assert.equal(client.session, null);
  assert.deepEqual(events, ['connected -']);
  assert.equal(warnings.mock.callCount(), unreadable.length);
  assert.ok(warnings.mock.calls.every((call) => !String(call.arguments).includes('secret')));
});

frozen('after a reload the session is restored before anything else goes out', async () => {
  storing('alice-key');
  const [client, events] = reporting();
  const request = client.request('a');
  network.last.accept();
  const during = client.request('b');
  await assert.rejects(client.signal('c'), webwire.Disconnected);
  assert.equal(client.status, 'connecting');
  assert.deepEqual(network.last.sent, [restore(1)]);
  network.last.deliver(restored(1));
  assert.deepEqual(network.last.sent.slice(1), [`7f${id(2)}0161`, `7f${id(3)}0162`]);
  assert.deepEqual(events, ['sessionCreated alice', 'connected alice']);
  network.last.deliver(`bf${id(2)}`);
  network.last.deliver(`bf${id(3)}`);
  await Promise.all([request, during]);
});

frozen('after a loss the session is restored, from memory where there is no storage', async (context) => {
  const [client, events] = reporting({ storage: null });
  network.last.accept();
  network.last.deliver(CREATED);
  network.last.lose();
  assert.equal(client.session.info.user, 'alice', 'kept meanwhile');
  await pass(context, 2000);
  network.last.accept();
  assert.deepEqual(network.last.sent, [restore(1)]);
  network.last.deliver(restored(1));
  assert.deepEqual(events, ['connected -', 'sessionCreated alice', 'disconnected alice',
    'sessionCreated alice', 'connected alice']);
});

const refusals = [
  ['no such session', (number) => `03${id(number)}`, 'SessionNotFound'],
  ['too many connections', (number) => `04${id(number)}`, 'MaxSessionConnectionsReached'],
  ['sessions disabled', (number) => `05${id(number)}`, 'SessionsDisabled'],
  ['an error of its own', (number) => `00${id(number)}0145`, 'RequestError'],
  ['no session', (number) => `c0${id(number)}${utf8('{}')}`, 'InvalidMessage'],
];
for (const [what, answer, name] of refusals) {
  frozen(`a restore answered with ${what} forgets the session, and the connection is good`, async () => {
    storing('alice-key');
    const [client, events] = reporting();
    let reason;
    client.on('sessionRefused', (error) => { reason = error.name; });
    const request = client.request('a');
    network.last.accept();
    network.last.deliver(answer(1));
    assert.deepEqual(network.last.sent.slice(1), [`7f${id(2)}0161`]);
    assert.deepEqual(events, ['sessionRefused -', 'connected -']);
    assert.deepEqual([client.session, storage.items, reason], [null, {}, name]);
    network.last.deliver(`bf${id(2)}`);
    await request;
  });
}

for (const what of ['an error', 'nothing']) {
  frozen(`a server that answers every restore with ${what} keeps no client away for ever`, async (context) => {
    let now = 0;
    context.mock.method(performance, 'now', () => now);
    storing('alice-key');
    const [client] = reporting({ requestTimeout: 10_000, restoreTimeout: 30_000, dialTimeout: 1e6 });
    let tries = 0;
    for (; storage.items[NAME]; tries += 1) {
      assert.ok(now < 40_000);
      network.last.accept();
      if (what === 'an error') network.last.deliver(`02${network.last.sent[0].slice(2, 18)}`);
      else await pass(context, 10_000);
      await settled();
      await pass(context, 2_200);
      now += 12_200;
    }
    assert.ok(tries >= 3);
    if (what === 'nothing') network.last.accept();
    assert.equal(client.status, 'connected');
    assert.equal(client.session, null);
  });
}

frozen('a restore that meets a fault or the end of a server is tried again on the next', async (context) => {
  storing('alice-key');
  const [client, events] = reporting();
  network.last.accept();
  network.last.deliver(`01${id(1)}`);
  await pass(context, 2000);
  network.last.accept();
  assert.deepEqual(network.last.sent, [restore(2)]);
  network.last.lose();
  await pass(context, 2000);
  network.last.accept();
  assert.deepEqual(network.last.sent, [restore(3)]);
  await pass(context, 60_000); // this one never answers
  await pass(context, 2000);
  network.last.accept();
  network.last.deliver(`02${id(4)}`); // its store is out of order
  await pass(context, 2000);
  network.last.accept();
  network.last.deliver(restored(5));
  assert.deepEqual(events, ['sessionCreated alice', 'connected alice']);
  assert.equal(client.session.key, 'alice-key');
});

frozen('the server closes the session: memory and storage forget it', async (context) => {
  const [client, events] = reporting();
  network.last.accept();
  network.last.deliver(CREATED);
  network.last.deliver(CLOSED);
  assert.deepEqual([client.session, storage.items], [null, {}]);
  assert.deepEqual(events, ['connected -', 'sessionCreated alice', 'sessionClosed -']);
  await pass(context, 2000);
  network.last.lose();
  network.last.accept();
  assert.deepEqual(network.last.sent, []);
});

frozen('another page may have stored a newer session, which stays', async () => {
  const [client] = reporting();
  network.last.accept();
  network.last.deliver(CREATED);
  storing('newer');
  network.last.deliver(CLOSED);
  assert.equal(client.session, null);
  assert.deepEqual(storage.items, { [NAME]: 'newer' });
});

frozen('closeSession asks the server and forgets, without an event', async () => {
  const [client, events] = reporting();
  network.last.accept();
  network.last.deliver(CREATED);
  const closing = client.closeSession();
  assert.deepEqual(network.last.sent, [`1f${id(1)}`]);
  network.last.deliver(`bf${id(1)}`);
  await closing;
  assert.deepEqual([client.session, storage.items], [null, {}]);
  assert.deepEqual(events, ['connected -', 'sessionCreated alice']);
  await client.closeSession();
  assert.equal(network.last.sent.length, 1, 'nothing to close: nothing sent');
});

frozen('closeSession without a connection forgets here, so that nothing is restored', async () => {
  storing('alice-key');
  const [client] = reporting();
  await client.closeSession();
  assert.deepEqual(storage.items, {});
  network.last.accept();
  assert.deepEqual([client.status, network.last.sent], ['connected', []]);
});

frozen('closeSession during a restore waits for it, and closes what it brought', async () => {
  storing('alice-key');
  const [client] = reporting();
  network.last.accept();
  const closing = client.closeSession();
  network.last.deliver(restored(1));
  await settled();
  assert.deepEqual(network.last.sent, [restore(1), `1f${id(2)}`]);
  network.last.deliver(`bf${id(2)}`);
  await closing;
  assert.deepEqual([client.session, storage.items], [null, {}]);
});

frozen('restoreSession takes on a session, and tells what it cannot', async () => {
  const [client, events] = reporting();
  network.last.accept();
  const missing = assert.rejects(client.restoreSession('other'), webwire.SessionNotFound);
  network.last.deliver(`03${id(1)}`);
  await missing;
  const restoring = client.restoreSession('alice-key');
  assert.deepEqual(network.last.sent, [restore(1, 'other'), restore(2)]);
  network.last.deliver(restored(2));
  assert.equal((await restoring).key, 'alice-key');
  assert.deepEqual(storage.items, { [NAME]: 'alice-key' });
  assert.deepEqual(events, ['connected -', 'sessionCreated alice']);
  await assert.rejects(client.restoreSession('third'), webwire.InvalidState);
  await assert.rejects(client.restoreSession(''), TypeError);
});

frozen('a reply to restoreSession that is no session is told, without what it said', async () => {
  const [client] = reporting();
  network.last.accept();
  for (const [index, json] of ['secret', '{"k":"secret"}'].entries()) {
    const failing = assert.rejects(client.restoreSession('k'), (error) =>
      error instanceof webwire.InvalidMessage && !error.message.includes('secret'));
    network.last.deliver(restored(index + 1, json));
    await failing;
  }
});

frozen('close keeps the session for the next connect', async () => {
  const [client] = reporting();
  network.last.accept();
  network.last.deliver(CREATED);
  await client.close();
  assert.equal(client.session.key, 'alice-key');
  const connecting = client.connect();
  network.last.accept();
  network.last.deliver(restored(1));
  await connecting;
});

frozen('a storage that refuses is as good as none', async () => {
  const refuse = () => { throw new Error('QuotaExceededError'); };
  const [client] = reporting({ storage: { getItem: refuse, setItem: refuse, removeItem: refuse } });
  network.last.accept();
  network.last.deliver(CREATED);
  assert.equal(client.session.key, 'alice-key');
  network.last.deliver(CLOSED);
  assert.equal(client.session, null);
});

frozen('sessions are kept by URL, or under a name of one\'s own', async () => {
  reporting({ storageKey: 'mine' });
  network.last.accept();
  network.last.deliver(CREATED);
  assert.deepEqual(storage.items, { mine: 'alice-key' });
});

frozen('what a URL holds besides the place is not stored', async () => {
  const { WebSocket } = network;
  webwire.connect('ws://me:secret@example.test/chat?token=secret#top', { WebSocket, storage });
  network.last.accept();
  network.last.deliver(CREATED);
  assert.deepEqual(storage.items, { [NAME]: 'alice-key' });
});
