// Sessions as the server tells them, and where their keys are kept.

import { InvalidMessage } from './errors.js';
import { Payload } from './messages.js';

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
export class Keeper {
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
    return this.attempt(() => this.storage?.getItem(this.name)) || undefined;
  }

  set(key) {
    this.attempt(() => this.storage?.setItem(this.name, key));
  }

  /** Forget *key*; another page may have stored a newer one meanwhile, which stays. */
  remove(key) {
    if (this.get() === key) this.attempt(() => this.storage.removeItem(this.name));
  }
}
