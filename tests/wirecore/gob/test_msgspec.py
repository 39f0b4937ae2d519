"""msgspec's structs as Go's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest

from wirecore import gob
from wirecore._backend import Backend
from wirecore.gob.schema import gob_type

if TYPE_CHECKING:
    import msgspec
else:
    msgspec = pytest.importorskip("msgspec", reason="msgspec isn't installed")


class Order(msgspec.Struct, frozen=True):
    order_id: Annotated[int, gob.UINT32, gob.Field("OrderID")]
    lines: list[str] = msgspec.field(default_factory=lambda: ["none"])
    price: float = 1.5


class Options(msgspec.Struct, kw_only=True):
    depth: int = 3
    name: str
    _seen: bool = False


@pytest.mark.parametrize(
    "value", [Order(7, ["a", "b"], 2.5), Options(name="x"), Options(depth=9, name="")]
)
def test_structs_come_back(backend: Backend, value: Any) -> None:
    decoder = gob.Decoder(backend=backend)
    decoder.feed(gob.Encoder(backend=backend).encode(value))
    assert decoder.decode(type(value)) == value


class Number(msgspec.Struct):
    order_id: Annotated[int, gob.UINT32, gob.Field("OrderID")]


def test_what_the_sender_does_not_have_has_its_default(backend: Backend) -> None:
    decoder = gob.Decoder(backend=backend)
    encoder = gob.Encoder(backend=backend)
    decoder.feed(encoder.encode(Order(0, [], 0.0)))  # zeros aren't sent
    decoder.feed(encoder.encode(Number(0)))
    assert decoder.decode(Order) == Order(0, [], 0.0)
    assert decoder.decode(Order) == Order(0, ["none"], 1.5)


def test_fields_have_gos_names() -> None:
    assert [each.name for each in gob_type(Order).fields] == ["OrderID", "Lines", "Price"]
    assert [each.name for each in gob_type(Options).fields] == ["Depth", "Name"]
