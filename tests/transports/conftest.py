"""Runs that check that nothing is left over, both ends of a connection, and a peer of raw frames.

Over memory time jumps whenever everybody waits. With sockets it jumps only after nothing has
moved for a moment: what the kernel still carries mustn't count as waiting.
"""

from __future__ import annotations

import datetime
import gc
import ipaddress
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wirecore.constants import Opcode
from wirecore.websocket import Accepted, DeflateParameters
from wirecore_trio._link import Link, SocketLink, StreamLink
from wirecore_trio.testing._runs import pump_timers, system_tasks
from wirecore_trio.websocket import Options, WebSocket

if TYPE_CHECKING:
    from wirecore._backend import Backend

Story: TypeAlias = Callable[[], Awaitable[None]]
Run: TypeAlias = Callable[[Story], None]

#: A story that takes longer than this, in its own time, hangs.
_FOR_EVER = 1e6


class Unread:
    """A run's rhythm that counts how often somebody would read in place, and has nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        for where in ("_done", "_pending"):
            monkeypatch.setattr(f"wirecore_trio.{where}.current_rhythm", lambda: self)

    def turn_is_due(self) -> bool:
        return False

    def read_on(self) -> bool:
        self.asked += 1
        return False


class Turns:
    """Counts the turns of a task that only ever lets others have theirs: start :meth:`run`."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            self.count += 1


async def _checked(story: Story) -> None:
    before = system_tasks()
    with trio.fail_after(_FOR_EVER):
        await story()
    await trio.testing.wait_all_tasks_blocked()
    assert {task.name for task in system_tasks() - before} == set()
    assert pump_timers() == []


def _run(story: Story, clock: trio.abc.Clock | None) -> None:
    trio.run(_checked, story, clock=clock)
    gc.collect()  # what wasn't closed says so now, and not in somebody else's test


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """Time that jumps to the next deadline whenever everybody waits."""
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.fixture
def run(clock: trio.testing.MockClock) -> Run:
    """Run a story over memory; no task and no timer may be left over."""
    return lambda story: _run(story, clock)


@pytest.fixture
def run_sockets() -> Run:
    """Run a story with sockets; nothing may be left over."""
    return lambda story: _run(story, trio.testing.MockClock(autojump_threshold=0.05))


#: A story with reconnects that takes longer than this, in its own time, goes round in circles.
_PATIENCE = 1000


def bounded(run: Run, patience: float = _PATIENCE) -> Run:
    """As *run*, for stories in which a fault may show as somebody who tries again for ever.

    *patience*: seconds, in the story's own time.
    """

    def run_bounded(story: Story) -> None:
        async def patient() -> None:
            with trio.fail_after(patience):
                await story()

        run(patient)

    return run_bounded


@pytest.fixture
def run_real() -> Run:
    """Run a story with sockets or threads in real time, which passes over no deadline of theirs.

    For stories that wait for nothing but their own ends; nothing may be left over.
    """
    return lambda story: _run(story, None)


# --- connections --------------------------------------------------------------------------


def web_socket(
    link: Link,
    *,
    client: bool,
    options: Options | None = None,
    deflate: DeflateParameters | None = None,
    leftover: bytes = b"",
    backend: Backend | None = None,
) -> WebSocket:
    """An open WebSocket over *link*, as if the handshake were over."""
    return WebSocket(
        link,
        client=client,
        accepted=Accepted(None, [], deflate),
        options=options or Options(),
        leftover=leftover,
        backend=backend,
    )


