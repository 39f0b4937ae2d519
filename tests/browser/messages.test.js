// The bytes: golden messages of the original, as a client writes and reads them.

import assert from 'node:assert/strict';
import { beforeEach } from 'node:test';

import { UnsendableMessage } from '../../transports/wirecore_browser/webwire.js';
import { Network, bytes, frozen, hex, id, settled, vectors } from './network.js';

const NAMED = ['request', 'signal'];
const named = vectors.messages.filter(({ kind }) => NAMED.includes(kind));

/** The longest golden message, and more; and a server that has it so. */
const BIG = { bufferSize: 0x00_01_00_00 };
const ACCEPT_BIG = '17020060ea000000000100';

let network;

beforeEach(() => {
  network = new Network();
});

function connected(context) {
  context.mock.method(console, 'warn', () => {}); // sessions that can't be read
  const client = network.connect(BIG);
  network.last.accept(ACCEPT_BIG);
  return client;
}

/** *golden* with another id than the one it was made with. */
const withId = (golden, number) => golden.slice(0, 2) + id(number) + golden.slice(18);

/** What the client does with the input of a golden message. */
function write(client, { kind, fields }, payload = bytes(fields.payload)) {
  const name = fields.name ?? Buffer.from(fields.name_hex ?? '', 'hex').toString('latin1');
  const { encoding } = fields;
  return client[kind](name, payload, { encoding, timeout: Infinity });
}

/** Have *client* write all of *messages*: what goes out is what the original wrote. */
async function assertWritten(client, messages, payloadOf = () => undefined) {
  const { sent } = network.last;
  for (const [index, golden] of messages.entries()) {
    const calling = write(client, golden, payloadOf(golden));
    const [message] = sent.splice(0);
    if (golden.kind === 'signal') {
      assert.equal(message, golden.hex);
      await calling;
      continue;
    }
    const number = Buffer.from(message.slice(2, 18), 'hex').readBigUInt64LE();
    assert.equal(message, withId(golden.hex, number), `message ${index}`);
    network.last.deliver(`bf${id(number)}`);
    await calling;
  }
}

frozen('requests and signals are written as the original writes them', async (context) => {
  const good = named.filter(({ go_parser }) => go_parser === 'accept');
  assert.equal(good.length, 71 + 64);
  await assertWritten(connected(context), good);
});

frozen('text is encoded as it should be, characters beyond the BMP too', async (context) => {
  const readable = named.filter(({ decoded }) =>
    decoded?.text && decoded.encoding !== 'binary' && !decoded.text.includes('\ufffd'));
  const beyond = readable.filter(({ decoded }) => /[\u{10000}-\u{10ffff}]/u.test(decoded.text));
  assert.ok(beyond.length > 10);
  await assertWritten(connected(context), readable, ({ decoded }) => decoded.text);
});

frozen('half a surrogate pair is refused in either encoding', async (context) => {
  const client = connected(context);
  for (const encoding of ['utf8', 'utf16']) {
    await assert.rejects(client.request('a', 'x\ud83d', { encoding }), UnsendableMessage);
  }
});

frozen('restore and close of a session are written as the original writes them', async (context) => {
  const golden = vectors.messages.filter(({ kind, go_parser }) =>
    ['request_restore_session', 'request_close_session'].includes(kind) && go_parser === 'accept');
  assert.equal(golden.length, 3);
  for (const { fields, hex: expected } of golden) {
    const client = connected(context);
    if (fields.key === undefined) {
      const session = '{"k":"k","c":"2020-01-02T03:04:05Z","l":"2020-01-02T03:04:06Z"}';
      network.last.deliver(`15${hex(Buffer.from(session))}`);
      client.closeSession();
    } else client.restoreSession(fields.key);
    assert.deepEqual(network.last.sent, [withId(expected, 1)]);
  }
});

frozen('what the original writes and refuses to read is not written', async (context) => {
  const client = connected(context);
  const bad = named.filter(({ go_parser }) => go_parser === 'reject');
  assert.equal(bad.length, 10);
  for (const golden of bad) await assert.rejects(write(client, golden), UnsendableMessage);
  assert.deepEqual(network.last.sent, []);
});

frozen('what the original refuses to write is refused', async (context) => {
  const client = connected(context);
  const refused = vectors.refused_when_writing.filter(({ kind }) => NAMED.includes(kind));
  assert.ok(refused.length > 30);
  for (const golden of refused) {
    await assert.rejects(write(client, golden), UnsendableMessage, golden.note);
  }
  assert.deepEqual(network.last.sent, []);
});

/** A payload as the vectors tell it. */
function assertPayload(payload, { payload: data, encoding, text }) {
  assert.equal(hex(payload.data), data);
  assert.equal(payload.encoding, encoding);
  if (!text.includes('\ufffd')) assert.equal(payload.text, text);
}

