"""Peers on this machine that a dialling test can reach."""

from __future__ import annotations

import socket


class Peers:
    """A listener on 127.0.0.1 that accepts without being told."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        host = "::1" if family is socket.AF_INET6 else "127.0.0.1"
        self.listener = socket.create_server((host, 0), family=family)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
