"""Types that encode themselves, and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest

from wirecore import gob
from wirecore._backend import Backend
from wirecore.gob.opaque import ZERO_TIME, decode_time, encode_time

EAST = timezone(timedelta(hours=5, minutes=30))


class Level:
    """Go's slog.Level, say: a text in Go's stead for a number."""

    def __init__(self, name: str = "INFO") -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Level) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]

    def marshal_text(self) -> bytes:
        return self.name.encode()

    @classmethod
    def unmarshal_text(cls, data: bytes) -> Level:
        if not data.isupper():
            raise LookupError(data)
        return cls(data.decode())

    @classmethod
    def gob_zero(cls) -> Level:
        return cls("INFO")

    def gob_is_zero(self) -> bool:
        return self.name == "INFO"


class Wrong:
    def gob_encode(self) -> str:
        return "text"

    @classmethod
    def gob_decode(cls, data: bytes) -> Wrong:
        return cls()


@dataclass
class Entry:
    level: Level
    maybe: Level | None
    raw: Annotated[bytes, gob.TEXT_MARSHALER]
    levels: list[Level]
    after: int


@dataclass
class Nothing:
    after: int


def decoder_of(backend: Backend, *pieces: bytes) -> gob.Decoder:
    made = gob.Decoder(backend=backend)
    for piece in pieces:
        made.feed(piece)
    return made


def test_texts_of_their_own(backend: Backend) -> None:
    entry = Entry(Level("WARN"), Level(), b"ERROR", [Level(), Level("DEBUG")], 1)
    encoder = gob.Encoder(backend=backend)
    decoder = decoder_of(backend, encoder.encode(entry), encoder.encode(entry))
    assert decoder.decode(Entry) == entry
    assert decoder.decode() == {
        "Level": b"WARN", "Maybe": b"INFO", "Raw": b"ERROR", "Levels": [b"INFO", b"DEBUG"],
        "After": 1,
    }  # fmt: skip


def test_zeros_of_their_own_are_left_out(backend: Backend) -> None:
    """But not behind a pointer, nor in a slice."""
    encoder = gob.Encoder(backend=backend)
    first = encoder.encode(Entry(Level(), None, b"", [], 1))
    short = encoder.encode(Entry(Level(), None, b"", [], 1))
    assert short[-3:] == b"\5\2\0"
    decoder = decoder_of(backend, first, short, encoder.encode(Nothing(1)))
    for _ in range(3):
        assert decoder.decode(Entry) == Entry(Level("INFO"), None, b"", [], 1)


def test_a_refusal_of_their_own(backend: Backend) -> None:
    encoder = gob.Encoder(backend=backend)
    decoder = decoder_of(backend, encoder.encode(Level("odd")), encoder.encode(Level("WARN")))
    with pytest.raises(gob.GobValueError, match=r"'\*main\.Level' was refused \(LookupError\)"):
        decoder.decode(Level)
    assert decoder.decode(Level) == Level("WARN")
    with pytest.raises(gob.UnsendableGob, match="must be bytes of its type's, not str"):
        encoder.encode(Wrong())


@pytest.mark.parametrize(
    "annotation",
    [Annotated[bytes, gob.GOB_ENCODER], Annotated[bytes, gob.BINARY_MARSHALER], bytes, str, Any],
)
def test_each_way_is_a_type_of_its_own(backend: Backend, annotation: Any) -> None:
    decoder = decoder_of(backend, gob.dumps(Level("WARN")))
    if annotation is Any:
        assert decoder.decode() == b"WARN"
        return
    with pytest.raises(gob.GobValueError, match=r"received remote type Level$"):
        decoder.decode(annotation)
    decoder = decoder_of(backend, gob.dumps("WARN"))
    with pytest.raises(gob.GobValueError, match=r"received remote type string$"):
        decoder.decode(Level)


# --- times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        ZERO_TIME,
        datetime(2024, 2, 29, 12, 34, 56, 789000, tzinfo=UTC),
        datetime(2024, 2, 29, 12, 34, 56, 1, tzinfo=EAST),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=EAST),  # that is before the year 1 in UTC
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-8))),
        datetime(1900, 1, 1, tzinfo=timezone(timedelta(seconds=-3617))),
    ],
)
def test_times_come_back(value: datetime) -> None:
    found = decode_time(encode_time(value))
    assert found == value
    assert found.utcoffset() == value.utcoffset()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "no data"),
        ("03" + "00" * 14, "unsupported version"),
        ("01" + "00" * 13, "invalid length"),
        ("01" + "00" * 15, "invalid length"),
        ("02" + "00" * 14, "invalid length"),
        ("01" + "7f" * 8 + "00000000ffff", "doesn't reach"),
        ("01" + "ff" * 8 + "00000000ffff", "doesn't reach"),
        ("01" + "00" * 8 + "00000000" + "7fff", "doesn't reach"),
        ("01" + "00" * 8 + "3b9aca00" + "ffff", "1e9 nanoseconds"),
        ("01" + "00" * 8 + "ffffffff" + "ffff", "1e9 nanoseconds"),
    ],
)
def test_what_is_no_time(data: str, reason: str) -> None:
    with pytest.raises(gob.GobValueError, match=reason):
        decode_time(bytes.fromhex(data))


def test_nanoseconds_are_cut_off() -> None:
    data = encode_time(datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=UTC))
    finer = data[:9] + (5999).to_bytes(4, "big") + data[13:]
    assert decode_time(finer) == datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=UTC)
