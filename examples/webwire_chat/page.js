// The chat's page. What others wrote goes into the page as text only (textContent), never as HTML.

import { connect, RequestError } from '/webwire.js';

const BUFFER_SIZE = 128 * 1024; // as the server's

const WORDS = {
  connected: 'connected',
  connecting: 'connecting …',
  disconnected: 'not connected',
};

const client = connect('/', { bufferSize: BUFFER_SIZE, reconnectInterval: 1000 });
const rooms = new Map(); // name to what is known of a room that we are in
let me = null; // our name, once we are logged in
let names = []; // of all rooms
let current = null; // the room that is shown

const at = (id) => document.getElementById(id);

function element(tag, text = '', className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const ask = async (name, value) => {
  const reply = await client.request(name, value === undefined ? '' : JSON.stringify(value));
  return reply.data.length ? reply.json() : null;
};

/** Run what a button or a form asks for; a refusal is told where it happened. */
async function attempt(place, what) {
  place.textContent = '';
  try {
    await what();
  } catch (error) {
    const refused = error instanceof RequestError;
    place.textContent = refused ? error.message : `That failed: ${error.message}. Try again.`;
  }
}

// ---- Coming in ----

function showDoor() {
  me = null;
  current = null;
  rooms.clear();
  at('me').hidden = at('chat').hidden = true;
  at('door').hidden = false;
  at('login').elements.name.focus();
}

/** We are somebody: the rooms that we were in, or the one that the address names. */
async function enter(welcome) {
  me = welcome.name;
  names = welcome.rooms;
  at('name').textContent = me;
  at('door').hidden = true;
  at('me').hidden = at('chat').hidden = false;
  const wanted = decodeURIComponent(location.hash.slice(1));
  const again = [...rooms.keys()].filter((room) => names.includes(room));
  for (const room of again) await join(room);
  await show(current ?? (names.includes(wanted) ? wanted : names[0]));
}

at('login').onsubmit = (event) => {
  event.preventDefault();
  const form = at('login');
  const { name, password } = form.elements;
  attempt(at('refusal'), async () => {
    const how = event.submitter?.value ?? 'login';
    const welcome = await ask(how, { name: name.value, password: password.value });
    form.reset();
    await enter(welcome);
    at('text').focus();
  });
};

at('logout').onclick = () => attempt(at('problem'), () => ask('logout'));

// ---- The connection ----

function showStatus() {
  const { status } = client;
  at('status').dataset.status = status;
  at('status').textContent = WORDS[status];
  at('say').querySelector('button').disabled = status !== 'connected';
}

client.on('connected', async () => {
  showStatus();
  if (client.session === null) showDoor();
  else await attempt(at('problem'), async () => enter(await ask('who')));
});
client.on('disconnected', showStatus);
client.on('sessionClosed', showDoor);

// ---- Rooms ----

/** Be in *room*, again after a reconnect; what is known of it already stays. */
async function join(room) {
  const joined = await ask('join', { room });
  const known = rooms.get(room) ?? { said: [], more: false, unread: 0 };
  known.members = new Set(joined.members);
  known.count = joined.count;
  const { said, more } = joined.history;
  const last = known.said.at(-1)?.id ?? 0;
  if (said.length && more && said[0].id > last) known.said = []; // there may be a gap: begin anew
  if (!known.said.length) known.more = more;
  rooms.set(room, known);
  said.forEach((line) => keep(known, line));
}

/** Add a message in its place, once; whether it was new. */
function keep(known, line) {
  if (known.said.some(({ id }) => id === line.id)) return false;
  known.said.push(line);
  known.said.sort((one, other) => one.id - other.id);
  return true;
}

async function show(room) {
  if (!rooms.has(room)) await join(room);
  current = room;
  rooms.get(room).unread = 0;
  history.replaceState(null, '', `#${encodeURIComponent(room)}`);
  draw();
  at('scroll').scrollTop = at('scroll').scrollHeight;
}

at('leave').onclick = () => attempt(at('problem'), async () => {
  await ask('leave', { room: current });
  rooms.delete(current);
  await show(rooms.keys().next().value ?? names.find((name) => name !== current) ?? names[0]);
});

client.on('signal:said', (payload) => {
  const line = payload.json();
  const known = rooms.get(line.room);
  if (!known || !keep(known, line)) return;
  if (line.room !== current) known.unread += 1;
  draw();
});

function moved(payload, what, change) {
  const { room, name, count } = payload.json();
  const known = rooms.get(room);
  if (!known) return;
  known.count = count;
  const before = known.members.has(name);
  change(known.members, name);
  if (before !== known.members.has(name) && name !== me) {
    const id = known.said.at(-1)?.id ?? 0;
    known.events = [...(known.events ?? []).slice(-20), { after: id, text: `${name} ${what}` }];
  }
  draw();
}
client.on('signal:joined', (payload) => moved(payload, 'came', (members, name) => members.add(name)));
client.on('signal:left', (payload) => moved(payload, 'left', (members, name) => members.delete(name)));

// ---- What is said ----

at('say').onsubmit = (event) => {
  event.preventDefault();
  const text = at('text').value.trim();
  if (!text) return;
  attempt(at('problem'), async () => {
    await ask('say', { room: current, text });
    at('text').value = '';
  });
};

at('older').onclick = () => attempt(at('problem'), async () => {
  const known = rooms.get(current);
  const page = await ask('history', { room: current, id: known.said[0].id });
  page.said.forEach((line) => keep(known, line));
  known.more = page.more;
  const { scrollHeight } = at('scroll');
  draw();
  at('scroll').scrollTop += at('scroll').scrollHeight - scrollHeight;
});

// ---- Drawing ----

function draw() {
  const known = rooms.get(current);
  if (!known) return;
  const scroll = at('scroll');
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  at('room').textContent = current;
  drawRooms();
  at('count').textContent = `(${known.count})`;
  at('members').replaceChildren(
    ...[...known.members].sort().map((name) => element('li', name, name === me ? 'self' : '')),
  );
  at('older').hidden = !known.more;
  const events = known.events ?? [];
  const lines = events.filter(({ after }) => after < (known.said[0]?.id ?? 1)).map(drawEvent);
  for (const line of known.said) {
    lines.push(drawLine(line));
    lines.push(...events.filter(({ after }) => after === line.id).map(drawEvent));
  }
  replaceLines(lines);
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
}

/** Only what is new is put in: screen readers read out each line once. */
function replaceLines(lines) {
  const list = at('said');
  if (list.dataset.room !== current) list.replaceChildren();
  list.dataset.room = current;
  const there = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const wanted = lines.map((line) => there.get(line.dataset.key) ?? line);
  const keys = new Set(wanted.map((line) => line.dataset.key));
  for (const [key, item] of there) if (!keys.has(key)) item.remove();
  wanted.forEach((line, index) => {
    if (list.children[index] !== line) list.insertBefore(line, list.children[index] ?? null);
  });
}

/** Buttons stay the ones that they are: whoever uses the keyboard is on one of them. */
function drawRooms() {
  const list = at('rooms');
  if (list.dataset.names !== names.join()) list.replaceChildren(...names.map(makeRoom));
  list.dataset.names = names.join();
  names.forEach((name, index) => {
    const button = list.children[index].firstChild;
    const unread = rooms.get(name)?.unread ?? 0;
    button.setAttribute('aria-current', name === current);
    button.lastChild.hidden = !unread;
    button.lastChild.textContent = unread;
    button.setAttribute('aria-label', unread ? `${name}, ${unread} unread` : name);
  });
}

function makeRoom(name) {
  const item = element('li');
  const button = element('button', name);
  button.type = 'button';
  button.append(element('span', '', 'unread'));
  button.onclick = () => attempt(at('problem'), () => show(name));
  item.append(button);
  return item;
}

function drawLine({ id, time, name, text }) {
  const item = element('li', '', name === me ? 'self' : '');
  item.dataset.key = `said-${id}`;
  const when = new Date(time * 1000);
  const today = when.toDateString() === new Date().toDateString();
  const clock = element('time', when.toLocaleString([], today
    ? { timeStyle: 'short' }
    : { dateStyle: 'medium', timeStyle: 'short' }));
  clock.dateTime = when.toISOString();
  item.append(element('span', name, 'name'), clock, element('p', text));
  return item;
}

function drawEvent({ after, text }, index) {
  const item = element('li', text, 'event');
  item.dataset.key = `event-${after}-${index}-${text}`;
  return item;
}
