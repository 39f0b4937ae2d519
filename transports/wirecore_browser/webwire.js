// The browser's end of webwire, protocol 2.0: requests, replies, signals and sessions over one
// WebSocket, with nothing to build and no dependency. Types and documentation: webwire.d.ts.

// ==== What can go wrong, as classes ====

export class WebwireError extends Error {
  name = 'WebwireError';
}
/** The server's program answered with an error: `code` and `message` are its words. */
export class RequestError extends WebwireError {
  name = 'RequestError';
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
/** No connection: `execution` says whether the server may have got the request. */
export class Disconnected extends WebwireError {
  name = 'Disconnected';
  constructor(message, execution = 'not_sent', options = undefined) {
    super(message, options);
    this.execution = execution;
  }
}
export class InternalError extends WebwireError {
  name = 'InternalError';
}
export class ServerShutdown extends WebwireError {
  name = 'ServerShutdown';
}
export class SessionNotFound extends WebwireError {
  name = 'SessionNotFound';
}
export class MaxSessionConnectionsReached extends WebwireError {
  name = 'MaxSessionConnectionsReached';
}
export class SessionsDisabled extends WebwireError {
  name = 'SessionsDisabled';
}
export class IncompatibleVersion extends WebwireError {
  name = 'IncompatibleVersion';
}
export class SubprotocolMismatch extends WebwireError {
  name = 'SubprotocolMismatch';
}
export class BufferSizeMismatch extends WebwireError {
  name = 'BufferSizeMismatch';
}
export class UnexpectedFirstMessage extends WebwireError {
  name = 'UnexpectedFirstMessage';
}
export class DeadlineExceeded extends WebwireError {
  name = 'DeadlineExceeded';
}
export class ConnectionTimeout extends WebwireError {
  name = 'ConnectionTimeout';
}
export class BufferOverflow extends WebwireError {
  name = 'BufferOverflow';
}
export class UnsendableMessage extends WebwireError {
  name = 'UnsendableMessage';
}
export class InvalidMessage extends WebwireError {
  name = 'InvalidMessage';
}
export class InvalidState extends WebwireError {
  name = 'InvalidState';
}

// ==== The wire: figures as in wirecore/webwire_rules.py ====

const ENCODINGS = { binary: 0, utf8: 1, utf16: 2 };

/** The first byte of a message. What has encodings stands for its binary form. */
const TYPES = {
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
const MAJOR_VERSION = 2;

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

// ==== Payloads ====

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

// ==== Messages, written ====

/** Also of another window or realm, whose ArrayBuffer is another class. */
const isArrayBuffer = (value) => Object.prototype.toString.call(value) === '[object ArrayBuffer]';

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
  } else if (isArrayBuffer(payload)) {
    payload = new Uint8Array(payload);
  } else {
    throw new TypeError('a payload is a string, bytes or undefined: JSON.stringify an object');
  }
  return [payload, encoding ?? 'binary'];
}

