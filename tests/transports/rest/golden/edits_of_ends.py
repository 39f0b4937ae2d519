"""What comes of requests and connections with ours: ``differences`` tells where, and why."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from tests.transports.rest.golden.edits import BLANK, Edit, id_of
from tests.transports.rest.golden.handlers import TEXT
from tests.transports.rest.golden.seen import PENDING, Result, Seen, Sent
from tests.wirecore.protocols.rest.recorded import payload, requests_of, scenarios

# --- requests -------------------------------------------------------------------------------------


def given_an_id(seen: Seen, name: str) -> None:
    """It is sent, and nobody answers."""
    lines = [b"GET /simple HTTP/1.1", b"Host: localhost", b"User-Agent: Go-http-client/1.1"]
    seen.sent[0].append(("text", b"\r\n".join([*lines, b"X-Correlation-Id: ID"]) + BLANK))
    seen.results[:] = [Result(error="time out", seconds=10)]


def _result(request: bytes) -> Result:
    """What comes of *request*, for /simple or /slow, when it is answered."""
    body = b"slow 200" if b"/slow" in request else b"Hello, wirecore!"
    fields = {
        "Content-Length": [str(len(body))],
        "Content-Type": [TEXT.decode()],
        "Date": ["DATE"],
        "X-Correlation-Id": [id_of(request).decode()],
    }
    return Result(200, fields, sha256(body).hexdigest())


def one_at_a_time(seen: Seen, name: str) -> None:
    """So both are answered."""
    asked, _ = requests_of(name)
    seen.results[:] = map(_result, asked)
    seen.notes.append("one request at a time")


def result(**changes: Any) -> Edit:
    """Something else comes of the first request: see :class:`Result`; *body*: the bytes."""

    def edit(seen: Seen, name: str) -> None:
        first = seen.results[0]
        first.error, first.seconds = "", 0
        for field, value in changes.items():
            setattr(first, field, sha256(value).hexdigest() if field == "body" else value)

    return edit


def answered(seen: Seen, name: str) -> None:
    """The second request has its answer."""
    asked, _ = requests_of(name)
    seen.results[1] = _result(asked[1])


def two_empty_first(seen: Seen, name: str) -> None:
    """The first request has the answer, which the original takes for the second one's."""
    seen.results.reverse()
    seen.results[1] = Result(error=PENDING)


def answered_after_all(seen: Seen, name: str) -> None:
    """The last request's response comes to its end."""
    seen.results[-1].error, seen.results[-1].seconds = "", 0


def fails_at_once(seen: Seen, name: str) -> None:
    """No response is waited for any more: the first request is lost, at once."""
    seen.results[:1] = [Result(error="lost")]


def pending(seen: Seen, name: str) -> None:
    """The second request waits for an answer, or for a connection."""
    seen.results[1] = Result(error=PENDING)


# --- ends -----------------------------------------------------------------------------------------


def going_away(seen: Seen, name: str) -> None:
    """With a code."""
    _close_in_place_of(seen, ("close", b""), 1001)


def closes(code: int) -> Edit:
    """Closes, by itself, and ends the stream where that is told."""

    def edit(seen: Seen, name: str) -> None:
        seen.sent[0].append(("close", code.to_bytes(2, "big")))
        if name.startswith("handshake/rawclient/"):
            seen.sent[0].append(("end", b""))

    return edit


def closes_for(code: int) -> Edit:
    """The same in the place of the second request."""

    def edit(seen: Seen, name: str) -> None:
        [second] = [each for each in seen.sent[0] if each[1].startswith(b"GET /b ")]
        _close_in_place_of(seen, second, code)

    return edit


def _close_in_place_of(seen: Seen, old: Sent, code: int) -> None:
    [sent] = [sent for sent in seen.sent if old in sent]
    sent[sent.index(old)] = ("close", code.to_bytes(2, "big"))


def answers_close(seen: Seen, name: str) -> None:
    """The only close frame is the peer's: it comes back without its reason, before the end."""
    [code] = [payload(each)[:2] for each in scenarios()[name]["trace"] if each["kind"] == "close"]
    sent = seen.sent[0]
    sent.insert(len(sent) - (sent[-1:] == [("end", b"")]), ("close", code))


def stream_ends(seen: Seen, name: str) -> None:
    """Ends the stream."""
    seen.sent[0].append(("end", b""))


def cut_off(seen: Seen, name: str) -> None:
    """The end of the response isn't sent."""
    seen.sent[0].remove(("text", b"0\r\n\r\n"))


def goes_on(seen: Seen, name: str) -> None:
    """The handler says one thing more."""
    sent = seen.sent[0]
    sent[sent.index(("text", b"0\r\n\r\n"))] = ("text", b"7\r\ntick 3\n\r\n")


def dials_again(seen: Seen, name: str) -> None:
    """It does."""
    seen.dials_again = True


def is_told(seen: Seen, name: str) -> None:
    """The handler learns of it, and nobody has to fail to write."""
    seen.notes.append("the handler knows of the end")


def answers_pings(seen: Seen, name: str) -> None:
    """All that the other end has sent, of which none was answered."""
    client_is_ours = name.startswith("close/server/")
    for entry in scenarios()[name]["trace"]:
        if entry["kind"] == "ping" and entry["dir"] == ("s2c" if client_is_ours else "c2s"):
            seen.pongs.append(payload(entry))


def sees_the_end(seen: Seen, name: str) -> None:
    """The server does, and has no connection any more."""
    seen.events.append("ConnectionFailure")
    seen.active[:] = [0] * len(seen.active)


def sees_it_first(seen: Seen, name: str) -> None:
    """The server does, before it is asked for the first time, and before another one comes."""
    seen.events[:] = ["ConnectionReceived", "ConnectionFailure", "ConnectionReceived"]
    seen.active[0] = 0


def pings(*counts: int) -> Edit:
    """So many on each connection, in the recorded rhythm."""

    def edit(seen: Seen, name: str) -> None:
        (interval, data), *_ = next(each for each in seen.pings if each)
        seen.pings[:] = [[(interval * (at + 1), data) for at in range(count)] for count in counts]

    return edit


# --- what the server knows ------------------------------------------------------------------------


def finds(what: str) -> Edit:
    """*what* is looked up, and found."""

    def edit(seen: Seen, name: str) -> None:
        seen.notes[seen.notes.index(f"looked up{what}: False")] = f"looked up{what}: True"

    return edit
