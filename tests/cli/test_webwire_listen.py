"""``wirecore webwire signal`` and ``listen``: signals out, and in, through lost connections."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Running, ServingWebwire, Wirecore

SERVER = Path(__file__).with_name("webwire_server.py")

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="these signals can't be sent to a process there"
)


@pytest.fixture
def served(wirecore: Wirecore) -> ServingWebwire:
    """A server that passes signals on to everybody."""
    shutil.copy(SERVER, wirecore.folder)
    return wirecore.serve_webwire("webwire_server:server")


def send(wirecore: Wirecore, served: ServingWebwire, *arguments: str, stdin: bytes = b"") -> None:
    done = wirecore("webwire", "signal", served.url, *arguments, stdin=stdin)
    assert (done.status, done.out, done.err) == (0, b"", "")


def test_a_signal_is_a_line_whatever_is_in_it(wirecore: Wirecore, served: ServingWebwire) -> None:
    listening = wirecore.listen(served.url, "--count", "5")
    send(wirecore, served, "news", "grüße")
    send(wirecore, served, "news", "-", stdin=b"one\ntwo\tthree\x1b[2J")
    send(wirecore, served, "news", "hé", "--utf16")
    send(wirecore, served, "", "--data-hex", "ff00")
    send(wirecore, served, "news")
    done = listening.end()
    assert done.status == 0
    assert done.text.splitlines() == [
        "news\tgrüße",
        r"news	one\ntwo\tthree\x1b[2J",
        "news\thé",
        "\tff00",
        "news\t",
    ]


def test_a_signal_as_json_says_what_it_was(wirecore: Wirecore, served: ServingWebwire) -> None:
    listening = wirecore.listen(served.url, "--json", "--count", "4")
    send(wirecore, served, "news", "hi", "--count", "2")
    send(wirecore, served, "news", "hé", "--utf16")
    send(wirecore, served, "news", "hi", "--binary")
    told = [json.loads(line) for line in listening.end().text.splitlines()]
    text = {"name": "news", "encoding": "utf8", "payload": "hi"}
    assert told == [
        text,
        text,
        {"name": "news", "encoding": "utf16", "payload": "hé"},
        {"name": "news", "encoding": "binary", "payload_hex": "6869"},
    ]


def test_signals_of_some_names(wirecore: Wirecore, served: ServingWebwire) -> None:
    names = ("--name", "one", "--name", "three")
    listening = wirecore.listen(served.url, *names, "--hex", "--count", "2")
    for name in ("one", "two", "three"):
        send(wirecore, served, name, "hi")
    assert listening.end().text == "one\t6869\nthree\t6869\n"


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_of_the_system_ends_it_well(
    wirecore: Wirecore, served: ServingWebwire, number: signal.Signals
) -> None:
    listening = wirecore.listen(served.url)
    listening.signal(number)
    done = listening.end()
    assert (done.status, done.out, done.err) == (0, b"", "")


@needs_signals
def test_a_reader_that_goes_away_ends_it(wirecore: Wirecore, served: ServingWebwire) -> None:
    listening = wirecore.listen(served.url)
    assert listening.process.stdout is not None
    listening.process.stdout.close()
    send(wirecore, served, "news", "hi")
    assert listening.process.wait(60) == 1


def login(wirecore: Wirecore, served: ServingWebwire) -> str:
    """Begin Alice's session; its key, which is in the file ``key`` too."""
    command = ("webwire", "request", served.url, "login", "alice", "--save-session", "key")
    assert wirecore(*command).status == 0
    return (wirecore.folder / "key").read_text().strip()


def greeted(wirecore: Wirecore, served: ServingWebwire, listening: Running) -> str:
    """Whom the server takes *listening* for."""
    assert wirecore("webwire", "request", served.url, "greet").status == 0
    return listening.line()


@needs_signals
def test_a_lost_connection_comes_back_with_its_session(
    wirecore: Wirecore, served: ServingWebwire
) -> None:
    login(wirecore, served)
    listening = wirecore.listen(served.url, "--session", "@key")
    assert greeted(wirecore, served, listening) == "greeting\talice\n"

    served.signal(signal.SIGTERM)
    listening.logged("the connection was lost; connecting again")
    assert served.end().status == 0
    where = served.url.removeprefix("ws://").strip("/")
    again = wirecore.serve_webwire("webwire_server:server", listen=where)
    listening.logged("connected again")
    assert greeted(wirecore, again, listening) == "greeting\talice\n"


@needs_signals
def test_a_server_that_comes_back_with_another_set_up_ends_it(
    wirecore: Wirecore, served: ServingWebwire
) -> None:
    listening = wirecore.listen(served.url)
    served.signal(signal.SIGTERM)
    assert served.end().status == 0
    where = served.url.removeprefix("ws://").strip("/")
    wirecore.serve_webwire("webwire_server:other", listen=where)
    done = listening.end()
    assert done.status == 3
    assert done.err.splitlines()[-1].endswith("(give --subprotocol 'shop 2')")


def test_a_session_that_the_server_ends(wirecore: Wirecore, served: ServingWebwire) -> None:
    key = login(wirecore, served)
    listening = wirecore.listen(served.url, "--session", "@key")
    assert wirecore("webwire", "request", served.url, "logout", "--", key).status == 0
    listening.logged("the server ended the session")
    assert greeted(wirecore, served, listening) == "greeting\tstranger\n"


def test_a_signal_sent_within_a_session_needs_one(
    wirecore: Wirecore, served: ServingWebwire
) -> None:
    for command in ("signal", "listen"):
        done = wirecore(
            "webwire", command, served.url, *["x"][: command == "signal"], WIRECORE_SESSION="k"
        )
        assert done.failed(1) == "--session: the server has no such session"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["news", "--utf16"], "a signal in UTF-16 must have a payload"),
        ([""], "a message must have a name or a payload"),
        (["news", "x" * 9000], "local side: buffer_size is 8192, got"),
    ],
)
def test_a_signal_that_cant_be_sent(
    wirecore: Wirecore, served: ServingWebwire, arguments: list[str], says: str
) -> None:
    line = wirecore("webwire", "signal", served.url, *arguments).failed(2)
    assert line.startswith(says)


def test_nobody_to_listen_to(wirecore: Wirecore) -> None:
    line = wirecore("webwire", "listen", "ws://127.0.0.1:1/").failed(3)
    assert "127.0.0.1 port 1 refused the connection" in line
