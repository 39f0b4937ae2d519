/**
 * The browser's end of webwire: requests, replies, signals and sessions over one WebSocket.
 *
 * Times are in milliseconds. What fails rejects with one of the classes below; an argument of a
 * wrong type with TypeError, a number that makes no sense with RangeError.
 */

/** How a payload is to be read: `binary` are bytes, the others text. */
export type Encoding = 'binary' | 'utf8' | 'utf16';

/** What can be sent: text, bytes, or nothing. The bytes are copied before the call returns. */
export type Sendable = string | ArrayBuffer | ArrayBufferView | null | undefined;

/** What requests, signals and replies carry. */
export declare class Payload {
  private constructor();
  readonly data: Uint8Array;
  readonly encoding: Encoding;
  /** The payload as text, UTF-8 unless it is `utf16`; throws {@link InvalidMessage} if it isn't. */
  readonly text: string;
  /** The text read as JSON. */
  json<T = unknown>(): T;
}

export type Reply = Payload;

/** A session as the server told it. `key` is a secret: consoles and JSON don't show it. */
export declare class Session {
  private constructor();
  get key(): string;
  readonly created: Date;
  readonly lastLookup: Date;
  /** What the server's program put into it; {} for nothing. */
  readonly info: Readonly<Record<string, unknown>>;
}

/** Of `WebSocket`, what a client uses: the browser's own, Node's and that of `ws` have it. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(data: Uint8Array): void;
  close(): void;
}

/** Of `Storage`, what a client uses. */
export interface KeyStorage {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

export interface Options {
  /** Connect at once, and again after each loss, until `close()`. Default: true. */
  autoconnect?: boolean;
  /** Time for a call, waiting for a connection included. Default: 60000. */
  requestTimeout?: number;
  /**
   * For how long a session is tried to be restored, with new connections, where the server fails at
   * that or does not answer; then it is given up. Default: 60000.
   */
  restoreTimeout?: number;
  /** Time for one try to connect, up to the server's first message. Default: 5000. */
  dialTimeout?: number;
  /** Least time from one try to the next; up to a tenth is added by chance. Default: 2000. */
  reconnectInterval?: number;
  /** Longest message in bytes, header included; must be the server's. Default: 8192, least: 32. */
  bufferSize?: number;
  /** webwire's sub-protocol, which must be the server's; no WebSocket sub-protocol. Default: ''. */
  subprotocol?: string;
  /** Calls that may wait at the same time, for a connection or a reply. Default: 1024. */
  maxPending?: number;
  /** Bytes that may wait in the WebSocket before a call is refused. Default: 16 MiB. */
  maxBuffered?: number;
  /** Where the session's key outlives the page; null: nowhere. Default: localStorage if there. */
  storage?: KeyStorage | null;
  /** The key's name in `storage`. Default: `webwire:` and the URL without its query. */
  storageKey?: string;
  /** The constructor to use, where there is no global one (Node before 22). */
  WebSocket?: new (url: string) => WebSocketLike;
}

export interface CallOptions {
  /** In place of the client's `requestTimeout`; Infinity for none. */
  timeout?: number;
  /** Rejects with its reason; a reply that still comes is dropped, but see `restoreSession`. */
  signal?: AbortSignal;
}

export interface SendOptions extends CallOptions {
  /** Default: `utf8` for text, `binary` for bytes. Text takes `utf16` too, bytes all three. */
  encoding?: Encoding;
}

export interface SignalOptions extends SendOptions {
  /** Wait for a connection in place of failing at once. Default: false. */
  wait?: boolean;
}

export interface Events {
  /** Each signal from the server. */
  signal: (name: string, payload: Payload) => void;
  /** The server created a session, or one was restored. */
  sessionCreated: (session: Session) => void;
  /** The server refused to restore the stored session, which is forgotten. */
  sessionRefused: (error: WebwireError) => void;
  /** The server closed the session (not: `closeSession()` here). */
  sessionClosed: () => void;
  /** Connected, and the session restored if there was one. */
  connected: () => void;
  /** The connection is lost or closed, or the server is one that can't be talked to. */
  disconnected: (error: Error) => void;
}

/** `disconnected`: no try is under way; `connecting`: until connected, pauses included. */
export type Status = 'connected' | 'connecting' | 'disconnected';

export declare class Client {
  /** @throws TypeError or RangeError for a URL or an option that makes no sense. */
  constructor(url: string | URL, options?: Options);