class RawPeer:
    """The other end of a WebSocket, made of frames: it does nothing by itself."""

    def __init__(self, stream: trio.abc.Stream, backend: Backend, *, client: bool) -> None:
        self.stream = stream
        self._client = client
        self._encode = backend.frames.encode_frame
        self._decoder = backend.frames.MessageDecoder(
            client=client, max_frame_size=1 << 40, max_message_size=1 << 40
        )
        self._items: deque[Any] = deque()

    def frame(self, opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
        """A frame as this peer sends it."""
        return self._encode(opcode, payload, self._client, fin)

    async def send(self, *frames: bytes) -> None:
        """Send *frames* in one go."""
        await self.stream.send_all(b"".join(frames))

    async def message(self, payload: bytes) -> None:
        """Send a binary message."""
        await self.send(self.frame(Opcode.BINARY, payload))

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame."""
        payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
        await self.send(self.frame(Opcode.CLOSE, payload))

    async def next(self) -> Any:
        """The next thing that came, None at the end of the stream or after a reset."""
        while not self._items:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            self._items.extend(self._decoder.receive(data))
        return self._items.popleft()

    async def rest(self) -> list[Any]:
        """All that still comes, until the end of the stream."""
        items = []
        while (item := await self.next()) is not None:
            items.append(item)
        return items


class OpenPair(Protocol):
    """``client, server = open_pair(client=Options(), server=Options())``."""

    def __call__(
        self,
        *,
        client: Options | None = None,
        server: Options | None = None,
        deflate: DeflateParameters | None = None,
    ) -> tuple[WebSocket, WebSocket]: ...


class OpenRaw(Protocol):
    """``ws, peer = open_raw(options=Options())``: the WebSocket is the server, if not told."""

    def __call__(
        self,
        *,
        client: bool = False,
        options: Options | None = None,
        leftover: bytes = b"",
        deflate: DeflateParameters | None = None,
    ) -> tuple[WebSocket, RawPeer]: ...


def _opened(backend: Backend, connect: Callable[[], tuple[Link, Link]]) -> OpenPair:
    def open_pair(
        *,
        client: Options | None = None,
        server: Options | None = None,
        deflate: DeflateParameters | None = None,
    ) -> tuple[WebSocket, WebSocket]:
        one, other = connect()
        return (
            web_socket(one, client=True, options=client, deflate=deflate, backend=backend),
            web_socket(other, client=False, options=server, deflate=deflate, backend=backend),
        )

    return open_pair


def _memory_links() -> tuple[Link, Link]:
    one, other = trio.testing.memory_stream_pair()
    return StreamLink(one), StreamLink(other)


def small_sockets(size: int = 4096) -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets with the smallest buffers that the kernel gives."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.socket()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            one.setsockopt(socket.SOL_SOCKET, option, size)
        one.connect(listener.getsockname())
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other, _ = listener.accept()
        other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return one, other


def _socket_links() -> tuple[Link, Link]:
    one, other = small_sockets()
    return SocketLink(one), SocketLink(other)


@pytest.fixture
def open_pair(backend: Backend) -> OpenPair:
    """Both ends of an open WebSocket over memory."""
    return _opened(backend, _memory_links)


@pytest.fixture
def open_socket_pair(backend: Backend) -> OpenPair:
    """Both ends of an open WebSocket over TCP with small buffers."""
    return _opened(backend, _socket_links)


@pytest.fixture
def open_raw(backend: Backend) -> OpenRaw:
    """A WebSocket over memory, and a peer of raw frames."""

    def opener(
        *,
        client: bool = False,
        options: Options | None = None,
        leftover: bytes = b"",
        deflate: DeflateParameters | None = None,
    ) -> tuple[WebSocket, RawPeer]:
        one, other = trio.testing.memory_stream_pair()
        ws = web_socket(
            StreamLink(one),
            client=client,
            options=options,
            leftover=leftover,
            deflate=deflate,
            backend=backend,
        )
        return ws, RawPeer(other, backend, client=not client)

    return opener


@pytest.fixture
def open_raw_socket(backend: Backend) -> OpenRaw:
    """A WebSocket over TCP with small buffers, and a peer of raw frames."""

    def opener(
        *,
        client: bool = False,
        options: Options | None = None,
        leftover: bytes = b"",
        deflate: DeflateParameters | None = None,
    ) -> tuple[WebSocket, RawPeer]:
        one, other = small_sockets()
        other.setblocking(False)
        ws = web_socket(
            SocketLink(one),
            client=client,
            options=options,
            leftover=leftover,
            deflate=deflate,
            backend=backend,
        )
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(other))
        return ws, RawPeer(stream, backend, client=not client)

    return opener


@pytest.fixture(scope="session")
def ipv6() -> None:
    """Skips where the machine has no IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


# --- certificates ---------------------------------------------------------------------------


_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Authority:
    """A certificate authority of this test run; *path* holds its certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
        signs = dict.fromkeys(_KEY_USAGES, False) | {"key_cert_sign": True}
        self._certificate = self._issue(
            self._name, self._key, x509.BasicConstraints(True, 0), x509.KeyUsage(**signs)
        )
        self.path = folder / "authority.pem"
        self.path.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def _issue(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: x509.ExtensionType,
        expired: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(tz=datetime.UTC)
        day = datetime.timedelta(days=1)
        if expired:
            now -= 2 * day
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
        )
        # Python verifies strictly since 3.13: RFC 5280 section 4.2 wants the first two.
        identifiers = (
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        )
        for extension in (*identifiers, *extensions):
            critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def certify(self, name: str, *, local: bool = True, expired: bool = False) -> Path:
        """A key and its certificate for *name*, which is also one for 127.0.0.1 where *local*.

        *expired*: a day ago.
        """
        path = self._folder / f"{name}.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if local else []
        names = x509.SubjectAlternativeName([x509.DNSName(name), *addresses])
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._issue(subject, key, names, expired=expired)
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        return path

    def server_context(self, *, asks: bool = False) -> ssl.SSLContext:
        """For a server called ``server.test``; *asks*: for a client's certificate too."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.path))
        context.load_cert_chain(self.certify("server.test"))
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self, issuer: Authority | None = None) -> ssl.SSLContext:
        """For a client that trusts this authority; *issuer* gives it a certificate."""
        context = ssl.create_default_context(cafile=str(self.path))
        if issuer is not None:
            context.load_cert_chain(issuer.certify("client.test"))
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that the system doesn't know."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def another_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that nobody else knows either."""
    return Authority(tmp_path_factory.mktemp("foreign"))
