"""docs/engine.md has the lifecycle's table and the options' defaults, as they are."""

from __future__ import annotations

import dataclasses
import re

from tests.examples.pages import text_of
from wirecore.protocols.engine import TABLE, Next
from wirecore_trio.engine import Options

PAGE = "docs/engine.md"

#: What the page says for what depends on whether the engine leaves.
CHOICES = {
    Next.READ: "`OPEN`; where it leaves: `CLOSING`",
    Next.RECONNECT: "`RESTARTING`, or `WAITING` with `stable_after`; where it leaves: `IDLE`",
    Next.RETRY: "`WAITING`; where it leaves: `IDLE`",
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table with this head, a list for each line."""
    _, _, rest = text_of(PAGE).partition(f"\n{heading}\n")
    assert rest, heading
    lines = rest.split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_lifecycle_is_the_table() -> None:
    found, state = {}, ""
    for name, happened, then in rows("| state | what happens | then |"):
        state = name or state
        assert (state, happened) not in found, "said twice"
        found[state, happened] = then
    assert found == {
        (f"`{state.name}`", f"`{happened.name}`"): CHOICES[following]
        if isinstance(following, Next)
        else f"`{following.name}`"
        for (state, happened), following in TABLE.items()
    }


def test_the_options_and_their_defaults() -> None:
    told = {
        re.sub("`", "", name): default
        for name, default, *_ in rows("| option | default | bounds | |")
    }
    assert told == {
        each.name: f"{each.default:g}" if type(each.default) is float else str(each.default)
        for each in dataclasses.fields(Options)
    }
