"""install() puts our frames under wsproto, and uninstall() leaves nothing behind."""

from __future__ import annotations

import threading
from functools import wraps
from typing import Any

import pytest
import wsproto
import wsproto.connection
import wsproto.frame_protocol
from wsproto.connection import Connection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Request,
)

from wirecore.dropin import wsproto as dropin
from wirecore.dropin.wsproto._judge import Judge
from wirecore.errors import InvalidState

pytestmark = pytest.mark.usefixtures("_uninstalled")

CLIENT = wsproto.ConnectionType.CLIENT


def test_connections_made_from_then_on_are_ours() -> None:
    before = Connection(CLIENT)
    dropin.install()
    assert dropin.installed()
    meanwhile = Connection(CLIENT)
    dropin.uninstall()
    assert not dropin.installed()
    after = Connection(CLIENT)
    assert [type(each) for each in (before, meanwhile, after)] == [
        Connection,
        dropin.Connection,
        Connection,
    ]
    assert isinstance(meanwhile, Connection)
    for each in (before, meanwhile, after):
        each.receive_data(b"\x82\x01a")
        assert list(each.events()) == [BytesMessage(b"a")]


def test_handshakes_end_in_our_connections() -> None:
    dropin.install()
    client = wsproto.WSConnection(CLIENT)
    server = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    server.receive_data(client.send(Request(host="localhost", target="/")))
    list(server.events())
    client.receive_data(server.send(AcceptConnection()) + server.send(BytesMessage(b"at once")))
    assert list(client.events())[1:] == [BytesMessage(b"at once")]
    assert type(client.connection) is type(server.connection) is dropin.Connection


def test_it_may_be_called_again_and_the_last_bound_holds() -> None:
    dropin.install(max_message_size=10)
    dropin.install(max_message_size=1)
    dropin.install(max_message_size=1)
    connection = Connection(CLIENT)
    connection.receive_data(b"\x82\x02")
    (event,) = connection.events()
    assert isinstance(event, CloseConnection)
    assert event.code == 1009


def test_uninstalling_restores_exactly_what_was_there() -> None:
    modules = (wsproto, wsproto.connection, wsproto.handshake, wsproto.frame_protocol)
    before = [dict(vars(each)) for each in (*modules, Connection)]
    dropin.install()
    dropin.install()
    dropin.uninstall()
    assert [dict(vars(each)) for each in (*modules, Connection)] == before
    dropin.uninstall()
    assert [dict(vars(each)) for each in (*modules, Connection)] == before


def test_what_somebody_else_put_there_before_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Connection.__init__
    made = []

    def traced(self: Connection, *arguments: Any) -> None:
        made.append(self)
        original(self, *arguments)

    monkeypatch.setattr(Connection, "__init__", traced)
    dropin.install()
    dropin.uninstall()
    assert Connection(CLIENT) in made


@pytest.mark.parametrize("dressed", [True, False], ids=["functools.wraps", "bare"])
def test_what_somebody_else_wraps_after_is_not_torn_out(
    monkeypatch: pytest.MonkeyPatch, dressed: bool
) -> None:
    dropin.install()
    with monkeypatch.context() as patch:
        ours = Connection.__init__

        def traced(self: Connection, *arguments: Any) -> None:
            ours(self, *arguments)

        patch.setattr(Connection, "__init__", wraps(ours)(traced) if dressed else traced)
        assert dropin.installed()
        assert type(Connection(CLIENT)) is dropin.Connection
        for change in (dropin.uninstall, dropin.install):
            with pytest.raises(InvalidState, match="wrapped by somebody else"):
                change()
        assert Connection.__init__ is not ours
    dropin.uninstall()
    assert not dropin.installed()


def test_what_is_put_back_by_hand_is_uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who keeps and restores the constructor, as tests do, takes ours out with it."""
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "__init__", Connection.__init__)
        dropin.install()
    assert not dropin.installed()
    dropin.uninstall()
    dropin.install()
    assert type(Connection(CLIENT)) is dropin.Connection


def test_subclasses_stay_what_they_are_and_get_our_frames() -> None:
    class Counting(Connection):
        taken = 0

        def receive_data(self, data: bytes | None) -> None:
            self.taken += len(data or b"")
            super().receive_data(data)

    dropin.install()
    connection = Counting(CLIENT, trailing_data=b"\x81\x05he")
    assert type(connection) is Counting
    assert isinstance(connection._proto, dropin.frame_protocol.FrameProtocol)
    connection.receive_data(b"llo\x89\x00\x8a\x01x\x82\x00\x88\x02\x03\xe8\x81\x00")
    ours = list(connection.events())
    assert connection.taken == 20
    dropin.uninstall()
    theirs = Counting(CLIENT, trailing_data=b"\x81\x05he")
    theirs.receive_data(b"llo\x89\x00\x8a\x01x\x82\x00\x88\x02\x03\xe8\x81\x00")
    assert ours == list(theirs.events())
    assert connection.state is theirs.state


def test_a_breach_is_a_parse_failed_for_those_who_read_frames() -> None:
    protocol = dropin.frame_protocol.FrameProtocol(True, [])
    protocol.receive_bytes(b"\x81\x01a\x83\x00")
    frames = protocol.received_frames()
    assert next(frames).payload == "a"
    with pytest.raises(wsproto.frame_protocol.ParseFailed, match="Invalid opcode 0x3") as caught:
        next(frames)
    assert caught.value.code is dropin.CloseReason.PROTOCOL_ERROR


def test_any_thread_may_call_it() -> None:
    begin = threading.Barrier(8)
    failed = []

    def change(number: int) -> None:
        begin.wait()
        try:
            for _ in range(50):
                dropin.install() if number % 2 else dropin.uninstall()
                Connection(CLIENT, trailing_data=b"\x82\x01a")
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise it to
            failed.append(error)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    dropin.uninstall()
    assert type(Connection(CLIENT)) is Connection


def test_nothing_is_wrong_with_frames_in_order() -> None:
    with pytest.raises(ValueError, match="may come after"):
        Judge(True, []).check_order(opcode=1, message=0)
