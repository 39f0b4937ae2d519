"""``wirecore webwire request``: payloads out, replies in, sessions, and failures."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Done, ServingWebwire, Wirecore

SERVER = Path(__file__).with_name("webwire_server.py")

ALL_BYTES = bytes(range(256))


@pytest.fixture(scope="module")
def served(shared: Wirecore) -> ServingWebwire:
    shutil.copy(SERVER, shared.folder)
    return shared.serve_webwire("webwire_server:server")


@pytest.fixture
def request_(shared: Wirecore, served: ServingWebwire) -> Request:
    return Request(shared, served.url)


class Request:
    """Requests to one server."""

    def __init__(self, wirecore: Wirecore, url: str) -> None:
        self.wirecore = wirecore
        self.url = url

    def __call__(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Done:
        command = ("webwire", "request", self.url, *arguments)
        return self.wirecore(*command, stdin=stdin, **environment)


def test_text_comes_back(request_: Request) -> None:
    done = request_("same", "grüße")
    assert (done.status, done.text, done.err) == (0, "grüße", "")


def test_bytes_go_through_as_they_are(request_: Request) -> None:
    assert request_("same", "-", "--binary", stdin=ALL_BYTES).out == ALL_BYTES
    (request_.wirecore.folder / "data").write_bytes(ALL_BYTES)
    assert request_("same", "@data", "--binary").out == ALL_BYTES
    assert request_("same", "--data-hex", ALL_BYTES.hex(), "--hex").text == f"{ALL_BYTES.hex()}\n"


def test_a_file_without_an_end(request_: Request) -> None:
    line = request_("same", "@/dev/zero").failed(2)
    assert line == "PAYLOAD: /dev/zero holds more than the 64 MiB that a command takes"


def test_no_time_at_all(request_: Request) -> None:
    line = request_("same", "text", "--timeout", "nan").failed(2)
    assert line.startswith("Invalid value for '--timeout': 'nan' is not a number of seconds")


@pytest.mark.parametrize(
    ("arguments", "encoding"),
    [
        (["hi"], "UTF8"),
        (["hi", "--utf16"], "UTF16"),
        (["hi", "--binary"], "BINARY"),
        (["--data-hex", "00"], "BINARY"),
        ([], "BINARY"),
        (["--utf16"], "UTF16"),
    ],
)
def test_how_a_payload_is_encoded(request_: Request, arguments: list[str], encoding: str) -> None:
    assert request_("encoding", *arguments).text == encoding


def test_text_in_utf16_is_printed_as_text_and_in_hex_as_it_came(request_: Request) -> None:
    assert request_("same", "hé", "--utf16").out == "hé".encode()
    assert request_("same", "hé", "--utf16", "--hex").text == "hé".encode("utf-16-le").hex() + "\n"


def test_json_tells_of_each_reply_on_a_line(request_: Request) -> None:
    done = request_("same", "hi", "--count", "3", "--json")
    told = [json.loads(line) for line in done.text.splitlines()]
    assert [each.pop("milliseconds") > 0 for each in told] == [True] * 3
    assert told == [{"name": "same", "encoding": "utf8", "reply": "hi"}] * 3
    (told,) = [json.loads(request_("same", "--data-hex", "ff00", "--json").text)]
    assert (told["encoding"], told["reply_hex"]) == ("binary", "ff00")


def test_several_requests_are_under_way_at_once(request_: Request) -> None:
    """Each of them has come before the first is answered."""
    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = str(gate.getsockname()[1])
        command = ("webwire", "request", request_.url, "hold", port)
        asking = request_.wirecore.run(*command, "--count", "4", "--concurrency", "4")
        waiting = [gate.accept()[0] for _ in range(4)]
        for number, connection in enumerate(waiting):
            with connection:
                connection.sendall(b"%d" % number)
        done = asking.end()
    assert (done.status, sorted(done.text)) == (0, ["0", "1", "2", "3"])


# --- sessions -----------------------------------------------------------------------------------


@pytest.fixture
def key(request_: Request) -> str:
    """The key of Alice's session, which is in the file ``key`` too."""
    assert request_("login", "alice", "--save-session", "key").status == 0
    return (request_.wirecore.folder / "key").read_text().strip()


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
def test_a_sessions_key_is_for_its_owner_alone(request_: Request, key: str) -> None:
    assert stat.S_IMODE((request_.wirecore.folder / "key").stat().st_mode) == 0o600
    assert len(key) == 64


@pytest.mark.parametrize("given", ["KEY", "@key", "-", None])
def test_a_session_is_restored_by_its_key(request_: Request, key: str, given: str | None) -> None:
    """It is on the command line, in a file, on standard input, or in the environment."""
    again = request_.wirecore.folder / "again"
    again.unlink(missing_ok=True)
    save = ("same", "hi", "--save-session", "again")
    if given is None:
        done = request_(*save, WIRECORE_SESSION=key)
    else:
        done = request_(*save, "--session", given.replace("KEY", key), stdin=key.encode())
    assert (done.status, done.text, done.err) == (0, "hi", "")
    assert again.read_text() == f"{key}\n"


def test_a_session_that_isnt_there_and_no_error_shows_its_key(request_: Request) -> None:
    line = request_("same", "--session", "k" * 64).failed(1)
    assert line == "--session: the server has no such session"


