"""Drivers of many connections: each is looked at, and a limit that is too low is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

resource = pytest.importorskip("resource", reason="limits of Unix")


@pytest.fixture
def idle_client(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``bench.peers.idle_client``, which no package installs."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    return import_module("bench.peers.idle_client")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's end and a client's."""
    server, client = socket.socketpair()
    with server, client:
        yield server, client


def test_heartbeats_of_an_idle_connection_are_answered(
    idle_client: ModuleType, pair: tuple[socket.socket, socket.socket]
) -> None:
    server, client = pair
    server.sendall(b"\x89\x03one" + b"\x89\x00")
    idle_client.answer_heartbeats([client])
    assert server.recv(100) == b"\x8a\x83\0\0\0\0one" + b"\x8a\x80\0\0\0\0"


def test_an_idle_connection_that_hears_more_than_heartbeats_ends_the_run(
    idle_client: ModuleType, pair: tuple[socket.socket, socket.socket]
) -> None:
    server, client = pair
    server.sendall(b"\x88\x02\x03\xe8")
    with pytest.raises(idle_client.WrongAnswer, match="an idle connection got"):
        idle_client.answer_heartbeats([client])


def test_an_idle_connection_that_is_closed_ends_the_run(
    idle_client: ModuleType, pair: tuple[socket.socket, socket.socket]
) -> None:
    server, client = pair
    server.close()
    with pytest.raises(idle_client.WrongAnswer, match="closed"):
        idle_client.answer_heartbeats([client])


def test_a_limit_of_open_files_that_is_too_low_is_told(
    idle_client: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 1024))
    with pytest.raises(idle_client.CannotRun, match=r"need 10,100 open files .* limit is 1,024"):
        idle_client.open_idle(1, 10_000)
