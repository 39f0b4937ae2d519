"""The control socket of a pool: who may open it makes calls through the pool, and sees its state.

It is a pool of its own, with one path of call-backs, on a Unix socket that is its owner's alone:
providers, who come over the network, don't meet it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
import trio

from wirecore.errors import CallTimeout, ConnectionLost, LocalError, RemoteError, RpcError
from wirecore_trio import pool
from wirecore_trio._listeners import open_listeners

from ..failures import Failure, Status
from .values import argument_of, json_of
from .view import Pool as PoolView
from .view import view_of

#: Where the control service is on its socket, and what it speaks.
PATH: Final = "/control"
CODEC: Final = "json"


@dataclass
class Wanted:
    """A call that somebody wants to be made: see :meth:`PoolServer.call`.

    *argument*: in JSON; "" is none. *timeout*: seconds.
    """

    method: str
    argument: str = ""
    maps: bool = False
    timeout: float = 10.0
    provider: str | None = None
    labels: list[str] = field(default_factory=list)
    key: str | None = None
    idempotent: bool = False


@dataclass
class Outcome:
    """What became of it: *result*, in JSON; or *text* says why none, and *status* how to end."""

    result: str = ""
    text: str = ""
    status: int = 0


class Control:
    """What is served. *codecs*: of the paths, by the names of their services, "" for the rest."""

    def __init__(self, server: pool.PoolServer, codecs: Mapping[str, str]) -> None:
        self._server = server
        self._codecs = codecs

    @pool.exported
    async def call(self, wanted: Wanted) -> Outcome:
        """Make a call through the pool."""
        codec = self._codecs.get(wanted.method.partition(".")[0], self._codecs.get("", "gob"))
        try:
            result = await self._server.call(
                wanted.method,
                argument_of(wanted.argument, codec, maps=wanted.maps),
                timeout=wanted.timeout,
                provider=wanted.provider,
                labels=wanted.labels,
                key=wanted.key,
                idempotent=wanted.idempotent,
            )
        except RpcError as error:
            text = f"{wanted.method} answered with an error: {error}"
            return Outcome(text=text, status=Status.FAILED)
        except CallTimeout as error:
            return Outcome(text=str(error), status=Status.TIMEOUT)
        except (ConnectionLost, RemoteError) as error:
            return Outcome(text=str(error), status=Status.NO_CONNECTION)
        except LocalError as error:
            return Outcome(text=str(error), status=Status.USAGE)
        return Outcome(result=json_of(result))

    @pool.exported
    async def state(self) -> PoolView:
        """The pool as it is now."""
        return view_of(self._server.state(), trio.current_time())


def default_socket() -> Path:
    """Where a pool's socket is that has no name: with what this user's session runs."""
    folder = os.environ.get("XDG_RUNTIME_DIR")
    if folder:
        return Path(folder, "wirecore", "pool.sock")
    return Path(click.get_app_dir("wirecore"), "pool.sock")


async def open_socket(path: Path) -> socket.socket:
    """A listening Unix socket at *path* that only this user can open. Raises Failure, OSError."""
    if not hasattr(socket, "AF_UNIX"):
        raise Failure("--control: this system has no Unix sockets: give --control none")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"--control: {path.parent} can't be made: {error.strerror}") from error
    # The mode belongs to the creation: a chmod would come a moment too late.
    mask = os.umask(0o177)
    try:
        [listener] = await open_listeners(None, 0, unix_path=str(path))
    finally:
        os.umask(mask)
    return listener


def control_pool(server: pool.PoolServer, codecs: Mapping[str, str]) -> pool.PoolServer:
    """The pool that serves the control of *server*."""
    # Who has gone away doesn't want the result.
    options = pool.PoolOptions(on_disconnect="cancel", handler_timeout=None, call_timeout=None)
    control = pool.PoolServer(options)
    control.serve_callbacks(PATH, Control(server, codecs), codec=CODEC)
    return control