def test_no_session_to_save(request_: Request) -> None:
    done = request_("same", "hi", "--save-session", "none")
    assert (done.status, done.text) == (1, "hi")
    assert done.err == "wirecore: there is no session: none wasn't written\n"
    assert not (request_.wirecore.folder / "none").exists()


# --- what can go wrong --------------------------------------------------------------------------


def test_a_refusal_is_told_with_its_code(request_: Request) -> None:
    line = request_("refuse", "the shop\nis closed\x1b[2J").failed(1)
    said = r"the request 'refuse' was answered with an error: NO: the shop is closed\x1b[2J"
    assert line == said


def test_a_server_that_fails_says_no_more(request_: Request) -> None:
    line = request_("fail").failed(1)
    assert line == "the request 'fail': the server failed to handle the request; its log says why"


def test_no_reply_in_time(request_: Request) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = str(gate.getsockname()[1])
        line = request_("hold", port, "--timeout", "1").failed(4)
    assert line == f"{request_.url} gave no reply to the request 'hold' within 1 s"


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C can be sent to a process there")
def test_ctrl_c_stops_a_request(request_: Request) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gate:
        port = str(gate.getsockname()[1])
        asking = request_.wirecore.run("webwire", "request", request_.url, "hold", port)
        connection, _ = gate.accept()
        with connection:
            asking.signal(signal.SIGINT)
            done = asking.end()
    assert (done.status, done.err) == (130, "wirecore: stopped\n")


def test_the_first_failure_ends_all(request_: Request) -> None:
    assert "NO" in request_("refuse", "--count", "50", "--concurrency", "7").failed(1)


def test_nobody_listens(wirecore: Wirecore) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        line = wirecore("webwire", "request", f"ws://127.0.0.1:{port}/", "x").failed(3)
    assert line == f"127.0.0.1 port {port} refused the connection: does a server listen there?"


def test_who_listens_and_says_nothing(wirecore: Wirecore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        line = wirecore("webwire", "request", url, "x", "--timeout", "0.5").failed(3)
    assert line == f"no connection to {url} within 0.5 s"


def test_another_origin_is_refused(request_: Request) -> None:
    line = request_("same", "--origin", "http://example.com").failed(3)
    assert line.endswith("HTTP status 403 (it may want another --origin, or a --header)")


def test_header_fields_go_with_the_upgrade(request_: Request) -> None:
    assert request_("token", "-H", "X-Token: one: two").text == "one: two"


def test_a_server_of_another_set_up(wirecore: Wirecore) -> None:
    """Each error says which option is missing."""
    shutil.copy(SERVER, wirecore.folder)
    ask = Request(wirecore, wirecore.serve_webwire("webwire_server:other").url)
    assert ask("x", "--subprotocol", "shop 1").failed(3).endswith("(give --subprotocol 'shop 2')")
    fitting = ("x", "--subprotocol", "shop 2")
    assert ask(*fitting).failed(3).endswith("(give --buffer-size 1024)")
    line = ask(*fitting, "--buffer-size", "1024").failed(1)
    assert line == "the request 'x' was answered with an error: UNKNOWN_REQUEST: no such request"


def test_a_sub_protocol_that_the_server_doesnt_have(request_: Request) -> None:
    assert (
        request_("same", "--subprotocol", "shop 1").failed(3).endswith("leave --subprotocol out)")
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["same", "a", "--data-hex", "00"], "the payload is given by PAYLOAD or --data-hex"),
        (["same", "a", "--utf16", "--binary"], "--utf16, --binary and --data-hex are alternatives"),
        (["same", "--data-hex", "0"], "--data-hex takes hex digits, two for each byte"),
        (["same", "@nowhere"], "PAYLOAD: nowhere can't be read: No such file or directory"),
        (["same", "@bytes"], "PAYLOAD isn't text in UTF-8: --binary sends bytes as they are"),
        (["same", "-", "--session", "-"], "standard input holds the session's key or the payload"),
        (["same", "--session", "@nowhere"], "--session: nowhere can't be read: No such file"),
        (["same", "--session", "@bytes"], "--session: a key is text, and this isn't UTF-8"),
        (["same", "--session", "@empty"], "--session: there is no key in it"),
        (["same", "-H", "X-Token"], "--header takes 'NAME: VALUE'"),
        (["same", "--insecure"], "--cafile and --insecure are for wss:// URLs"),
        ([], "a message must have a name or a payload"),
        (["naïve", "x"], "a name"),
        (["same", "x" * 9000], "local side: buffer_size is 8192, got 9014"),
    ],
)
def test_a_request_that_cant_be_made(request_: Request, arguments: list[str], says: str) -> None:
    (request_.wirecore.folder / "bytes").write_bytes(ALL_BYTES)
    (request_.wirecore.folder / "empty").write_bytes(b"\n")
    assert request_(*arguments).failed(2).startswith(says)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("127.0.0.1:8080", "a WebSocket URL begins with ws:// or wss://"),
        ("http://127.0.0.1:8080/", "a WebSocket URL begins with ws:// or wss://"),
        ("ws://", "a WebSocket URL names a host"),
    ],
)
def test_an_url_that_is_none(wirecore: Wirecore, url: str, says: str) -> None:
    assert wirecore("webwire", "request", url, "x").failed(2).startswith(says)
