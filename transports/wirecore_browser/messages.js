// The bytes of webwire 2.0: figures as in wirecore/webwire_rules.py, messages written and read.

import { InvalidMessage, UnsendableMessage } from './errors.js';

export const ENCODINGS = { binary: 0, utf8: 1, utf16: 2 };

/** The first byte of a message. What has encodings stands for its binary form. */
export const TYPES = {
  REPLY_ERROR: 0,
  REPLY_SHUTDOWN: 1,
  REPLY_INTERNAL_ERROR: 2,
  REPLY_SESSION_NOT_FOUND: 3,
  REPLY_MAX_SESSION_CONNECTIONS: 4,
  REPLY_SESSIONS_DISABLED: 5,
  SESSION_CREATED: 21,
  SESSION_CLOSED: 22,
  ACCEPT_CONF: 23,
  CLOSE_SESSION: 31,
  RESTORE_SESSION: 32,
  HEARTBEAT: 33,
  SIGNAL: 63,
  REQUEST: 127,
  REPLY: 191,
};

const ID_SIZE = 8;
const MAX_NAME = 255;
const FIRST_PRINTABLE = 32;
const LAST_PRINTABLE = 126;
export const MAJOR_VERSION = 2;

const ENCODING_NAMES = Object.keys(ENCODINGS);
/** Where the name's length stands, in messages that have names. */
const NAME_AT = {
  [TYPES.REPLY_ERROR]: 1 + ID_SIZE,
  [TYPES.SIGNAL]: 1,
  [TYPES.REQUEST]: 1 + ID_SIZE,
};
const UNPRINTABLE = new RegExp(
  `[^\\x${FIRST_PRINTABLE.toString(16)}-\\x${LAST_PRINTABLE.toString(16)}]`,
);

/** Bytes and how they are to be read. Text is decoded when it is asked for. */
export class Payload {
  constructor(data, encoding) {
    this.data = data;
    this.encoding = encoding;
  }

  get text() {
    const label = this.encoding === 'utf16' ? 'utf-16le' : 'utf-8';
    try {
      return new TextDecoder(label, { fatal: true, ignoreBOM: true }).decode(this.data);
    } catch {
      throw new InvalidMessage(`the payload is no text in ${label}`);
    }
  }

  json() {
    return JSON.parse(this.text);
  }
}

function bytesOf(payload, encoding) {
  if (payload === undefined || payload === null) return [new Uint8Array(0), encoding ?? 'binary'];
  if (typeof payload === 'string') {
    if (/\p{Surrogate}/u.test(payload)) {
      throw new UnsendableMessage('the text has half a surrogate pair: it cannot be encoded');
    }
    if (encoding === undefined || encoding === 'utf8') {
      return [new TextEncoder().encode(payload), 'utf8'];
    }
    if (encoding !== 'utf16') throw new TypeError('text goes as utf8 or utf16, bytes as binary');
    const data = new Uint8Array(payload.length * 2);
    const view = new DataView(data.buffer);
    for (let i = 0; i < payload.length; i++) view.setUint16(i * 2, payload.charCodeAt(i), true);
    return [data, encoding];
  }
  if (ArrayBuffer.isView(payload)) {
    payload = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  } else if (Object.prototype.toString.call(payload) === '[object ArrayBuffer]') {
    payload = new Uint8Array(payload);
  } else {
    throw new TypeError('a payload is a string, bytes or undefined: JSON.stringify an object');
  }
  return [payload, encoding ?? 'binary'];
}

/** A message with a name; a request's id is filled in when it is sent. */
export function encodeNamed(base, name, payload, encoding) {
  if (typeof name !== 'string') throw new TypeError('a name is a string, perhaps empty');
  if (encoding !== undefined && !Object.hasOwn(ENCODINGS, encoding)) {
    throw new TypeError(`encoding must be one of ${ENCODING_NAMES.join(', ')}`);
  }
  const [data, chosen] = bytesOf(payload, encoding);
  if (name.length > MAX_NAME || UNPRINTABLE.test(name)) {
    throw new UnsendableMessage(`a name is at most ${MAX_NAME} characters of printable ASCII`);
  }
  if (!name && !data.length) throw new UnsendableMessage('a message needs a name or a payload');
  const utf16 = chosen === 'utf16';
  if (utf16 && data.length % 2) throw new UnsendableMessage('UTF-16 has an even number of bytes');
  if (utf16 && base === TYPES.SIGNAL && !data.length) {
    throw new UnsendableMessage('a UTF-16 signal needs a payload: send the name alone as utf8');
  }
  const nameAt = NAME_AT[base];
  const payloadAt = nameAt + 1 + name.length + (utf16 ? name.length % 2 : 0);
  const message = new Uint8Array(payloadAt + data.length);
  message[0] = base + ENCODINGS[chosen];
  message[nameAt] = name.length;
  for (let i = 0; i < name.length; i++) message[nameAt + 1 + i] = name.charCodeAt(i);
  message.set(data, payloadAt);
  return message;
}

