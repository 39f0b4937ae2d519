"""``wirecore webwire serve`` as a process: what it serves, what it says, and what signals do."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from tests.cli.conftest import Done, Running, ServingWebwire, Wirecore

SERVER = Path(__file__).with_name("webwire_server.py")

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="these signals can't be sent to a process there"
)


@pytest.fixture(autouse=True)
def folder(wirecore: Wirecore) -> Path:
    """A folder with a module of servers."""
    shutil.copy(SERVER, wirecore.folder)
    return wirecore.folder


@pytest.fixture
def gate() -> Iterator[socket.socket]:
    """Where a handler reports that its request has come, and waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def ask(wirecore: Wirecore, served: ServingWebwire, *arguments: str) -> Done:
    return wirecore("webwire", "request", served.url, *arguments)


def hold(
    wirecore: Wirecore, served: ServingWebwire, gate: socket.socket
) -> tuple[Running, socket.socket]:
    """A request that is in its handler, and the connection on which the handler waits."""
    port = str(gate.getsockname()[1])
    asking = wirecore.run("webwire", "request", served.url, "hold", port)
    connection, _ = gate.accept()
    return asking, connection


def test_it_says_what_a_client_needs(wirecore: Wirecore) -> None:
    served = wirecore.serve_webwire("webwire_server:server")
    assert served.said == [
        f"listening on {served.url}\n",
        "requests same, encoding, hold, refuse, fail, token, login, logout, greet\n",
        "signals any\n",
    ]
    assert ask(wirecore, served, "same", "hi").text == "hi"


def test_a_function_that_makes_a_server(wirecore: Wirecore) -> None:
    served = wirecore.serve_webwire("webwire_server:make")
    assert served.said[1:] == ["requests none\n", "signals none\n"]


def test_a_file_with_others_beside_it(wirecore: Wirecore) -> None:
    """As a user of an editor's terminal names it, wherever it is."""
    (wirecore.folder / "app").mkdir()
    shutil.move(wirecore.folder / "webwire_server.py", wirecore.folder / "app" / "beside.py")
    (wirecore.folder / "app" / "json.py").write_text("from beside import server as mine\n")
    for name in ("./app/beside.py:server", "app/json.py:mine"):
        served = wirecore.serve_webwire(name)
        assert ask(wirecore, served, "same", "hi").text == "hi"


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(wirecore: Wirecore, gate: socket.socket, number: signal.Signals) -> None:
    """The request that runs is answered; nobody new gets in; then the process ends well."""
    served = wirecore.serve_webwire("webwire_server:server")
    asking, connection = hold(wirecore, served, gate)
    with connection:
        served.signal(number)
        served.logged(f"{number.name}: draining, 30 s at most")
        assert "HTTP status 503" in ask(wirecore, served, "same").failed(3)
        connection.sendall(b"to its end")
    done = asking.end()
    assert (done.status, done.out) == (0, b"to its end")
    assert served.end().status == 0


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once(
    wirecore: Wirecore, gate: socket.socket, number: signal.Signals
) -> None:
    """However long the handler, which is in a thread, would have gone on."""
    served = wirecore.serve_webwire("webwire_server:server")
    asking, connection = hold(wirecore, served, gate)
    with connection:
        served.signal(number)
        served.logged("draining")
        served.signal(number)
        assert served.end().status == 128 + number
        assert "(maybe_executed)" in asking.end().failed(3)


@needs_signals
def test_grace_bounds_how_long_handlers_get(wirecore: Wirecore, gate: socket.socket) -> None:
    served = wirecore.serve_webwire("webwire_server:server", "--grace", "0")
    asking, connection = hold(wirecore, served, gate)
    with connection:
        served.signal(signal.SIGTERM)
        assert served.end().status == 0
        assert asking.end().status == 3


@needs_signals
def test_health_is_told_over_plain_http(wirecore: Wirecore, gate: socket.socket) -> None:
    served = wirecore.serve_webwire("webwire_server:server", "--health", "127.0.0.1:0")
    told = served.line()
    assert told.startswith("health on 127.0.0.1:")
    url = f"http://{told.split()[-1]}/readyz"
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200
    asking, connection = hold(wirecore, served, gate)
    with connection:
        served.signal(signal.SIGTERM)
        served.logged("draining")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(url)
        connection.sendall(b"to its end")
    assert asking.end().status == 0
    assert served.end().status == 0