/** A message with a name; a request's id is filled in when it is sent. */
function encodeNamed(base, name, payload, encoding) {
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
function encodeSessionRequest(key) {
  const data = new TextEncoder().encode(key ?? '');
  const message = new Uint8Array(1 + ID_SIZE + data.length);
  message[0] = key === undefined ? TYPES.CLOSE_SESSION : TYPES.RESTORE_SESSION;
  message.set(data, 1 + ID_SIZE);
  return message;
}

const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function setId(message, id) {
  viewOf(message).setBigUint64(1, id, true);
  return message;
}

// ==== Messages, read ====

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
function decodeMessage(bytes) {
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

/** What a reply that is its type and id alone means. */
const REFUSALS = {
  [TYPES.REPLY_SHUTDOWN]: () => new ServerShutdown('the server is shutting down'),
  [TYPES.REPLY_INTERNAL_ERROR]: () => new InternalError('the server failed; its log says how'),
  [TYPES.REPLY_SESSION_NOT_FOUND]: () => new SessionNotFound('the server has no such session'),
  [TYPES.REPLY_MAX_SESSION_CONNECTIONS]: () =>
    new MaxSessionConnectionsReached('the session is in use on as many connections as it may be'),
  [TYPES.REPLY_SESSIONS_DISABLED]: () => new SessionsDisabled('the server has no sessions'),
};

// ==== What a client can be told, and its defaults ====

const MIN_BUFFER = 32;
const MAX_BUFFER = 2 ** 32 - 1; // AcceptConf has four bytes for it

/** By how much of itself the interval is stretched, so that clients of one server don't meet. */
const SPREAD = 0.1;

const DEFAULTS = {
  autoconnect: true,
  requestTimeout: 60_000,
  restoreTimeout: 60_000,
  dialTimeout: 5_000,
  reconnectInterval: 2_000,
  bufferSize: 8192,
  subprotocol: '',
  maxPending: 1024,
  maxBuffered: 16 * 1024 * 1024,
};

/** Without a default of their own. */
const OTHER_OPTIONS = ['storage', 'storageKey', 'WebSocket'];

const EVENTS = [
  'connected', 'disconnected', 'signal', 'sessionCreated', 'sessionClosed', 'sessionRefused',
];

const isAtLeast = (value, least) => typeof value === 'number' && value >= least;

function checkedOptions(options) {
  const all = { ...DEFAULTS };
  for (const name of Object.keys(options)) {
    if (!(name in DEFAULTS) && !OTHER_OPTIONS.includes(name)) {
      const known = [...Object.keys(DEFAULTS), ...OTHER_OPTIONS].join(', ');
      throw new TypeError(`there is no option ${name}; there are ${known}`);
    }
  }
  for (const [name, value] of Object.entries(options)) if (value !== undefined) all[name] = value;
  for (const name of ['requestTimeout', 'restoreTimeout', 'dialTimeout', 'reconnectInterval']) {
    if (!isAtLeast(all[name], Number.MIN_VALUE)) {
      throw new RangeError(`${name} is a number of milliseconds, above 0`);
    }
  }
  for (const name of ['maxPending', 'maxBuffered']) {
    if (!isAtLeast(all[name], 1)) throw new RangeError(`${name} is a number, at least 1`);
  }
  const { bufferSize, subprotocol } = all;
  if (!Number.isInteger(bufferSize) || bufferSize < MIN_BUFFER || bufferSize > MAX_BUFFER) {
    throw new RangeError(`bufferSize is a whole number of bytes, ${MIN_BUFFER} to ${MAX_BUFFER}`);
  }
  if (typeof subprotocol !== 'string') throw new TypeError('subprotocol is a string');
  all.WebSocket ??= globalThis.WebSocket;
  if (typeof all.WebSocket !== 'function') {
    throw new TypeError('there is no global WebSocket: give a constructor as the option WebSocket');
  }
  return all;
}

function absolute(url) {
  if (typeof url !== 'string' && !(url instanceof URL)) throw new TypeError('the URL is a string');
  const parsed = new URL(url, globalThis.location?.href);
  parsed.protocol = parsed.protocol.replace(/^http/, 'ws');
  parsed.hash = '';
  if (!/^wss?:$/.test(parsed.protocol)) throw new TypeError('the URL must begin with ws: or wss:');
  return parsed.href;
}

/** Where the session of *url* is kept: without its query, which may change, or be secret. */
function storageName(url) {
  const { protocol, host, pathname } = new URL(url);
  return `webwire:${protocol}//${host}${pathname}`;
}

// ==== Sessions as the server tells them, and where their keys are kept ====

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,3})?\d*(Z|[+-]\d\d:\d\d)$/;

function parseTime(text) {
  // Engines agree on three digits of a second only; Go writes up to nine.
  const [, seconds, fraction = '', zone] = RFC3339.exec(String(text).toUpperCase()) ?? [];
  const time = new Date(`${seconds}${fraction}${zone}`);
  if (Number.isNaN(time.getTime())) throw new InvalidMessage("a session's time isn't RFC 3339");
  return time;
}

/** A session. Its key is a secret: consoles don't show it, and JSON leaves it out. */
export class Session {
  #key;

  constructor(json) {
    const members = new Payload(json, 'utf8').json();
    if (typeof members?.k !== 'string' || !members.k) throw new InvalidMessage('no session key');
    this.#key = members.k;
    this.created = parseTime(members.c);
    this.lastLookup = parseTime(members.l);
    this.info = members.i ?? {};
    if (typeof this.info !== 'object' || Array.isArray(this.info)) {
      throw new InvalidMessage("a session's info is no object");
    }
  }