/** RequestRestoreSession with *key*, RequestCloseSession without. */
export function encodeSessionRequest(key) {
  const data = new TextEncoder().encode(key ?? '');
  const message = new Uint8Array(1 + ID_SIZE + data.length);
  message[0] = key === undefined ? TYPES.CLOSE_SESSION : TYPES.RESTORE_SESSION;
  message.set(data, 1 + ID_SIZE);
  return message;
}

export const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function setId(message, id) {
  viewOf(message).setBigUint64(1, id, true);
  return message;
}

function decodeNamed(type, base, bytes) {
  const nameAt = NAME_AT[base];
  const wide = base !== TYPES.REPLY_ERROR && type - base === ENCODINGS.utf16;
  const nameEnd = nameAt + 1 + bytes[nameAt];
  // One more than the head: a code, a name or a payload must be there, of UTF-16 a whole unit.
  if (bytes.length < nameAt + 2) throw new InvalidMessage('a message is too short');
  const payloadAt = nameEnd + (wide ? bytes[nameAt] % 2 : 0);
  const least = payloadAt + (wide && base === TYPES.SIGNAL ? 2 : 0);
  if (bytes.length < least) throw new InvalidMessage('a message ends within its name');
  if (wide && bytes.length % 2) throw new InvalidMessage('a UTF-16 message has an odd length');
  if (base === TYPES.REPLY_ERROR && !bytes[nameAt]) throw new InvalidMessage('no error code');
  return {
    name: String.fromCharCode(...bytes.subarray(nameAt + 1, nameEnd)),
    data: bytes.slice(payloadAt),
  };
}

function decodeReply(type, bytes) {
  const wide = type - TYPES.REPLY === ENCODINGS.utf16;
  if (wide && (bytes.length < 2 + ID_SIZE || bytes.length % 2)) {
    throw new InvalidMessage('a UTF-16 reply has an odd length');
  }
  return { data: bytes.slice(1 + ID_SIZE + (wide ? 1 : 0)) };
}

/** Length bounds of messages without name and encoding, the type included. */
const LENGTHS = {
  [TYPES.SESSION_CREATED]: [2, Infinity],
  [TYPES.SESSION_CLOSED]: [1, 1],
  [TYPES.ACCEPT_CONF]: [11, Infinity],
  [TYPES.CLOSE_SESSION]: [1 + ID_SIZE, 1 + ID_SIZE],
  [TYPES.RESTORE_SESSION]: [2 + ID_SIZE, Infinity],
  [TYPES.HEARTBEAT]: [1, 1],
};

/** Besides replies. */
const WITH_ID = new Set([TYPES.REQUEST, TYPES.CLOSE_SESSION, TYPES.RESTORE_SESSION]);

/** A message as {base, id, name, data, encoding}; throws InvalidMessage for other bytes. */
export function decodeMessage(bytes) {
  if (!bytes.length) throw new InvalidMessage('an empty message');
  const type = bytes[0];
  const base = [TYPES.SIGNAL, TYPES.REQUEST, TYPES.REPLY].find((b) => type >= b && type <= b + 2);
  const encoding = ENCODING_NAMES[type - (base ?? type)];
  const message = { base: base ?? type, id: 0n, name: '', encoding, data: bytes.slice(1) };
  const reply = type <= TYPES.REPLY_SESSIONS_DISABLED || base === TYPES.REPLY;
  if (reply || WITH_ID.has(message.base)) {
    if (bytes.length <= ID_SIZE) throw new InvalidMessage('a message ends within its id');
    message.id = viewOf(bytes).getBigUint64(1, true);
    message.data = bytes.slice(1 + ID_SIZE);
  }
  if (base === TYPES.REPLY) return Object.assign(message, decodeReply(type, bytes));
  if (base !== undefined || type === TYPES.REPLY_ERROR) {
    return Object.assign(message, decodeNamed(type, message.base, bytes));
  }
  if (reply) return Object.assign(message, { data: new Uint8Array(0) });
  const [least, most] = LENGTHS[type] ?? [];
  if (least === undefined) throw new InvalidMessage(`type ${type} is unknown`);
  if (bytes.length < least || bytes.length > most) {
    throw new InvalidMessage(`a message of type ${type} has ${bytes.length} bytes`);
  }
  return message;
}