def test_web_pages_of_other_origins(wirecore: Wirecore) -> None:
    served = wirecore.serve_webwire("webwire_server:server", "--origin", "http://shop.example")
    for origin, status in (("http://shop.example", 0), ("http://other.example", 3)):
        assert ask(wirecore, served, "same", "--origin", origin).status == status


# --- TLS ----------------------------------------------------------------------------------------


def write_certificate(folder: Path) -> None:
    """``cert.pem`` of 127.0.0.1, and its key in ``cert.key``; both in ``both.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for file, data in (
        ("cert.pem", certificate),
        ("cert.key", private),
        ("both.pem", certificate + private),
    ):
        (folder / file).write_bytes(data)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--certificate", "both.pem"],
        ["--certificate", "cert.pem", "--certificate-key", "cert.key"],
    ],
)
def test_tls_and_whose_certificates_are_trusted(
    wirecore: Wirecore, folder: Path, arguments: list[str]
) -> None:
    write_certificate(folder)
    served = wirecore.serve_webwire("webwire_server:server", *arguments)
    assert served.url.startswith("wss://127.0.0.1:")
    assert ask(wirecore, served, "same", "hi", "--cafile", "cert.pem").text == "hi"
    assert ask(wirecore, served, "same", "hi", "--insecure").text == "hi"
    line = ask(wirecore, served, "same", "hi").failed(3)
    assert line.endswith("(--cafile names whose certificates are trusted)")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cafile", "nowhere"], "--cafile: nowhere can't be read: No such file or directory"),
        (["--cafile", "webwire_server.py"], "--cafile: webwire_server.py holds no certificates"),
        (["--cafile", "x", "--insecure"], "--insecure takes any certificate: leave out --cafile"),
    ],
)
def test_trust_that_cant_be_had(wirecore: Wirecore, arguments: list[str], says: str) -> None:
    command = ("webwire", "request", "wss://127.0.0.1:1/", "x")
    assert wirecore(*command, *arguments).failed(2).startswith(says)


# --- what can't be served -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["webwire_server"], "a server is MODULE:SERVER, as chat:server, not 'webwire_server'"),
        (["webwire_server:serv"], "webwire_server:serv: webwire_server has no 'serv': did you"),
        (["webwire_serve:server"], "there is no module 'webwire_serve', neither in "),
        (["./nowhere.py:server"], "there is no file nowhere.py"),
        (
            ["webwire_server:before_upgrade"],
            "webwire_server:before_upgrade can't be called without arguments",
        ),
        (
            ["webwire_server:socket"],
            "webwire_server:socket is module, which is no server: what is served is a wirecore",
        ),
        (["./broken.py:server"], "importing ./broken.py failed: NameError: name 'x' is not"),
        (["./lacking.py:server"], "importing ./lacking.py failed: ModuleNotFoundError: No mod"),
        (["webwire_server:make", "--listen", "1337"], "an address is HOST:PORT, as"),
        (["webwire_server:make", "--listen", "ws://localhost:1"], "--listen: an address is HOST"),
        (["webwire_server:make", "--certificate", "nowhere"], "there is no file nowhere"),
        (["webwire_server:make", "--certificate", "lacking.py"], "--certificate: lacking.py: no "),
        (["webwire_server:make", "--certificate-key", "x"], "--certificate-key is the key of a"),
    ],
)
def test_what_cant_be_served(
    wirecore: Wirecore, folder: Path, arguments: list[str], says: str
) -> None:
    (folder / "broken.py").write_text("x\n")
    (folder / "lacking.py").write_text("import zzz\n")
    assert wirecore("webwire", "serve", *arguments).failed(2).startswith(says)


def test_a_port_that_is_taken(wirecore: Wirecore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = wirecore("webwire", "serve", "webwire_server:make", "--listen", where)
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith("wirecore: can't listen on 127.0.0.1")
