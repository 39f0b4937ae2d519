"""Reaching a pool from the command line: its control socket, or a call-back path of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from wirecore import errors
from wirecore_trio import pool
from wirecore_trio._dial import parse_url

from ..failures import Failure, Status, text_of
from ..options import TrustOptions
from ..secrets import read_token
from ..trust import client_context
from .control import CODEC, PATH, default_socket

#: What a pool answers to a token that it doesn't know, and to a path that isn't bound.
_HINTS: Final = {
    401: "the pool wants another token: --token-file holds it",
    404: "nothing is bound there: the path in the URL must be one of the pool's",
}


def control_socket(given: Path | None) -> Path | None:
    """The socket that ``--control`` names; None for "none", and where there are no such sockets."""
    if given is None:
        return default_socket() if hasattr(socket, "AF_UNIX") else None
    return None if str(given) == "none" else given


class ControlSocket:
    """The control socket of a pool on this machine. Raises Failure where there is none."""

    def __init__(self, given: Path | None, timeout: float) -> None:
        self.path = control_socket(given)
        if self.path is None:
            why = "is for 'wirecore pool serve'" if given else "is all that this system has"
            raise Failure(f"--control none {why}", Status.USAGE)
        self._timeout = timeout

    def connect(self) -> AbstractAsyncContextManager[pool.CallbackClient]:
        """A client of its control service; entering it makes one attempt."""
        provider = pool.Provider(options=_options(self._timeout, call_timeout=None))
        return provider.connect_callbacks(
            f"ws://localhost{PATH}", codec=CODEC, unix_path=str(self.path), proxy=None, wait=True
        )

    @contextmanager
    def failures(self, *, called: bool = False) -> Iterator[None]:
        """Turn what connecting to it raises into a Failure. *called*: a method, through it."""
        try:
            yield
        except BrokenPipeError:
            raise  # our own output: whoever reads it has had enough
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise Failure(
                f"no pool has its control socket at {self.path}: start one with 'wirecore pool "
                "serve', or name the socket with --control",
                Status.NO_CONNECTION,
            ) from error
        except PermissionError as error:
            raise Failure(
                f"{self.path} is another user's: only who runs the pool may control it",
                Status.NO_CONNECTION,
            ) from error
        except errors.ConnectionLost as error:
            ran = "; whether the call ran isn't known" if called and _may_have_run(error) else ""
            raise Failure(
                f"the pool of {self.path} has ended{ran}", Status.NO_CONNECTION
            ) from error
        except (errors.RemoteError, OSError) as error:
            raise Failure(text_of(error), Status.NO_CONNECTION) from error


def _may_have_run(error: errors.ConnectionLost) -> bool:
    return isinstance(error, errors.CallLost) and error.execution == "maybe_executed"


class Dialled:
    """What providers need to connect: whom they trust, and what they show.

    Raises UsageError, Failure and InvalidOption for what is wrong with the command line.
    """

    def __init__(self, urls: tuple[str, ...], trust: TrustOptions) -> None:
        targets = [parse_url(url) for url in urls]
        #: For what is said of them: without the parts of a URL that may be secret.
        self.names = [target.name for target in targets]
        self._token = read_token(trust["token_file"])
        self._context = client_context(trust, secure=any(target.secure for target in targets))

    @property
    def keywords(self) -> dict[str, Any]:
        """Of ``Provider.serve`` and ``connect_callbacks``."""
        return {"token": self._token, "ssl_context": self._context}


def _options(timeout: float, *, call_timeout: float | None) -> pool.ProviderOptions:
    return pool.ProviderOptions(
        open_timeout=timeout, call_timeout=call_timeout, max_attempts=1, persist=False
    )


def connect_callbacks(
    url: str, dialled: Dialled, codec: str, timeout: float
) -> AbstractAsyncContextManager[pool.CallbackClient]:
    """A client of the call-back path *url*; entering it makes one attempt."""
    provider = pool.Provider(options=_options(timeout, call_timeout=timeout))
    return provider.connect_callbacks(url, codec=codec, wait=True, **dialled.keywords)


def hint(error: BaseException | None) -> str:
    """What would have helped against *error*, in brackets; "" where nothing is known to."""
    match error:
        case errors.UpgradeRejected() if error.status in _HINTS:
            return f" ({_HINTS[error.status]})"
        case errors.PeerRefused():
            return " (--cafile names whose certificates are trusted, --cert is what is shown)"
        case _:
            return ""
