// A WebSocket that goes nowhere: the test plays the server, message by message.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { connect } from '../../transports/wirecore_browser/webwire.js';

export const vectors = JSON.parse(
  readFileSync(new URL('../vectors/webwire.json', import.meta.url), 'utf8'),
);

export const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
export const hex = (data) => Buffer.from(data).toString('hex');
export const utf8 = (text) => Buffer.from(text, 'utf8').toString('hex');

/** A request's id, or an answer's, as it goes over the wire. */
export const id = (number) => {
  const data = Buffer.alloc(8);
  data.writeBigUInt64LE(BigInt(number));
  return data.toString('hex');
};

/** AcceptConf 2.0: read timeout 60 s, buffer 8192, no sub-protocol. */
export const ACCEPT = '17020060ea000000200000';

/** Let all promises go on that can. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A test in which time stands still unless it says so, and nothing is left to chance. */
export const frozen = (name, story) => test(name, async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(Math, 'random', () => 0);
  await story(context);
});

/** Milliseconds go by, and what follows from it happens. */
export async function pass(context, milliseconds) {
  context.mock.timers.tick(milliseconds);
  await settled();
}

/** Sockets in order of dialling, and a constructor that makes them. */
export class Network {
  sockets = [];

  constructor() {
    const { sockets } = this;
    this.WebSocket = class extends FakeWebSocket {
      constructor(url) {
        super(url);
        sockets.push(this);
      }
    };
  }

  get last() {
    return this.sockets.at(-1);
  }

  /** A client on this network; it keeps no session unless the test gives a storage. */
  connect(options = {}) {
    return connect('ws://example.test/chat', { WebSocket: this.WebSocket, storage: null, ...options });
  }

  /** A client that is connected already. */
  connected(options) {
    const client = this.connect(options);
    this.last.accept();
    assert.equal(client.status, 'connected');
    return client;
  }
}

class FakeWebSocket {
  readyState = 0;
  bufferedAmount = 0;
  sent = [];

  constructor(url) {
    this.url = url;
  }

  send(data) {
    assert.equal(this.readyState, 1, 'sent on a socket that is not open');
    this.sent.push(hex(data));
  }

  close() {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    setImmediate(() => this.lose(1000));
  }

  // ---- what the server and the network do ----

  accept(conf = ACCEPT) {
    this.readyState = 1;
    this.deliver(conf);
  }

  deliver(message) {
    this.onmessage?.({ data: bytes(message).buffer });
  }

  deliverText(text) {
    this.onmessage?.({ data: text });
  }

  lose(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  fail() {
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code: 1006 });
  }
}

/** A storage as the browser's, which shows what it holds. */
export class MemoryStorage {
  items = {};

  getItem(name) {
    return this.items[name] ?? null;
  }

  setItem(name, value) {
    this.items[name] = value;
  }

  removeItem(name) {
    delete this.items[name];
  }
}
