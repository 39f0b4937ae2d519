// The bytes: golden messages of the original, written and read.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { UnsendableMessage } from '../../transports/wirecore_browser/webwire.js';
import {
  ENCODINGS,
  TYPES,
  Payload,
  decodeMessage,
  encodeNamed,
  encodeSessionRequest,
  setId,
} from '../../transports/wirecore_browser/messages.js';
import { bytes, hex, vectors } from './network.js';

const NAMED = { request: TYPES.REQUEST, signal: TYPES.SIGNAL };

/** The integer that eight bytes of a golden message say. */
const idOf = (text) => Buffer.from(text, 'hex').readBigUInt64LE();

function write({ kind, fields }, payload = bytes(fields.payload)) {
  const name = fields.name ?? Buffer.from(fields.name_hex ?? '', 'hex').toString('latin1');
  const message = encodeNamed(NAMED[kind], name, payload, fields.encoding);
  return kind === 'request' ? setId(message, idOf(fields.id ?? '0100000000000000')) : message;
}

const named = vectors.messages.filter(({ kind }) => kind in NAMED);

test('requests and signals are written as the original writes them', () => {
  const good = named.filter(({ go_parser }) => go_parser === 'accept');
  assert.equal(good.length, 71 + 64);
  for (const golden of good) assert.equal(hex(write(golden)), golden.hex);
});

test('text is encoded as it should be, characters beyond the BMP too', () => {
  let beyond = 0;
  for (const golden of named) {
    const { encoding, text } = golden.decoded ?? {};
    if (encoding === 'binary' || !text || text.includes('\ufffd')) continue;
    assert.equal(hex(write(golden, text)), golden.hex);
    if (/[\u{10000}-\u{10ffff}]/u.test(text)) beyond++;
  }
  assert.ok(beyond > 10);
});

test('half a surrogate pair is refused in either encoding', () => {
  for (const encoding of ['utf8', 'utf16']) {
    assert.throws(() => encodeNamed(TYPES.REQUEST, 'a', 'x\ud83d', encoding), UnsendableMessage);
  }
});

test('restore and close of a session are written as the original writes them', () => {
  const golden = vectors.messages.filter(({ kind, go_parser }) =>
    ['request_restore_session', 'request_close_session'].includes(kind) && go_parser === 'accept');
  assert.equal(golden.length, 3);
  for (const { fields, hex: expected } of golden) {
    assert.equal(hex(setId(encodeSessionRequest(fields.key), idOf(fields.id))), expected);
  }
});

test('what the original writes and refuses to read is not written', () => {
  const bad = named.filter(({ go_parser }) => go_parser === 'reject');
  assert.equal(bad.length, 10);
  for (const golden of bad) assert.throws(() => write(golden), UnsendableMessage);
});

test('what the original refuses to write is refused', () => {
  const refused = vectors.refused_when_writing.filter(({ kind }) => kind in NAMED);
  assert.ok(refused.length > 30);
  for (const golden of refused) assert.throws(() => write(golden), UnsendableMessage, golden.note);
});

test('messages of every kind are read as the original reads them', () => {
  const kinds = new Set();
  for (const { kind, decoded, hex: golden } of vectors.messages) {
    if (!decoded) continue;
    const message = decodeMessage(bytes(golden));
    kinds.add(kind);
    assert.equal(message.id, idOf(decoded.id));
    assert.equal(message.base, decoded.type - (ENCODINGS[decoded.encoding] ?? 0));
    if (kind === 'accept_conf') continue; // what it says is the client's to read
    assert.equal(Buffer.from(message.name, 'latin1').toString('hex'), decoded.name);
    assert.equal(hex(message.data), decoded.payload);
    assert.equal(message.encoding, decoded.encoding);
    if (!decoded.text.includes('\ufffd')) {
      assert.equal(new Payload(message.data, message.encoding).text, decoded.text);
    }
  }
  assert.equal(kinds.size, 15);
});

test('bytes that are no message are told from those that are', () => {
  const all = [...vectors.malformed.filter(({ opcode }) => opcode === 'binary'), ...vectors.messages];
  for (const { label, kind, hex: golden, go_parser } of all) {
    const read = () => decodeMessage(bytes(golden));
    if (go_parser === 'accept') read();
    else assert.throws(read, { name: 'InvalidMessage' }, label ?? kind);
  }
});

test('a payload owns its bytes', () => {
  const message = bytes('4000616263');
  const { data } = decodeMessage(message);
  message.fill(0);
  assert.equal(hex(data), '616263');
  assert.equal(data.buffer.byteLength, 3);
});
