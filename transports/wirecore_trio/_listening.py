"""A server that listens, as whoever started it sees it."""

from __future__ import annotations

from wirecore import errors

from ._serve import Acceptor


class Listening:
    """A server that listens; ``task_status`` gives it."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor

    @property
    def addresses(self) -> list[object]:
        """The bound addresses, as ``getsockname`` gives them."""
        return self._acceptor.addresses

    @property
    def port(self) -> int:
        """The port of the first TCP address. Raises InvalidState where there is none."""
        for address in self.addresses:
            if isinstance(address, tuple):
                return int(address[1])
        raise errors.InvalidState("this server listens on no port: it has a Unix socket")