  get key() {
    return this.#key;
  }
}

/** Where a session's key outlives the page; a storage that refuses is as good as none. */
class Keeper {
  constructor(storage, name) {
    this.name = name;
    this.storage = storage;
    // Pages without the right to it get an exception from the mere name.
    this.attempt(() => { if (storage === undefined) this.storage = globalThis.localStorage; });
  }

  attempt(action) {
    try {
      return action();
    } catch {
      return undefined;
    }
  }

  get() {
    const key = this.attempt(() => this.storage?.getItem(this.name));
    return typeof key === 'string' && key ? key : undefined;
  }

  set(key) {
    if (this.get() === key) return;
    this.attempt(() => {
      try {
        this.storage?.setItem(this.name, key);
      } catch {
        this.storage.removeItem(this.name); // an older one is worse than none
      }
    });
  }

  /** Forget *key*; another page may have stored a newer one meanwhile, which stays. */
  remove(key) {
    if (this.get() === key) this.attempt(() => this.storage.removeItem(this.name));
  }
}

// ==== One connection and its timers ====

const OPEN = 1; // of WebSocket.readyState
const CLOSED = 3;
const LONGEST_TIMER = 2 ** 31 - 1; // a longer one would end at once
const SHORTEST_HEARTBEAT = 250;
const HEARTBEAT = Uint8Array.of(TYPES.HEARTBEAT);

/** A timer of any length; Infinity never ends. */
function startTimer(action, milliseconds) {
  if (milliseconds === Infinity) return undefined;
  return setTimeout(action, Math.min(milliseconds, LONGEST_TIMER));
}

/** One WebSocket, from dialling to its end; *lose* is told that it is of no use any more. */
class Link {
  accepted = false; // AcceptConf has come
  ready = false; // the session is restored, requests may go
  ended = false;

  constructor(socket, lose) {
    this.socket = socket;
    this.lose = lose;
    socket.binaryType = 'arraybuffer';
  }

  write(message) {
    this.socket.send(message);
    this.#beat();
  }

  /** AcceptConf has come: heartbeats go out 3/4 of the server's *readTimeout* after each write. */
  accept(readTimeout) {
    clearTimeout(this.dialling);
    this.accepted = true;
    this.rhythm = Math.min(Math.max(readTimeout * 0.75, SHORTEST_HEARTBEAT), LONGEST_TIMER);
    this.#beat();
  }

  #beat() {
    clearTimeout(this.heart);
    if (!this.ended) this.heart = setTimeout(() => this.#heartbeat(), this.rhythm);
  }

  #heartbeat() {
    try {
      if (this.socket.readyState === OPEN) this.write(HEARTBEAT);
      else this.lose('the connection was closed');
    } catch (error) {
      this.lose(`a heartbeat could not be sent: ${error}`);
    }
  }

  /** Let go of the socket; the promise tells when it is closed. */
  end() {
    const { socket } = this;
    this.ended = true;
    clearTimeout(this.heart);
    clearTimeout(this.dialling);
    socket.onmessage = null;
    socket.onerror = () => {}; // implementations for Node throw what nobody listens to
    return new Promise((resolve) => {
      socket.onclose = resolve;
      if (socket.readyState === CLOSED) resolve();
      try {
        socket.close();
      } catch {
        resolve(); // there is nothing else to be done with it
      }
    });
  }
}

// ==== The client ====

export class Client {
  #url;
  #options;
  #keeper;
  #link = null;
  #wanted; // connections are to be made until one holds
  #pace = null; // runs while it is too early to dial again
  #failure = null; // why the last connection, or try, ended
  #refusal = null; // why trying has ended
  #lastId = 0n;
  #waiting = new Set(); // calls for whom there is no connection yet
  #pending = new Map(); // id to call: sent, not answered
  #restores = new Set(); // of these, those that will have the server attach a session
  #session = null;
  #key; // what to restore on the next connection
  #restoringSince = null; // when that was begun, if the server is there and fails at it
  #handlers = new Map();

