"""Looking at a pool's state again and again."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click
import trio

from wirecore_trio._errors import alone

from ..stopping import stop_on_signal
from ..terminal import console
from .reaching import ControlSocket
from .table import coloured, plain, tables_of
from .view import Pool

if TYPE_CHECKING:
    from rich.console import Group

#: Seconds for an answer of a pool on this machine.
_PATIENCE = 10.0


class _Show(Protocol):
    def __call__(self, state: Pool, before: Pool | None) -> None:
        """Show *state*; *before* is what was seen the time before."""


async def watch(control: Path | None, interval: float, count: int | None, as_json: bool) -> None:
    """Show the state of the pool at *control*, every *interval* seconds. Raises Failure.

    Returns after *count* looks (None: any number), and at SIGINT or SIGTERM.
    """
    pool = ControlSocket(control, _PATIENCE)
    with ExitStack() as stack:
        show = _show_json if as_json else _show_tables(stack, live=count != 1)
        with pool.failures(), alone():
            async with pool.connect() as client, trio.open_nursery() as nursery:
                await nursery.start(stop_on_signal, nursery.cancel_scope)
                before: Pool | None = None
                while True:
                    state = await client.call("Control.State", result=Pool, timeout=_PATIENCE)
                    show(state, before)
                    count = None if count is None else count - 1
                    if count == 0:
                        break
                    before = state
                    await trio.sleep(interval)
                nursery.cancel_scope.cancel()


def _show_json(state: Pool, before: Pool | None) -> None:
    click.echo(json.dumps(asdict(state)))


def _show_tables(stack: ExitStack, *, live: bool) -> _Show:
    """What shows tables: on a terminal in one place, until *stack* is closed, if *live*."""
    terminal = console()
    if terminal is None:
        return _show_plain
    from rich.live import Live

    if not live:
        return lambda state, before: terminal.print(_coloured(state, before))
    screen = stack.enter_context(Live(console=terminal, auto_refresh=False))
    return lambda state, before: screen.update(_coloured(state, before), refresh=True)


def _coloured(state: Pool, before: Pool | None) -> Group:
    from rich.console import Group

    tables = [coloured(table) for table in tables_of(state, before)]
    return Group(tables[0], *(part for table in tables[1:] for part in ("", table)))


def _show_plain(state: Pool, before: Pool | None) -> None:
    for table in tables_of(state, before):
        click.echo(f"{plain(table)}\n")