frozen('signals are read as the original reads them', async (context) => {
  const client = connected(context);
  const seen = [];
  client.on('signal', (...signal) => seen.push(signal));
  const golden = vectors.messages.filter(({ kind, decoded }) => kind === 'signal' && decoded);
  for (const message of golden) network.last.deliver(message.hex);
  assert.equal(seen.length, golden.length);
  for (const [index, [name, payload]] of seen.entries()) {
    const { decoded } = golden[index];
    assert.equal(Buffer.from(name, 'latin1').toString('hex'), decoded.name);
    assertPayload(payload, decoded);
  }
});

frozen('replies and errors are read as the original reads them', async (context) => {
  const client = connected(context);
  const golden = vectors.messages.filter(({ kind, decoded }) => kind.startsWith('reply') && decoded);
  const kinds = new Set();
  for (const [index, { kind, decoded, hex: answer }] of golden.entries()) {
    const request = client.request('a').then((reply) => ({ reply }), (error) => ({ error }));
    network.last.deliver(withId(answer, index + 1));
    const { reply, error } = await request;
    kinds.add(kind);
    if (decoded.type >= 191) {
      assertPayload(reply, decoded);
    } else if (decoded.type === 0) {
      assert.equal(Buffer.from(error.code, 'latin1').toString('hex'), decoded.name);
      assert.equal(error.message, Buffer.from(decoded.payload, 'hex').toString('utf8'));
    } else {
      assert.equal(error.name, [, 'ServerShutdown', 'InternalError', 'SessionNotFound',
        'MaxSessionConnectionsReached', 'SessionsDisabled'][decoded.type]);
    }
  }
  assert.equal(kinds.size, 7, [...kinds].join());
});

frozen('bytes that are no message are told from those that are', async (context) => {
  const all = [...vectors.malformed.filter(({ opcode }) => opcode === 'binary'), ...vectors.messages];
  for (const { label, kind, hex: golden, go_parser } of all) {
    const client = connected(context);
    network.last.deliver(golden);
    const expected = go_parser === 'accept' ? 'connected' : 'connecting';
    assert.equal(client.status, expected, label ?? kind);
    client.close();
  }
  await settled();
});

/** Bytes that look like chance and are the same each time: a linear congruential generator. */
function* garbage(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 24;
  }
}

frozen('garbage costs a connection at most, and never the client', async (context) => {
  const client = connected(context);
  const types = [0, 1, 21, 22, 23, 31, 32, 33, 63, 64, 65, 127, 129, 191, 192, 193];
  const source = garbage(7);
  let lost = 0;
  for (let round = 0; round < 3000; round++) {
    const message = Uint8Array.from({ length: source.next().value % 24 }, () => source.next().value);
    if (message.length && round % 2) message[0] = types[message[0] % types.length];
    network.last.deliver(hex(message));
    if (client.status === 'connected') continue;
    lost++;
    context.mock.timers.tick(2000);
    network.last.accept(ACCEPT_BIG);
  }
  assert.ok(lost > 1000);
  const reply = client.request('a');
  network.last.deliver(`bf${id(1)}`);
  await reply;
});

frozen('a payload owns its bytes', async (context) => {
  const client = connected(context);
  const payloads = [];
  client.on('signal', (name, payload) => payloads.push(payload));
  const message = bytes('4000616263');
  network.last.onmessage({ data: message.buffer });
  message.fill(0);
  const [{ data }] = payloads;
  assert.equal(hex(data), '616263');
  assert.equal(data.buffer.byteLength, 3);
});

frozen('ids are whole numbers of 64 bits: none is taken for another', async (context) => {
  const client = connected(context);
  let answered = 0;
  const request = client.request('a').then(() => answered++);
  for (const other of [2n ** 53n + 1n, 2n ** 32n + 1n, 2n ** 63n + 1n, 2n ** 64n - 1n, 1n << 56n, 0n]) {
    network.last.deliver(`bf${id(other)}`);
  }
  await settled();
  assert.equal(answered, 0);
  network.last.deliver(`bf${id(1)}`);
  await request;
});

frozen('bytes are copied as the call is made: views, shared memory, changes afterwards', async (context) => {
  const client = connected(context);
  const { sent } = network.last;
  const whole = Uint8Array.of(9, 1, 2, 3, 4, 9);
  const shared = new Uint8Array(new SharedArrayBuffer(4), 1, 2);
  shared.set([7, 8]);
  await client.signal('n', new DataView(whole.buffer, 1, 3));
  await client.signal('n', Buffer.from('pooled'));
  await client.signal('n', new Uint16Array(whole.buffer, 2, 1));
  await client.signal('n', shared);
  assert.deepEqual(sent.splice(0), ['3f016e010203', `3f016e${hex(Buffer.from('pooled'))}`,
    '3f016e0203', '3f016e0708']);
  await assert.rejects(client.signal('n', shared.buffer), TypeError, 'as the types say');
  await client.close();
  const waiting = client.signal('n', whole, { wait: true });
  whole.fill(0);
  network.last.accept(ACCEPT_BIG);
  await waiting;
  assert.deepEqual(network.last.sent, ['3f016e090102030409']);
});
