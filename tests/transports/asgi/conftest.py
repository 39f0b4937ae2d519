"""uvicorn on a free port with one of four WebSocket protocols, on two loops; a raw client.

Every test here is a coroutine, and runs with uvicorn's own protocols too: what holds for them
holds for ours. Where they differ from each other, the test says so, names those that it doesn't
hold for, and ours goes with the majority or with what ASGI says.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import inspect
import itertools
import ssl
import warnings
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wirecore import _backend
from wirecore.constants import Opcode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from uvicorn import Config
    from uvicorn.server import ServerState

Event: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
App: TypeAlias = Callable[[dict[str, Any], Receive, Send], Awaitable[Any]]
Serve: TypeAlias = "Callable[..., AbstractAsyncContextManager[Served]]"

PROTOCOLS = {
    "websockets": "uvicorn.protocols.websockets.websockets_impl:WebSocketProtocol",
    "websockets-sansio": (
        "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol"
    ),
    "wsproto": "uvicorn.protocols.websockets.wsproto_impl:WSProtocol",
    "wirecore": "wirecore_asgi.uvicorn:WebSocketProtocol",
}

#: A test that takes longer, in seconds, hangs.
_FOR_EVER = 30.0

KEY = base64.b64encode(bytes(range(16)))
#: RFC 6455 section 4.2.2, for that key.
ACCEPT = b"Bz3qJYTGdOe8gUSpLosEdiLKDrk="


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs coroutine tests on the loop of the fixture ``loop_factory``."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def story() -> None:
        async with asyncio.timeout(_FOR_EVER):
            await pyfuncitem.obj(**arguments)

    factory = cast("Callable[[], asyncio.AbstractEventLoop]", pyfuncitem.funcargs["loop_factory"])
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(story())
    return True


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes a loop of each kind in turn."""
    if request.param == "asyncio":
        return asyncio.SelectorEventLoop
    uvloop = pytest.importorskip("uvloop")
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)


def protocol_class(name: str) -> type[asyncio.Protocol]:
    """The protocol that *name* stands for."""
    pytest.importorskip("uvicorn")
    module, _, attribute = PROTOCOLS[name].partition(":")
    with warnings.catch_warnings():
        # uvicorn's oldest protocol is deprecated, and stands on what is deprecated.
        warnings.simplefilter("ignore")
        return cast("type[asyncio.Protocol]", getattr(import_module(module), attribute))


_OLDEST = pytest.param(
    "websockets",
    marks=pytest.mark.filterwarnings("ignore:remove second argument:DeprecationWarning"),
)


