// The page of app.py. Every address is relative, as the gateway shows it below a name of its own.

const element = (id) => document.getElementById(id);

/** Milliseconds until what is away is looked for again. */
const AGAIN = 1000;

function show(list, texts) {
  list.replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

// --- notes: JSON ------------------------------------------------------------------------------

async function loadNotes() {
  const response = await fetch("api/notes");
  if (response.ok) show(element("notes"), (await response.json()).map((note) => note.text));
}

element("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const response = await fetch("api/notes", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text: element("note").value }),
  });
  element("refusal").textContent = response.ok ? "" : `not kept: ${response.status}`;
  if (!response.ok) return;
  element("note").value = "";
  await loadNotes();
});

// --- the clock: server-sent events --------------------------------------------------------------

function setClock(status, text) {
  element("clock").dataset.status = status;
  element("clock").textContent = text;
}

function watch() {
  const source = new EventSource("api/clock");
  source.onopen = loadNotes;
  source.onmessage = (event) => setClock("here", event.data);
  source.onerror = () => {
    setClock("away", "away");
    // It tries again by itself after a loss, but not where the gateway says that nobody is there.
    if (source.readyState === EventSource.CLOSED) setTimeout(watch, AGAIN);
  };
}

// --- uploads ------------------------------------------------------------------------------------

element("upload").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [file] = element("file").files;
  element("uploaded").textContent = "sending …";
  const response = await fetch(`api/uploads/${encodeURIComponent(file.name)}`, {
    method: "PUT",
    body: file,
  });
  if (!response.ok) {
    element("uploaded").textContent = `not taken: ${response.status}`;
    return;
  }
  const { name, size, sha256 } = await response.json();
  element("uploaded").textContent = `${name}: ${size.toLocaleString("en")} bytes, SHA-256 ${sha256}`;
});

// --- the chat: a WebSocket ----------------------------------------------------------------------

let socket;

function join() {
  socket = new WebSocket(new URL("api/chat", location.href.replace(/^http/, "ws")));
  const button = element("say").querySelector("button");
  socket.onopen = () => { button.disabled = false; };
  socket.onmessage = (event) => {
    const item = document.createElement("li");
    item.textContent = event.data;
    element("said").prepend(item);
  };
  socket.onclose = () => {
    button.disabled = true;
    setTimeout(join, AGAIN);
  };
}

element("say").addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(element("text").value);
  element("text").value = "";
});

watch();
join();
