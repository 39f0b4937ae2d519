// What a client can be told, and its defaults.

const MIN_BUFFER = 32;

const DEFAULTS = {
  autoconnect: true,
  requestTimeout: 60_000,
  dialTimeout: 5_000,
  reconnectInterval: 2_000,
  bufferSize: 8192,
  subprotocol: '',
  maxPending: 1024,
  maxBuffered: 16 * 1024 * 1024,
};

export function checkedOptions(options) {
  const all = { ...DEFAULTS };
  for (const [name, value] of Object.entries(options)) if (value !== undefined) all[name] = value;
  for (const name of ['requestTimeout', 'dialTimeout', 'reconnectInterval']) {
    if (!(all[name] > 0)) throw new RangeError(`${name} is in milliseconds, above 0`);
  }
  for (const [name, least] of [['bufferSize', MIN_BUFFER], ['maxPending', 1], ['maxBuffered', 1]]) {
    if (!(all[name] >= least)) throw new RangeError(`${name} is at least ${least}`);
  }
  all.WebSocket ??= globalThis.WebSocket;
  if (typeof all.WebSocket !== 'function') {
    throw new TypeError('there is no global WebSocket: give a constructor as the option WebSocket');
  }
  return all;
}

export function absolute(url) {
  const parsed = new URL(url, globalThis.location?.href);
  parsed.protocol = parsed.protocol.replace(/^http/, 'ws');
  parsed.hash = '';
  if (!/^wss?:$/.test(parsed.protocol)) throw new TypeError('the URL must begin with ws: or wss:');
  return parsed.href;
}

/** Where the session of *url* is kept: without its query, which may change, or be secret. */
export function storageName(url) {
  const { protocol, host, pathname } = new URL(url);
  return `webwire:${protocol}//${host}${pathname}`;
}
