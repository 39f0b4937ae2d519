"""Payloads and deliveries of both backends: the same values, comparisons, texts and errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.test_calls import outcome
from wirecore._backend import Backend
from wirecore.webwire_rules import Encoding

DATA = st.one_of(st.binary(max_size=8), st.text(max_size=4).map(str.encode))
TEXT = st.text(max_size=6) | st.sampled_from(["", "\ud800", "é", "😀"])
VALUES: Any = st.one_of(
    TEXT,
    DATA,
    DATA.map(bytearray),
    DATA.map(memoryview),  # type: ignore[arg-type]  # any buffer
    st.sampled_from([None, 5, 2.5, [], object]),
)
ENCODINGS = st.sampled_from([*Encoding, 0, 1, 2, 7, None])


def shown(values: Any, payload: Any) -> tuple[object, ...]:
    """All that can be asked of *payload*."""
    assert type(payload) is values.Payload
    return (
        payload.data,
        payload.encoding,
        len(payload),
        bool(payload),
        outcome(lambda: hash(payload)),
        outcome(lambda: repr(payload)),
        outcome(lambda: payload.text),
        payload == payload,
        payload == 5,
        payload == copy.copy(payload) == pickle.loads(pickle.dumps(payload)),
    )


def both(backends: tuple[Backend, Backend], ask: Any) -> None:
    """Both give the same."""
    compiled, pure = (outcome(ask, backend.webwire_values) for backend in backends)
    assert compiled == pure


@given(data=DATA, encoding=ENCODINGS)
def test_payloads_are_alike(backends: tuple[Backend, Backend], data: bytes, encoding: Any) -> None:
    both(backends, lambda values: shown(values, values.Payload(data, encoding)))
    both(backends, lambda values: shown(values, values.Payload(data)))
    both(backends, lambda values: shown(values, values.Payload(encoding=encoding)))


@given(value=VALUES)
def test_what_can_be_sent_is_split_alike(backends: tuple[Backend, Backend], value: Any) -> None:
    both(backends, lambda values: values.split(value))
    both(backends, lambda values: shown(values, values.Payload.of(value)))
    both(backends, lambda values: shown(values, values.Payload.utf16(value)))


@given(data=DATA, other=DATA, encoding=ENCODINGS)
def test_payloads_compare_alike(
    backends: tuple[Backend, Backend], data: bytes, other: bytes, encoding: Any
) -> None:
    both(
        backends,
        lambda values: (
            values.Payload(data) == values.Payload(other, encoding),
            values.Payload(data) != values.Payload(other, encoding),
            values.split(values.Payload(data, encoding)),
            values.Payload.of(values.Payload(data, encoding)) == values.Payload(data, encoding),
        ),
    )


@pytest.mark.parametrize("kind", ["Request", "Signal"])
def test_deliveries_are_alike(backends: tuple[Backend, Backend], kind: str) -> None:
    def ask(values: Any) -> tuple[object, ...]:
        payload = values.Payload(b"text", Encoding.UTF8)
        made = getattr(values, kind)("whose", "name", payload, 5)
        made.value = 6
        assert made.payload is payload
        return (made.connection, made.name, made.value, made.text, made.data, repr(made))

    both(backends, ask)
    both(backends, lambda values: getattr(values, kind)[int].__args__)
    both(
        backends,
        lambda values: str(getattr(values, kind)("c", "n", values.Payload(b"\xff"), 1).text),
    )
    for backend in backends:
        with pytest.raises(AttributeError):
            getattr(backend.webwire_values, kind)(1, 2, 3, 4).another = 1


@given(kind=st.integers(-3, 260), name=TEXT, data=DATA)
def test_messages_become_alike(
    backends: tuple[Backend, Backend], kind: int, name: str, data: bytes
) -> None:
    def ask(values: Any) -> tuple[object, ...]:
        made = values.delivery("whose", (kind, 7, name, data))
        assert made.value is made.payload
        return (type(made).__name__, made.connection, made.name, shown(values, made.payload))

    both(backends, ask)


def test_each_type_with_a_handler_has_its_encoding(backend: Backend) -> None:
    for number, name in ((63, "Signal"), (127, "Request")):
        for encoding in Encoding:
            made = backend.webwire_values.delivery("whose", (number + encoding, 7, "n", b""))
            assert type(made).__name__ == name
            assert made.payload.encoding is encoding
    with pytest.raises(ValueError, match="type 191 has no handler"):
        backend.webwire_values.delivery("whose", (191, 7, "", b""))
