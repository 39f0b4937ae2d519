// The browser's end of webwire, protocol 2.0: requests, replies, signals and sessions over one
// WebSocket, with nothing to build and no dependency. Types and documentation: webwire.d.ts.

import {
  BufferOverflow,
  BufferSizeMismatch,
  ConnectionTimeout,
  DeadlineExceeded,
  Disconnected,
  IncompatibleVersion,
  InternalError,
  InvalidMessage,
  InvalidState,
  MaxSessionConnectionsReached,
  RequestError,
  ServerShutdown,
  SessionNotFound,
  SessionsDisabled,
  SubprotocolMismatch,
  UnexpectedFirstMessage,
  WebwireError,
} from './errors.js';
import { Link, OPEN, startTimer } from './link.js';
import {
  MAJOR_VERSION,
  Payload,
  TYPES,
  decodeMessage,
  encodeNamed,
  encodeSessionRequest,
  setId,
  viewOf,
} from './messages.js';
import { absolute, checkedOptions, storageName } from './options.js';
import { Keeper, Session } from './session.js';

export * from './errors.js';
export { Payload, Session };

/** What a reply that is its type and id alone means. */
const REFUSALS = {
  [TYPES.REPLY_SHUTDOWN]: () => new ServerShutdown('the server is shutting down'),
  [TYPES.REPLY_INTERNAL_ERROR]: () => new InternalError('the server failed; its log says how'),
  [TYPES.REPLY_SESSION_NOT_FOUND]: () => new SessionNotFound('the server has no such session'),
  [TYPES.REPLY_MAX_SESSION_CONNECTIONS]: () =>
    new MaxSessionConnectionsReached('the session is in use on as many connections as it may be'),
  [TYPES.REPLY_SESSIONS_DISABLED]: () => new SessionsDisabled('the server has no sessions'),
};

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
  #session = null;
  #key; // what to restore on the next connection
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
    if (typeof handler !== 'function') throw new TypeError('a handler is a function');
    const entry = { handler }; // the same function may be there twice
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set());
    this.#handlers.get(event).add(entry);
    return () => void this.#handlers.get(event).delete(entry);
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
      if (this.#session) call.reject(new InvalidState('a session is active: close it first'));
      else this.#ask(call, message);
    };
    const read = (reply) => this.#begin(new Session(reply.data));
    return this.#call(options, send, { dial: this.#autoconnect, read });
  }

  async closeSession(options = {}) {
    // A restore that is under way would bring back what is forgotten here.
    if (this.#link?.accepted && !this.#link.ready) await this.ready(options);
    const attached = this.#session !== null && this.#link?.ready;
    this.#forget();
    if (!attached) return;
    await this.#call(options, (call) => this.#ask(call, encodeSessionRequest()), { dial: false });
  }

  async close() {
    this.#wanted = false;
    this.#failure = this.#refusal = null;
    clearTimeout(this.#pace);
    this.#pace = null;
    const error = new Disconnected('the client was closed');
    const ended = this.#link && this.#drop(this.#link, error);
    this.#failWaiting(error);
    if (!ended) return;
    // A server that doesn't answer the close frame isn't waited for long.
    let timer;
    const enough = new Promise((resolve) => {
      timer = startTimer(resolve, this.#options.dialTimeout);
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

  /** Run *send* with a call once there is a connection; *read* makes the result of a reply. */
  #call(options, send, { dial = false, read = (reply) => reply } = {}) {
    const { timeout = this.#options.requestTimeout, signal } = options ?? {};
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw signal.reason;
      this.#notice();
      this.#checkRoom();
      const call = { id: undefined, send, read };
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
      const timer = startTimer(() => call.reject(this.#late(call, timeout)), timeout);
      signal?.addEventListener('abort', abort);
      if (this.#link?.ready) send(call);
      else this.#await(call, dial);
    });
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
    if (call.id !== undefined) return new DeadlineExceeded(`no reply within ${timeout} ms`);
    return new ConnectionTimeout(`no connection within ${timeout} ms`, { cause: this.#failure });
  }

  #ask(call, message) {
    call.id = this.#lastId = BigInt.asUintN(64, this.#lastId + 1n);
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
    }, reconnectInterval);
    let link;
    try {
      link = new Link(new WebSocket(this.#url));
    } catch (error) {
      this.#refuse(error); // say, ws: from a page that came by https:
      return;
    }
    this.#link = link;
    const lose = (why) => () => this.#drop(link, new Disconnected(why));
    link.dialling = startTimer(() => {
      this.#drop(link, new ConnectionTimeout(`no connection within ${dialTimeout} ms`));
    }, dialTimeout);
    link.socket.onmessage = (event) => this.#receive(link, event.data);
    link.socket.onerror = lose('the connection failed');
    link.socket.onclose = (event) => lose(`the connection was closed (${event?.code})`)();
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
      this.#waiting.delete(call);
      call.send(call);
    }
    for (const event of announce) this.#emit(...event);
    if (this.#link === link) this.#emit('connected');
  }

  // ---- Sessions ----

  /** Restore *key* before anything else may go out on *link*. */
  #restore(link, key) {
    const timer = startTimer(() => {
      this.#drop(link, new ConnectionTimeout('no answer to the restoring of the session'));
    }, this.#options.requestTimeout);
    const call = {
      read: (reply) => new Session(reply.data),
      resolve: (session) => {
        finish();
        this.#remember(session);
        this.#open(link, [['sessionCreated', session]]);
      },
      reject: (error) => {
        finish();
        if (error instanceof Disconnected) return; // tried again on the next connection
        if (error instanceof ServerShutdown) {
          this.#drop(link, error);
          return;
        }
        this.#forget(key);
        this.#open(link, [['sessionRefused', error]]);
      },
    };
    const finish = () => {
      clearTimeout(timer);
      this.#pending.delete(call.id);
    };
    this.#ask(call, encodeSessionRequest(key));
  }

  #remember(session) {
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
