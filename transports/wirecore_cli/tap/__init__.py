"""``wirecore tap``: what goes over connections, seen on its way."""

from .command import tap

__all__ = ["tap"]
