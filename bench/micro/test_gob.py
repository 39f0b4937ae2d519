"""gob's values, written and read, with pytest-benchmark.

``python -m pytest bench/micro`` runs it; the normal test run doesn't. It is for those who change
the codec: the struct is an RPC's header and argument in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from bench.peers.codec_gob import Order
from wirecore import gob
from wirecore._backend import Backend, BackendName, load

#: Values in one round.
COUNT = 100


@dataclass
class Basket:
    owner: Order
    lines: list[Order]
    notes: dict[str, str]


ORDER = Order("Shop.Order", 12345, "some name", 19.99, True)
BASKET = Basket(ORDER, [ORDER] * 10, {"one": "first", "two": "second"})


@pytest.fixture(params=["c", "py"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return load(cast(BackendName, request.param))


@pytest.mark.parametrize("value", [ORDER, BASKET], ids=["order", "basket"])
def test_write(benchmark: Any, backend: Backend, value: Any) -> None:
    benchmark.group = f"write {COUNT} {type(value).__name__}s"
    encoder = gob.Encoder(backend=backend)

    def work() -> None:
        for _ in range(COUNT):
            encoder.encode(value)

    benchmark(work)


@pytest.mark.parametrize("plain", [False, True], ids=["typed", "plain"])
@pytest.mark.parametrize("value", [ORDER, BASKET], ids=["order", "basket"])
def test_read(benchmark: Any, backend: Backend, value: Any, plain: bool) -> None:
    benchmark.group = f"read {COUNT} {type(value).__name__}s{' as dicts' if plain else ''}"
    encoder = gob.Encoder(backend=backend)
    decoder = gob.Decoder(backend=backend)
    decoder.feed(encoder.encode(value))
    assert decoder.decode(type(value)) == value
    messages = encoder.encode(value) * COUNT
    annotation = Any if plain else type(value)

    def work() -> None:
        decoder.feed(messages)
        for _ in range(COUNT):
            decoder.decode(annotation)

    benchmark(work)
