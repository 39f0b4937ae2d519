"""The calls of the pool rows: ``Arith.Divide`` of net/rpc's own documentation, and its service.

Option ``mode`` of who serves it: ``inline`` answers in the reading task, ``async`` each in a task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.peers.load import Task
from wirecore_trio import pool

METHOD = "Arith.Divide"


@dataclass
class Args:
    """What is divided, and by what."""

    a: int
    b: int


@dataclass
class Quotient:
    """What comes of it."""

    quo: int
    rem: int


class Inline:
    """Divides in the reading task."""

    @pool.exported(inline=True)
    def divide(self, args: Args) -> Quotient:
        """A quotient and its remainder."""
        return Quotient(*divmod(args.a, args.b))


class InTask:
    """The same in a task each."""

    @pool.exported
    async def divide(self, args: Args) -> Quotient:
        """A quotient and its remainder."""
        return Quotient(*divmod(args.a, args.b))


def service(task: Task) -> Any:
    """What option ``mode`` says, to be served as ``Arith``."""
    return Inline() if task.options.get("mode") == "inline" else InTask()


def questions() -> list[Args]:
    """What to ask, in turn and over again."""
    return [Args(97 * number, number % 7 + 1) for number in range(1, 65)]


def answers() -> list[Quotient]:
    """What the answers must be."""
    return [Quotient(*divmod(args.a, args.b)) for args in questions()]
