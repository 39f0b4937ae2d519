"""What is to be seen of one end: as it was recorded of the original, or as ours did it.

Times, dates, ids of connections and masks change from run to run, and are left out, or have a word
in their place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from tests.wirecore.protocols.rest.recorded import group_of, payload, scenarios
from wirecore.protocols.rest.gohttp import canonical
from wirecore.protocols.rest.heads import Fields

#: Groups in which it is told who ends the TCP connection. Elsewhere that is the recorder's doing.
CLOSING: Final = frozenset({"close", "rawclose", "registry", "handshake/rawclient"})

#: Scenarios whose two ends were the original's.
_BOTH: Final = frozenset(
    {"call", "seq", "concurrent", "heartbeat", "close", "reconnect", "handshake/meta"}
)
_SERVER: Final = frozenset(
    {"rawreq", "rawclose", "ping", "registry", "events_late", "handshake/rawclient"}
    | {"handshake/http"}
)
_CLIENT: Final = frozenset({"rawresp", "backoff", "handshake/rawserver"})

_UUID: Final = b"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_LENGTH: Final = re.compile(rb"(?<=\r\nContent-Length: )\d+")
#: What changes from run to run, and the word for it. The recorded ids of requests don't.
_CHANGING: Final = {
    re.compile(b'(?<="ConnectionID":")%b(?=")' % _UUID): b"ID",
    re.compile(b"(?<=internal error )%b" % _UUID): b"ID",
    re.compile(b"(?<=X-Correlation-Id: )(?!1{8}|2{8}|0{7})%b" % _UUID): b"ID",
    re.compile(rb"(?<=\r\nDate: )[^\r]+"): b"DATE",
}

#: kind ("text", "close", "end" of the stream) and payload: of a close the code alone.
Sent: TypeAlias = tuple[str, bytes]


class End(Enum):
    """The end of a WebSocket in whose place ours is."""

    SERVER = "s2c"
    CLIENT = "c2s"


def ends_of(name: str) -> tuple[End, ...]:
    """The ends that a scenario tells of, as the original had them; none for an unknown group."""
    group = group_of(name)
    if group in _BOTH:
        return (End.SERVER, End.CLIENT)
    if group in _SERVER:
        return (End.SERVER,)
    return (End.CLIENT,) if group in _CLIENT else ()


@dataclass
class Result:
    """What came of a request. *error*: "" for none, else in a word; *status*: 0 without a head."""

    status: int = 0
    fields: dict[str, list[str]] = field(default_factory=dict)
    body: str = ""  # its SHA-256, nothing for none
    trailers: dict[str, list[str]] = field(default_factory=dict)
    error: str = ""
    seconds: int = 0  # until that error


@dataclass
class Seen:
    """One end. Its pings and pongs apart, as they go between other messages at any time."""

    #: By connection: the head of its upgrade, as :func:`request_lines` and :func:`response_head`.
    upgrades: list[str | list[str]] = field(default_factory=list)
    #: By connection: what it has sent.
    sent: list[list[Sent]] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    #: By connection: when each ping came, in seconds since it was opened, and its data.
    pings: list[list[tuple[int, bytes]]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    #: What the server tells of its connections.
    events: list[str] = field(default_factory=list)
    #: How many the server has, when asked.
    active: list[int] = field(default_factory=list)
    #: Whether the client has dialled where nobody let it in.
    dials_again: bool = False
    #: What handlers noted, and what the user was told of connections.
    notes: list[str] = field(default_factory=list)


#: What our user is told in the place of the original's words.
_WORDS: Final = {
    "time out": "time out",
    "websocket: close 1006 (abnormal closure): unexpected EOF": "lost",
    "read tcp LOCAL->PEER: use of closed network connection": "lost",
}

#: What nobody knows yet how it ends.
PENDING: Final = "pending"


def without_times(message: bytes) -> bytes:
    """*message* with words in the place of what changes from run to run.

    So do the words of our own refusals with 400: which they are is no matter of a replay.
    """
    if message.startswith(b"HTTP/1.1 400 "):
        head, blank, _ = message.partition(b"\r\n\r\n")
        message = _LENGTH.sub(b"LENGTH", head) + blank + b"WORDS"
    for pattern, word in _CHANGING.items():
        message = pattern.sub(word, message)
    return message


def request_lines(target: str, fields: Iterable[tuple[str, str]]) -> list[str]:
    """A request for an upgrade: its fields in any order, without what changes from run to run."""
    changing = {"host": "HOST", "sec-websocket-key": "KEY"}
    lines = [f"{name.lower()}: {changing.get(name.lower(), value)}" for name, value in fields]
    lines = [re.sub(r"^(user-agent: [\w-]+)/.*", r"\1", line) for line in lines]
    return [f"GET {target}", *sorted(lines)]


def response_head(head: str) -> str:
    """The response to one, but for when it was made."""
    return re.sub(r"(?<=\r\nDate: )[^\r]+", "DATE", head)


def as_fields(fields: Fields) -> dict[str, list[str]]:
    """Header fields as Go's parser gives them: how a body is carried, and whether the connection
    is to be closed then, isn't among them."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(canonical(name).decode(), []).append(value.decode("latin-1"))
    for left_out in "Transfer-Encoding", "Trailer", "Connection":
        found.pop(left_out, None)
    if "Date" in found:
        found["Date"] = ["DATE"]
    return found


