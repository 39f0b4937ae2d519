// One connection and its timers.

import { TYPES } from './messages.js';

export const OPEN = 1; // of WebSocket.readyState
const CLOSED = 3;
const LONGEST_TIMER = 2 ** 31 - 1; // a longer one would end at once
const SHORTEST_HEARTBEAT = 250;
const HEARTBEAT = Uint8Array.of(TYPES.HEARTBEAT);

/** A timer of any length; Infinity never ends. */
export function startTimer(action, milliseconds) {
  if (typeof milliseconds !== 'number' || !(milliseconds >= 0)) {
    throw new RangeError(`a time is a number of milliseconds, not ${String(milliseconds)}`);
  }
  if (milliseconds === Infinity) return undefined;
  return setTimeout(action, Math.min(milliseconds, LONGEST_TIMER));
}

/** One WebSocket, from dialling to its end. */
export class Link {
  accepted = false; // AcceptConf has come
  ready = false; // the session is restored, requests may go

  constructor(socket) {
    this.socket = socket;
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
    this.heart = setTimeout(() => this.write(HEARTBEAT), this.rhythm);
  }

  /** Let go of the socket; the promise tells when it is closed. */
  end() {
    const { socket } = this;
    clearTimeout(this.heart);
    clearTimeout(this.dialling);
    socket.onmessage = null;
    socket.onerror = () => {}; // implementations for Node throw what nobody listens to
    return new Promise((resolve) => {
      socket.onclose = resolve;
      if (socket.readyState === CLOSED) resolve();
      socket.close();
    });
  }
}
