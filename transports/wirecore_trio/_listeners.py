"""Listening: TCP on one port of every address, and Unix sockets that tidy up after themselves."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from typing import Final

import trio

from wirecore import errors

from ._network import NETWORK, AnyListener

logger = logging.getLogger("wirecore.serve")

#: How often another port is tried where the chosen one isn't free on every address.
_PORT_ATTEMPTS: Final = 8


async def listen(
    host: str | None, port: int, *, unix_path: str | None = None
) -> Sequence[AnyListener]:
    """What servers listen with: as :func:`open_listeners`, unless the run has its own network."""
    network = NETWORK.get()
    if network is None:
        return await open_listeners(host, port, unix_path=unix_path)
    return [network.listen(host, port, unix_path)]


async def open_listeners(
    host: str | None, port: int, *, unix_path: str | None = None, backlog: int | None = None
) -> list[socket.socket]:
    """Bound, listening sockets: TCP on every address of *host*, or a Unix socket.

    *host* None means all interfaces. *port* 0 lets the system choose, the same one for every
    address. A dead socket file at *unix_path* is replaced, a live one isn't; closing the
    listener takes the file away.

    Raises OSError, of the same number as the system's own: it says where, and what to do; and
    InvalidOption for a *host* with its port or in a URL, and for two places at once.
    """
    if not 0 <= port <= 65535:
        raise errors.InvalidOption(f"a port is 0 to 65535, not {port}")
    if unix_path is not None:
        if host is not None or port:
            raise errors.InvalidOption("give either host and port or unix_path=, not both")
        return [_open_unix_listener(unix_path, backlog)]
    if host is not None:
        _check_host(host)
    try:
        found = await _open_tcp_listeners(host, port, backlog)
    except OSError as error:
        raise _explained(error, host, port) from error
    return [
        socket.socket(
            listener.socket.family,
            listener.socket.type,
            listener.socket.proto,
            listener.socket.detach(),
        )
        for listener in found
    ]


def _check_host(host: str) -> None:
    """Raise InvalidOption for an address with its port, or a URL."""
    if "/" in host or "[" in host or host.count(":") == 1:
        raise errors.InvalidOption(
            f"{host!r} is more than a host: give host and port as two arguments, "
            'such as "127.0.0.1", 8000'
        )


async def _open_tcp_listeners(
    host: str | None, port: int, backlog: int | None
) -> list[trio.SocketListener]:
    """On one port for all addresses."""
    found = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    for _ in range(_PORT_ATTEMPTS):
        chosen = found[0].socket.getsockname()[1]
        if all(listener.socket.getsockname()[1] == chosen for listener in found):
            break
        # The system chose a port for each address. The first one is most likely free on all.
        for listener in found:
            listener.socket.close()
        try:
            found = await trio.open_tcp_listeners(chosen, host=host, backlog=backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            found = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    else:
        for listener in found:
            listener.socket.close()
        raise OSError(errno.EADDRINUSE, f"no port was free on all of them, tried {_PORT_ATTEMPTS}")
    return found


def _address(host: str | None, port: int) -> str:
    if host is None:
        return f"port {port} of all addresses"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


#: What to do about it.
_HINTS: Final = {
    errno.EADDRINUSE: "stop what listens there, or choose another port (0: a free one)",
    errno.EADDRNOTAVAIL: "choose an address of this machine",
    errno.EACCES: "ports below 1024 are for privileged users on most systems: choose another, or "
    "pass a socket that was bound before (listeners=)",
}
_NONE_FREE: Final = {errno.EADDRINUSE: "choose a port, or a single address"}
_UNIX_HINTS: Final = {
    errno.EADDRINUSE: "stop the server that listens there, or choose another path; a file that "
    "isn't a socket is never removed",
    errno.EACCES: "this user must be allowed to write to the directory",
    errno.ENOENT: "the directory must exist",
    errno.ENOTDIR: "the path leads through a file",
}
_UNRESOLVED: Final = "check the spelling of the host, or give an address"


def _explained(error: OSError, host: str | None, port: int) -> OSError:
    """*error* with the place and a hint; the same number, and so the same subclass."""
    where = _address(host, port)
    if isinstance(error, socket.gaierror):
        text = f"can't listen on {where}: {error.strerror}; {_UNRESOLVED}"
        return socket.gaierror(error.errno, text)
    return _told(error, where, _HINTS if port else _HINTS | _NONE_FREE)


def _told(error: OSError, where: str, hints: Mapping[int, str]) -> OSError:
    text = f"can't listen on {where}: {error.strerror or error}"
    hint = hints.get(error.errno or 0)
    return OSError(error.errno or errno.EINVAL, f"{text}; {hint}" if hint else text)


class _UnixListener(socket.socket):
    """A Unix socket that takes its file away when it is closed, unless it is another's by then."""

    def __init__(self, path: str) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._path = os.path.abspath(path)
        self._file: tuple[int, int] | None = None

    def own(self) -> None:
        """The file is there, and this socket's."""
        self._file = _identity(self._path)

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                if _identity(self._path) == file:
                    os.unlink(self._path)
            except FileNotFoundError:
                pass  # somebody tidied up already
            except OSError as error:
                logger.warning("can't remove the socket file %s: %s", self._path, error)
        super().close()


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _open_unix_listener(path: str, backlog: int | None) -> socket.socket:
    sock = _UnixListener(path)
    try:
        _bind(sock, path)
        sock.own()
        sock.listen(backlog or 128)
    except OSError as error:
        sock.close()
        raise _told(error, f"the Unix socket {path}", _UNIX_HINTS) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, path: str) -> None:
    try:
        sock.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _is_dead(path):
            raise
        os.unlink(path)
        sock.bind(path)


def _is_dead(path: str) -> bool:
    """Whether *path* is a socket that nobody listens on."""
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a live server whose backlog is full would keep us waiting
        return probe.connect_ex(path) == errno.ECONNREFUSED
