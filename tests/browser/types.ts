// Checked by tsc --strict, never run: what the types must take, and what they must refuse.

import {
  Client,
  Disconnected,
  RequestError,
  WebwireError,
  connect,
  type Options,
  type Payload,
  type Reply,
  type Session,
  type Status,
} from 'wirecore-webwire';

const client: Client = connect('/chat', {
  autoconnect: false,
  requestTimeout: 1000,
  dialTimeout: Infinity,
  reconnectInterval: 10,
  bufferSize: 32,
  subprotocol: 'chat.v1',
  maxPending: 1,
  maxBuffered: 1,
  storage: localStorage,
  storageKey: 'mine',
  WebSocket,
});
connect(new URL('ws://127.0.0.1/'), { storage: null });

export async function uses(): Promise<void> {
  const aborting = new AbortController();
  await client.ready();
  await client.connect({ timeout: Infinity, signal: aborting.signal });
  const reply: Reply = await client.request('echo', 'text', { encoding: 'utf16', timeout: 1 });
  const data: Uint8Array = reply.data;
  const text: string = (await client.request('bytes', data)).text;
  await client.request('buffer', new ArrayBuffer(1), { encoding: 'utf8' });
  await client.request('view', new DataView(new ArrayBuffer(1)));
  await client.request('nothing');
  await client.signal('chat', text, { wait: true });
  const value: { n: number } = reply.json<{ n: number }>();
  const session: Session = await client.restoreSession('key');
  const key: string = session.key;
  const created: Date = session.created;
  const user: unknown = client.session?.info['user'];
  await client.closeSession();
  await client.close();
  const status: Status = client.status;
  console.log(value, key, created, user, status);

  // @ts-expect-error: an object isn't sent as it is
  await client.request('object', { n: 1 });
  // @ts-expect-error: not an encoding
  await client.request('echo', 'text', { encoding: 'latin1' });
  // @ts-expect-error: a request always waits
  await client.request('echo', 'text', { wait: true });
  // @ts-expect-error: the server says what the session is
  client.session = session;
  // @ts-expect-error: an event that there isn't
  client.on('signals', () => {});
  // @ts-expect-error: not an option
  const options: Options = { reconnect: true };
  console.log(options);
}

const stop: () => void = client.on('signal', (name, payload) => {
  const both: [string, Payload] = [name, payload];
  console.log(both);
});
stop();
client.on('signal:news', (payload) => console.log(payload.encoding));
client.on('sessionCreated', (session) => console.log(session.lastLookup.getTime()));
client.on('sessionRefused', (error) => console.log(error.message));
client.on('disconnected', (error) => console.log(error.message));

export function told(error: unknown): string {
  if (error instanceof RequestError) return error.code;
  if (error instanceof Disconnected) return error.execution satisfies 'not_sent' | 'maybe_executed';
  return error instanceof WebwireError ? error.name : 'unknown';
}