def recorded(name: str, end: End) -> Seen:
    """What was recorded of the original at that end."""
    scenario = scenarios()[name]
    trace, ours = scenario["trace"], "server" if end is End.SERVER else "client"
    numbers = connections_of(name)
    seen = Seen(sent=[[] for _ in numbers], pings=[[] for _ in numbers])
    if scenario.get("serving") != ours:
        seen.results = [_result(each) for each in scenario.get("results", [])]
        if "never returns" in scenario.get("process", ""):
            seen.results.append(Result(error=PENDING))
    for request, response in upgrades_of(name):
        if end is End.SERVER:
            seen.upgrades.append(response_head(response))
        else:
            target, *lines = request.rstrip("\r\n").split("\r\n")
            fields = [line.partition(": ") for line in lines]
            told = request_lines(target.split()[1], [(each, value) for each, _, value in fields])
            seen.upgrades.append(told)
    cut: set[int] = set()
    for entry in trace:
        if entry["kind"].startswith("tcp: cut"):
            cut.add(entry["conn"])
        if entry["dir"] == end.value and (entry["conn"] not in cut or "tcp:" not in entry["kind"]):
            number, closing = entry["conn"], group_of(name) in CLOSING
            begun = min(each["ms"] for each in trace if each["conn"] == number) / 1000
            _add(seen, numbers.index(number), entry, begun, closing=closing)
    if end is End.CLIENT:
        seen.dials_again = any("refused" in entry["kind"] for entry in trace)
    seen.notes = [note for each in scenario["observed"] if (note := _note(each, ours))]
    if end is End.SERVER:
        seen.events = [e["text"] for e in scenario["observed"] if e["who"] == "server event"]
        seen.active = [found for _, found in asked(name)]
    return seen


def connections_of(name: str) -> list[int]:
    """The numbers of a scenario's connections; 1 where nothing was said on the only one."""
    numbers = {entry["conn"] for entry in scenarios()[name]["trace"]} or {1}
    return sorted(numbers - {0})


def upgrades_of(name: str) -> list[tuple[str, str]]:
    """By connection: the request for its upgrade, and the response. Most calls share theirs."""
    heads = scenarios()[name].get("upgrade")
    if heads is None and group_of(name) == "call":
        heads = scenarios()["call/server/get"]["upgrade"]
    texts = [each["text"].replace("HOST:PORT", "server.test") for each in heads or ()]
    return list(zip(texts[::2], texts[1::2], strict=True))


def asked(name: str) -> Iterator[tuple[float, int]]:
    """When the server was asked how many connections it has, in milliseconds, and its answer."""
    for each in scenarios()[name]["observed"]:
        told = re.fullmatch(r"(?:after .*: )?active connections[^0-9]*(\d+)", each["text"])
        if each["who"] == "server" and told:
            yield each["ms"], int(told[1])


def _note(told: dict[str, Any], ours: str) -> str:
    """What is noted of something that was observed; "" for nothing."""
    who, text = told["who"], told["text"]
    if who == f"{ours} handler" and "CloseNotify" in text:
        return "the handler knows of the end"
    if who == f"{ours} ping handler":
        return f"ping {json.loads(text)}"
    if who == "server" == ours:
        if found := re.fullmatch(r"an active connection with metadata (.*)", text):
            return f"metadata {json.loads(found[1])!r}"
        if found := re.fullmatch(r"MetaData gives (.*), Go type .*", text):
            return f"metadata {json.loads(found[1])!r}"
        if text.startswith("ConnectionFromMetaData"):
            what = text.removeprefix("ConnectionFromMetaData").partition(":")[0]
            return f"looked up{what}: {'found true' in text}"
    if who == "client" == ours and (found := re.fullmatch(r"Connect is done, id (.*)", text)):
        return f"id {json.loads(found[1])}"
    return ""


def _add(
    seen: Seen, connection: int, entry: dict[str, Any], begun: float, *, closing: bool
) -> None:
    kind = entry["kind"]
    if kind in ("text", "binary"):
        seen.sent[connection].append(("text", without_times(payload(entry))))
    elif kind == "close":
        seen.sent[connection].append(("close", payload(entry)))
    elif kind == "pong":
        seen.pongs.append(payload(entry))
    elif kind == "ping":
        seen.pings[connection].append((round(entry["ms"] / 1000 - begun), payload(entry)))
    elif closing:
        seen.sent[connection].append(("end", b""))


def _result(told: dict[str, Any]) -> Result:
    error = told.get("error") or told.get("body_error") or ""
    fields = {name: list(values) for name, values in (told.get("headers") or {}).items()}
    if "Date" in fields:
        fields["Date"] = ["DATE"]
    return Result(
        status=int((told.get("status") or "0")[:3]),
        fields=fields,
        body=told["body_sha256"] if told["body_len"] else "",
        trailers=told.get("trailer") or {},
        error=_WORDS.get(error, error),
        seconds=round(told["ms"] / 1000) if error else 0,
    )
