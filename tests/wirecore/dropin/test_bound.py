"""max_message_size is judged where it is given, not by the first connection that needs it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionType

from wirecore.dropin import wsproto as dropin
from wirecore.errors import InvalidOption

pytestmark = pytest.mark.usefixtures("_uninstalled")

TAKERS = [
    lambda bound: dropin.install(max_message_size=bound),
    lambda bound: dropin.WSConnection(ConnectionType.SERVER, max_message_size=bound),
    lambda bound: dropin.H11Handshake(ConnectionType.CLIENT, max_message_size=bound),
    lambda bound: dropin.Connection(ConnectionType.CLIENT, max_message_size=bound),
    lambda bound: dropin.frame_protocol.FrameProtocol(True, [], max_message_size=bound),
]


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize(
    ("bound", "kind"), [(1e6, "float"), ("1", "str"), (True, "bool"), (b"1", "bytes")]
)
def test_a_bound_is_a_whole_number(take: Any, bound: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"^max_message_size must be int or None, not {kind}$"):
        take(bound)
    assert not dropin.installed()


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize("bound", [0, -1, sys.maxsize + 1])
def test_a_bound_lets_something_through(take: Any, bound: int) -> None:
    with pytest.raises(InvalidOption, match=r"^max_message_size must be at (least|most) .*, not"):
        take(bound)
    assert not dropin.installed()


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize("bound", [None, 1, sys.maxsize])
def test_all_others_are_taken(take: Any, bound: int | None) -> None:
    take(bound)


def test_a_bound_that_is_refused_leaves_the_one_that_holds() -> None:
    dropin.install(max_message_size=1)
    with pytest.raises(TypeError):
        dropin.install(max_message_size="2")  # type: ignore[arg-type]  # that is the mistake
    connection = Connection(ConnectionType.CLIENT)
    connection.receive_data(b"\x82\x02")
    (event,) = connection.events()
    assert getattr(event, "code", None) == 1009