  constructor(url, options = {}) {
    this.#url = absolute(url);
    this.#options = checkedOptions(options);
    this.#wanted = this.#options.autoconnect;
    this.#keeper = new Keeper(options.storage, options.storageKey ?? storageName(this.#url));
    this.#key = this.#keeper.get();
    if (this.#wanted) this.#dial();
  }

  get session() {
    return this.#session;
  }

  get status() {
    if (this.#link?.ready) return 'connected';
    return this.#link || this.#wanted ? 'connecting' : 'disconnected';
  }

  on(event, handler) {
    if (!EVENTS.includes(event) && !String(event).startsWith('signal:')) {
      const known = [...EVENTS, 'signal:NAME'].join(', ');
      throw new TypeError(`there is no event ${event}; there are ${known}`);
    }
    if (typeof handler !== 'function') throw new TypeError('a handler is a function');
    const entry = { handler }; // the same function may be there twice
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set());
    this.#handlers.get(event).add(entry);
    return () => {
      const entries = this.#handlers.get(event);
      if (entries?.delete(entry) && !entries.size) this.#handlers.delete(event);
    };
  }

  ready(options) {
    return this.#call(options, (call) => call.resolve());
  }

  connect(options) {
    return this.#call(options, (call) => call.resolve(), { dial: true });
  }

  async request(name, payload, { encoding, ...options } = {}) {
    const message = this.#checked(encodeNamed(TYPES.REQUEST, name, payload, encoding));
    return this.#call(options, (call) => this.#ask(call, message), { dial: this.#autoconnect });
  }

  async signal(name, payload, { encoding, wait = false, ...options } = {}) {
    const message = this.#checked(encodeNamed(TYPES.SIGNAL, name, payload, encoding));
    this.#notice();
    if (!wait && !this.#link?.ready) throw this.#refusal ?? this.#noConnection();
    const send = (call) => {
      this.#link.write(message);
      call.resolve();
    };
    return this.#call(options, send, { dial: this.#autoconnect });
  }

  async restoreSession(key, options = {}) {
    if (typeof key !== 'string' || !key) throw new TypeError('a session key is a string');
    const message = this.#checked(encodeSessionRequest(key));
    const send = (call) => {
      if (this.#session) throw new InvalidState('a session is active: close it first');
      call.sent = true;
      this.#askForSession(message, (session) => {
        this.#begin(session);
        call.resolve(session);
      }, call.reject);
    };
    return this.#call(options, send, { dial: this.#autoconnect });
  }

  async closeSession(options = {}) {
    if (this.#link?.accepted && !this.#link.ready) await this.#restoredOrForgotten(options);
    const attached = this.#link?.ready && (this.#session !== null || this.#restores.size > 0);
    this.#forget();
    this.#voidRestores(); // the server closes what they bring
    if (!attached) return;
    await this.#call(options, (call) => this.#ask(call, encodeSessionRequest()), { dial: false });
  }

  async close() {
    this.#wanted = false;
    this.#failure = this.#refusal = null;
    this.#restoringSince = null;
    clearTimeout(this.#pace);
    this.#pace = null;
    const error = new Disconnected('the client was closed');
    if (!this.#link) {
      this.#failWaiting(error);
      return;
    }
    const ended = this.#drop(this.#link, error);
    // A server that doesn't answer the close frame isn't waited for long.
    let timer;
    const enough = new Promise((resolve) => {
      timer = startTimer(resolve, Math.min(this.#options.dialTimeout, DEFAULTS.dialTimeout));
    });
    await Promise.race([ended, enough]);
    clearTimeout(timer);
  }

  get #autoconnect() {
    return this.#options.autoconnect;
  }

  #checked(message) {
    const { bufferSize } = this.#options;
    if (message.length <= bufferSize) return message;
    const what = `a message of ${message.length} bytes`;
    throw new BufferOverflow(`${what} is over the ${bufferSize} of bufferSize`);
  }

  // ---- Calls: whatever waits, for a connection or for a reply ----

  /** Run *send* with a call once there is a connection; what it throws is the call's error. */
  #call(options, send, { dial = false } = {}) {
    const { timeout = this.#options.requestTimeout, signal, ...unknown } = options ?? {};
    return new Promise((resolve, reject) => {
      for (const name of Object.keys(unknown)) {
        throw new TypeError(`there is no option ${name} here`);
      }
      if (signal?.aborted) throw signal.reason;
      if (!isAtLeast(timeout, 0)) {
        throw new RangeError(`a time is a number of milliseconds, not ${String(timeout)}`);
      }
      this.#notice();
      this.#checkRoom();
      const call = { id: undefined, sent: false, send, read: (reply) => reply };
      const settle = (how) => (value) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#waiting.delete(call);
        this.#pending.delete(call.id);
        how(value);
      };
      call.resolve = settle(resolve);
      call.reject = settle(reject);
      const abort = () => call.reject(signal.reason);
      signal?.addEventListener('abort', abort);
      const timer = startTimer(() => call.reject(this.#late(call, timeout)), timeout);
      if (this.#link?.ready) this.#send(call);
      else this.#await(call, dial);
    });
  }

  #send(call) {
    try {
      call.send(call);
    } catch (error) {
      call.reject(error);
    }
  }

  #await(call, dial) {
    if (dial && !this.#link) {
      this.#wanted = this.#autoconnect;
      if (!this.#wanted || !this.#pace) this.#dial();
    }
    if (this.#link || this.#wanted) this.#waiting.add(call);
    else call.reject(this.#refusal ?? this.#noConnection());
  }

  #noConnection() {
    return new Disconnected('there is no connection', 'not_sent', { cause: this.#failure });
  }

  #checkRoom() {
    const { maxPending, maxBuffered } = this.#options;
    if (this.#pending.size + this.#waiting.size >= maxPending) {
      throw new BufferOverflow(`${maxPending} calls (maxPending) are waiting already`);
    }
    if (this.#link?.socket.bufferedAmount > maxBuffered) {
      throw new BufferOverflow(`over ${maxBuffered} bytes (maxBuffered) wait for the network`);
    }
  }

  #late(call, timeout) {
    if (call.sent) return new DeadlineExceeded(`no reply within ${timeout} ms`);
    return new ConnectionTimeout(`no connection within ${timeout} ms`, { cause: this.#failure });
  }

  #ask(call, message) {
    call.id = this.#lastId = BigInt.asUintN(64, this.#lastId + 1n);
    call.sent = true;
    this.#pending.set(call.id, call);
    this.#link.write(setId(message, call.id));
  }

  #failWaiting(error) {
    for (const call of [...this.#waiting]) call.reject(error);
  }

  // ---- Connections ----

  #dial() {
    const { WebSocket, dialTimeout, reconnectInterval } = this.#options;
    this.#refusal = null;
    clearTimeout(this.#pace);
    this.#pace = startTimer(() => {
      this.#pace = null;
      if (this.#wanted && !this.#link) this.#dial();
    }, reconnectInterval * (1 + SPREAD * Math.random()));
    let link;
    const lose = (why) => this.#drop(link, new Disconnected(why));
    try {
      link = new Link(new WebSocket(this.#url), lose);
    } catch (error) {
      this.#refuse(error); // say, ws: from a page that came by https:
      return;
    }
    this.#link = link;
    link.dialling = startTimer(() => {
      this.#drop(link, new ConnectionTimeout(`no connection within ${dialTimeout} ms`));
    }, dialTimeout);
    link.socket.onmessage = (event) => this.#receive(link, event.data);
    link.socket.onerror = () => lose('the connection failed');
    link.socket.onclose = (event) => lose(`the connection was closed (${event?.code})`);
  }

  /** Notice the end of a connection before its event comes. */
  #notice() {
    const link = this.#link;
    if (link?.accepted && link.socket.readyState !== OPEN) {
      this.#drop(link, new Disconnected('the connection was closed'));
    }
  }

  /** The end of *link*: what was sent fails, what waits goes on if there will be another. */
  #drop(link, error) {
    if (link !== this.#link) return undefined;
    this.#link = null;
    this.#failure = error;
    if (!link.accepted) this.#restoringSince = null; // a server that isn't there fails at nothing
    const ended = link.end();
    for (const call of [...this.#pending.values()]) {
      call.reject(new Disconnected(error.message, 'maybe_executed', { cause: error }));
    }
    if (!this.#wanted) this.#failWaiting(error);
    else if (!this.#pace) this.#dial();
    if (link.ready) this.#emit('disconnected', error);
    return ended;
  }

  /** To try again can't help: the next connect() or request does. */
  #refuse(error) {
    this.#wanted = false;
    if (this.#link) this.#drop(this.#link, error);
    this.#failure = this.#refusal = error;
    this.#failWaiting(error);
    this.#emit('disconnected', error);
  }

  #receive(link, data) {
    let message;
    try {
      if (typeof data === 'string') throw new InvalidMessage('a text message');
      if (!isArrayBuffer(data)) throw new InvalidMessage('a message that is no ArrayBuffer');
      const bytes = new Uint8Array(data);
      if (bytes.length > this.#options.bufferSize) throw new InvalidMessage('a message too large');
      message = decodeMessage(bytes);
    } catch (error) {
      if (!link.accepted) this.#refuse(new UnexpectedFirstMessage(error.message));
      else this.#drop(link, new Disconnected(`the server sent ${error.message}`));
      return;
    }
    if (link.accepted) this.#handle(message);
    else this.#accept(link, message);
  }

  #accept(link, { base, data }) {
    const problem = base === TYPES.ACCEPT_CONF
      ? this.#mismatch(data)
      : new UnexpectedFirstMessage(`the first message is of type ${base}, no AcceptConf`);
    if (problem) {
      this.#refuse(problem);
      return;
    }
    link.accept(viewOf(data).getUint32(2, true));
    // Another page may have stored a newer key while this one waited for a connection.
    if (!this.#session && this.#key !== undefined) this.#key = this.#keeper.get() ?? this.#key;
    const key = this.#session?.key ?? this.#key;
    if (key === undefined) this.#open(link);
    else this.#restore(link, key);
  }

  #mismatch(data) {
    const { bufferSize, subprotocol } = this.#options;
    const size = viewOf(data).getUint32(6, true);
    const theirs = data.subarray(10);
    const ours = new TextEncoder().encode(subprotocol);
    if (data[0] !== MAJOR_VERSION) {
      return new IncompatibleVersion(`the server speaks webwire ${data[0]}.${data[1]}, not 2.0`);
    }
    if (theirs.length !== ours.length || theirs.some((byte, index) => byte !== ours[index])) {
      const name = new TextDecoder().decode(theirs);
      return new SubprotocolMismatch(`the server's is "${name}", not "${subprotocol}"`);
    }
    if (size !== bufferSize) {
      return new BufferSizeMismatch(`the server's buffer is ${size} bytes, not ${bufferSize}`);
    }
    return null;
  }

  #open(link, announce = []) {
    link.ready = true;
    this.#failure = null;
    for (const call of [...this.#waiting]) {
      if (this.#link !== link) break; // lost meanwhile: the others wait for the next
      if (this.#waiting.delete(call)) this.#send(call);
    }
    for (const event of announce) this.#emit(...event);
    if (this.#link === link) this.#emit('connected');
  }

  // ---- Sessions ----

  /** Restore *key* before anything else may go out on *link*. */
  #restore(link, key) {
    this.#restoringSince ??= performance.now();
    const left = this.#options.restoreTimeout - (performance.now() - this.#restoringSince);
    let late = false;
    const timer = startTimer(() => {
      late = true;
      if (!this.#triesAgain()) this.#forget(key); // and connects again: it may be restored yet
      this.#drop(link, new ConnectionTimeout('no answer to the restoring of the session'));
    }, Math.min(this.#options.requestTimeout, Math.max(left, 0)));
    const done = (session) => {
      clearTimeout(timer);
      this.#remember(session);
      this.#open(link, [['sessionCreated', session]]);
    };
    const failed = (error) => {
      clearTimeout(timer);
      if (!late && (error instanceof Disconnected || error instanceof ServerShutdown)) {
        this.#restoringSince = null; // it doesn't fail at this, it is away
      }
      if (error instanceof Disconnected) return; // tried again on the next connection
      const ofTheSession = error instanceof WebwireError && !(error instanceof ServerShutdown)
        && !(error instanceof InternalError && this.#triesAgain());
      if (!ofTheSession) {
        this.#drop(link, error); // likewise
      } else if (error instanceof InvalidState) {
        this.#open(link); // closed meanwhile, which has been told
      } else {
        this.#forget(key);
        this.#open(link, [['sessionRefused', error]]);
      }
    };
    try {
      this.#askForSession(this.#checked(encodeSessionRequest(key)), done, failed);
    } catch (error) {
      failed(error);
    }
  }

  /** The server failed at restoring the session: whether there is time to try it once more. */
  #triesAgain() {
    return performance.now() - this.#restoringSince < this.#options.restoreTimeout;
  }

  /**
   * Have the server attach a session. It does, though who asked may have given up: so the answer
   * is heard whenever it comes. *done* gets the session, *failed* the error.
   */
  #askForSession(message, done, failed) {
    const finish = () => {
      this.#restores.delete(call);
      this.#pending.delete(call.id);
    };
    const call = {
      voided: false,
      read: (reply) => new Session(reply.data),
      resolve: (session) => {
        finish();
        if (call.voided) failed(new InvalidState('the session was closed before it was restored'));
        else done(session);
      },
      reject: (error) => {
        finish();
        failed(error);
      },
    };
    this.#restores.add(call);
    try {
      this.#ask(call, message);
    } catch (error) {
      finish();
      throw error;
    }
  }

  #voidRestores() {
    for (const call of this.#restores) call.voided = true;
  }

  /** Wait for the restoring that is under way: it would bring back what is forgotten before. */
  async #restoredOrForgotten(options) {
    try {
      await this.ready(options);
    } catch (error) {
      this.#forget();
      const link = this.#link;
      if (link && !link.ready) this.#drop(link, new Disconnected('the session was closed'));
      throw error;
    }
  }

  #remember(session) {
    this.#restoringSince = null;
    this.#session = session;
    this.#key = session.key;
    this.#keeper.set(session.key);
  }

  #begin(session) {
    this.#remember(session);
    this.#emit('sessionCreated', session);
    return session;
  }

  #forget(key = this.#session?.key ?? this.#key) {
    this.#restoringSince = null;
    this.#session = null;
    this.#key = undefined;
    if (key !== undefined) this.#keeper.remove(key);
  }

  // ---- What comes ----

  #handle({ base, id, name, data, encoding }) {
    if (base <= TYPES.REPLY_SESSIONS_DISABLED || base === TYPES.REPLY) {
      const call = this.#pending.get(id);
      if (!call) return; // late: nobody waits for it any more
      if (base === TYPES.REPLY_ERROR) {
        call.reject(new RequestError(name, new TextDecoder().decode(data)));
      } else if (base !== TYPES.REPLY) call.reject(REFUSALS[base]());
      else this.#answer(call, new Payload(data, encoding));
    } else if (base === TYPES.SIGNAL) {
      const payload = new Payload(data, encoding);
      this.#emit('signal', name, payload);
      this.#emit(`signal:${name}`, payload);
    } else if (base === TYPES.SESSION_CREATED) {
      this.#created(data);
    } else if (base === TYPES.SESSION_CLOSED) {
      // As the first request of a connection a restore can have no other session before it.
      if (!this.#link.ready) this.#voidRestores();
      this.#forget();
      this.#emit('sessionClosed');
    }
    // Anything else is meant for a server, or a second AcceptConf: without effect.
  }

  #answer(call, reply) {
    let result;
    try {
      result = call.read(reply);
    } catch (error) {
      call.reject(error instanceof WebwireError ? error : new InvalidMessage('no session in JSON'));
      return;
    }
    call.resolve(result);
  }

  #created(data) {
    let session;
    try {
      session = new Session(data);
    } catch {
      console.warn('webwire: the server announced a session that cannot be read; it is ignored');
      return;
    }
    this.#begin(session);
  }

  /** Call the handlers of *event*; what they throw is reported and harms nobody else. */
  #emit(event, ...values) {
    const report = globalThis.reportError ?? ((error) => console.error(error));
    for (const { handler } of [...(this.#handlers.get(event) ?? [])]) {
      try {
        const result = handler(...values);
        if (typeof result?.then === 'function') result.then(undefined, report);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** A client of the server at *url*; see webwire.d.ts for the options. */
export function connect(url, options) {
  return new Client(url, options);
}