  readonly session: Session | null;
  readonly status: Status;

  /** Call `handler` at each event; a handler that throws is reported and harms nobody else. */
  on<E extends keyof Events>(event: E, handler: Events[E]): () => void;
  /** The signals with one name. The function returned ends it. */
  on(event: `signal:${string}`, handler: (payload: Payload) => void): () => void;

  /** Wait until connected. Rejects where nothing is trying to, with the reason. */
  ready(options?: CallOptions): Promise<void>;

  /** Connect: without autoconnect one try; with it, on after `close()` or a lasting refusal. */
  connect(options?: CallOptions): Promise<void>;

  /**
   * Ask the server. Rejects with what it answered: {@link RequestError}, {@link InternalError},
   * {@link ServerShutdown}; else with {@link DeadlineExceeded}, {@link ConnectionTimeout},
   * {@link Disconnected}, {@link BufferOverflow}, {@link UnsendableMessage}, or what makes
   * connecting hopeless.
   */
  request(name: string, payload?: Sendable, options?: SendOptions): Promise<Reply>;

  /** Tell the server; resolved once it is given to the WebSocket. Rejects as `request` does. */
  signal(name: string, payload?: Sendable, options?: SignalOptions): Promise<void>;

  /**
   * Take on a session. Rejects with {@link SessionNotFound}, {@link SessionsDisabled},
   * {@link MaxSessionConnectionsReached}, with {@link InvalidState} where one is active. A session
   * that the server gives after the timeout, or after an abort, is taken up all the same (event
   * `sessionCreated`): the connection has it, and `closeSession()` ends it.
   */
  restoreSession(key: string, options?: CallOptions): Promise<Session>;

  /** Forget the session, and have the server close it if connected. */
  closeSession(options?: CallOptions): Promise<void>;

  /** Disconnect and stay so until `connect()` or a request; the session is kept for then. */
  close(): Promise<void>;
}

/** A client of the server at `url`, which may be relative to the page: `connect('/chat')`. */
export declare function connect(url: string | URL, options?: Options): Client;

/** Base of all errors here. */
export declare class WebwireError extends Error {}

/** The server's program answered with an error: `code` and `message` are its words. */
export declare class RequestError extends WebwireError {
  constructor(code: string, message: string);
  readonly code: string;
}
/** The server failed at the request; only its log says how. */
export declare class InternalError extends WebwireError {}
/** The server is shutting down and didn't handle the request. */
export declare class ServerShutdown extends WebwireError {}
export declare class SessionNotFound extends WebwireError {}
/** The session is in use on as many connections as it may be. */
export declare class MaxSessionConnectionsReached extends WebwireError {}
/** The server has no sessions. */
export declare class SessionsDisabled extends WebwireError {}

/** The server speaks another major version of the protocol. */
export declare class IncompatibleVersion extends WebwireError {}
/** `subprotocol` isn't the server's. */
export declare class SubprotocolMismatch extends WebwireError {}
/** `bufferSize` isn't the server's. */
export declare class BufferSizeMismatch extends WebwireError {}
/** What answers isn't a webwire server, or one of before 2.0. */
export declare class UnexpectedFirstMessage extends WebwireError {}

/** No reply in time. */
export declare class DeadlineExceeded extends WebwireError {}
/** No connection in time. `cause`: why the last try failed. */
export declare class ConnectionTimeout extends WebwireError {}
/** There is no connection, or it was lost before the reply. */
export declare class Disconnected extends WebwireError {
  constructor(message: string, execution?: Execution, options?: { cause?: unknown });
  /** `not_sent`: the server can't have got it. */
  readonly execution: Execution;
}
export type Execution = 'not_sent' | 'maybe_executed';

/** A message is over `bufferSize`, or more waits than `maxPending` or `maxBuffered` allow. */
export declare class BufferOverflow extends WebwireError {}
/** The wire doesn't take this name or payload; nothing was sent. */
export declare class UnsendableMessage extends WebwireError {}
/** A payload or session isn't what it should be. */
export declare class InvalidMessage extends WebwireError {}
/** Not possible now: a session is active already, or was closed before it was restored. */
export declare class InvalidState extends WebwireError {}