@pytest.fixture(params=[_OLDEST, "websockets-sansio", "wsproto", "wirecore"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Each protocol in turn; tests of ours alone override it."""
    return cast(str, request.param)


@dataclass
class Answer:
    """An HTTP response; names of header fields in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        """All fields of that name."""
        return [value for found, value in self.headers if found == name]


@dataclass
class Frame:
    """A frame as it came from the server."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv1: bool = False

    @property
    def close(self) -> tuple[int, str]:
        """Code and reason of a close frame."""
        assert self.opcode == Opcode.CLOSE, self
        return int.from_bytes(self.payload[:2], "big"), self.payload[2:].decode()


class Peer:
    """A client that says just what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(
        self,
        target: str = "/",
        *headers: tuple[str, str],
        version: str = "13",
        key: bytes | None = KEY,
    ) -> Answer:
        """Asks for an upgrade, and reads the answer's head; of a refusal the body too."""
        lines = [
            f"GET {target} HTTP/1.1",
            "Host: example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Version: {version}",
        ]
        if key is not None:
            lines.append(f"Sec-WebSocket-Key: {key.decode()}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return await self.answer()

    async def answer(self) -> Answer:
        """The next response."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")[:-2]
        pairs = [line.partition(b":") for line in lines]
        fields = [(name.lower(), value.strip()) for name, _, value in pairs]
        answer = Answer(int(first.split()[1]), fields)
        if answer.status == 101:
            return answer
        if b"chunked" in answer.values(b"transfer-encoding"):
            while size := int(await self.reader.readline(), 16):
                answer.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        elif answer.values(b"content-length"):
            answer.body = await self.reader.readexactly(int(answer.values(b"content-length")[0]))
        return answer

    async def open(self, target: str = "/", *headers: tuple[str, str]) -> Answer:
        """Asks for an upgrade, which the server accepts."""
        answer = await self.request(target, *headers)
        assert answer.status == 101, answer
        assert answer.values(b"sec-websocket-accept") == [ACCEPT]
        return answer

    def send(
        self,
        opcode: int,
        payload: bytes = b"",
        *,
        fin: bool = True,
        rsv1: bool = False,
        masked: bool = True,
    ) -> None:
        """Sends a frame."""
        encode = _backend.default.frames.encode_frame
        self.writer.write(encode(opcode, payload, masked, fin, rsv1))

    def text(self, text: str) -> None:
        """Sends a text message."""
        self.send(Opcode.TEXT, text.encode())

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Sends a close frame."""
        payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
        self.send(Opcode.CLOSE, payload)

    async def frame(self) -> Frame:
        """The next frame."""
        first, size = await self.reader.readexactly(2)
        assert size < 128, "a server doesn't mask"
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        payload = await self.reader.readexactly(size)
        return Frame(first & 15, payload, bool(first & 128), bool(first & 64))

    async def end(self) -> bytes:
        """What else comes until the server ends the stream; this end does so then."""
        rest = await self.reader.read()
        self.writer.close()
        return rest

    async def leave(self) -> None:
        """Ends the stream."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass  # the server was faster


@dataclass
class Served:
    """uvicorn at work: where, and what it knows."""

    config: Config
    state: ServerState
    port: int
    peers: list[Peer] = field(default_factory=list)

    async def connect(self, tls: ssl.SSLContext | None = None) -> Peer:
        """A connection to it."""
        name = None if tls is None else "localhost"
        streams = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=tls, server_hostname=name
        )
        self.peers.append(Peer(*streams))
        return self.peers[-1]

    def only_connection(self) -> Any:
        """The protocol of the one connection there is."""
        (connection,) = self.state.connections
        return connection

    async def until(self, condition: Callable[[], object]) -> None:
        """Lets the loop run until *condition* holds."""
        for _ in itertools.count():
            if condition():
                return
            await asyncio.sleep(0)

    async def idle(self) -> None:
        """Until no application runs any more."""
        while self.state.tasks:
            await asyncio.wait(set(self.state.tasks))
            await asyncio.sleep(0)  # what is done is taken out by a callback


@pytest.fixture(params=["httptools"])
def http(request: pytest.FixtureRequest) -> str:
    """The HTTP protocol that hands over; tests of that parametrize it."""
    return cast(str, request.param)


@pytest.fixture
def serve(
    protocol: str, http: str, loop_factory: object
) -> Callable[..., AbstractAsyncContextManager[Served]]:
    """``serve(app, **options)``: a context manager of uvicorn at work with *options* of Config."""
    pytest.importorskip("uvicorn")
    if http == "httptools":
        pytest.importorskip("httptools")
    from uvicorn import Config
    from uvicorn.server import ServerState

    @asynccontextmanager
    async def serve(
        app: App, *, app_state: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[Served]:
        options = {"http": http, "ws": protocol_class(protocol), "log_config": None, **options}
        config = Config(cast(Any, app), **options)
        config.load()
        state = ServerState()
        state.default_headers = [(b"server", b"uvicorn"), (b"date", b"today")]

        def connection() -> asyncio.Protocol:
            made: Any = config.http_protocol_class
            return cast(
                asyncio.Protocol,
                made(config=config, server_state=state, app_state=app_state or {}),
            )

        loop = asyncio.get_running_loop()
        server = await loop.create_server(connection, "127.0.0.1", 0, ssl=config.ssl)
        served = Served(config, state, server.sockets[0].getsockname()[1])
        try:
            yield served
        finally:
            server.close()
            for peer in served.peers:
                await peer.leave()
            for left in list(state.connections):
                cast(Any, left).transport.abort()
            for task in set(state.tasks):
                task.cancel()  # some of the protocols let one wait for ever
            await served.idle()
            await server.wait_closed()

    return serve


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


@pytest.fixture
def tls_client(tls_files: tuple[Path, Path]) -> ssl.SSLContext:
    """A client that trusts that certificate."""
    return ssl.create_default_context(cafile=str(tls_files[0]))
