"""wirecore's gob, by default compiled; ``WIRECORE_BACKEND=py`` for the pure one.

Option ``op``: ``encode`` or ``decode``, on one encoder or decoder, so that the type is sent once. A
pass is 64 different values; the first one is compared, those after it are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import wirecore
from bench.peers.load import Meter, Outcome, Task
from wirecore import gob
from wirecore._backend import default

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


@dataclass
class Order:
    """A call's header and argument in one. No field is zero: those aren't sent."""

    service_method: str
    seq: int
    name: str
    price: float
    paid: bool


def orders() -> list[Order]:
    """The values of a pass, the same as Go's in ``go/gob.go``."""
    return [
        Order("Shop.Order", 97 * number, f"item number {number}", 1.25 * number + 0.5, True)
        for number in range(1, 65)
    ]


def drive(task: Task) -> Outcome:
    """Passes until the time is over."""
    return _encode(task) if task.options["op"] == "encode" else _decode(task)


def _encode(task: Task) -> Outcome:
    encoder, decoder, values = gob.Encoder(), gob.Decoder(), orders()
    meter = Meter(task)
    decoder.feed(b"".join([encoder.encode(value) for value in values]))
    meter.check_all([decoder.decode(Order) for _ in values], values)
    while True:
        for value in values:
            encoder.encode(value)
        if meter.arrived(len(values)):
            return meter.outcome()


def _decode(task: Task) -> Outcome:
    encoder, decoder, values = gob.Encoder(), gob.Decoder(), orders()
    meter = Meter(task)
    decoder.feed(b"".join([encoder.encode(value) for value in values]))
    meter.check_all([decoder.decode(Order) for _ in values], values)
    again = b"".join([encoder.encode(value) for value in values])
    while True:
        decoder.feed(again)
        for _ in values:
            decoder.decode(Order)
        if meter.arrived(len(values)):
            return meter.outcome()
