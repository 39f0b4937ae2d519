"""Whether what ours did is what was recorded, within the precision of the recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import unified_diff

from tests.transports.engine.golden.plan import SKEW
from tests.transports.engine.golden.recorded import Line
from tests.transports.engine.golden.spans import Node, shown


def check_lines(expected: Sequence[Line], found: Sequence[Line], *, any_order: bool) -> None:
    """The same happened in the same order at the same times. Raises AssertionError.

    *any_order*: but what happens at one time may come in any, as where several workers call;
    messages start in theirs all the same.
    """
    asked, given = (_instants(expected), _instants(found)) if any_order else (expected, found)
    same = len(asked) == len(given) and all(
        each.text == other.text and _close(each.time, other.time)
        for each, other in zip(asked, given, strict=True)
    )
    if not same:
        raise AssertionError(_difference(map(str, expected), map(str, found)))
    begun = [line.text for line in found if line.text.startswith("on_message session-")]
    assert begun == sorted(begun) or not any_order, begun


def _instants(lines: Sequence[Line]) -> list[Line]:
    """*lines*, those of one instant in the order of their texts."""
    instants: list[list[Line]] = []
    for line in lines:
        if not instants or not _close(line.time, instants[-1][0].time):
            instants.append([])
        instants[-1].append(line)
    return [line for instant in instants for line in sorted(instant, key=lambda each: each.text)]


def check_spans(expected: Sequence[Node], found: Sequence[Node]) -> None:
    """The same spans, below the same ones, at the same times. Raises AssertionError.

    Neighbours may have begun at one time: then either may be the first.
    """
    if not _same(expected, found):
        raise AssertionError(_difference(shown(expected), shown(found)))


def _same(expected: Sequence[Node], found: Sequence[Node]) -> bool:
    left = list(found)
    for node in expected:
        match = next((other for other in left if _alike(node, other)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _alike(node: Node, other: Node) -> bool:
    return (
        node.text == other.text
        and _close(node.start, other.start)
        and _close(node.end, other.end)
        and _same(node.children, other.children)
    )


def _close(time: float | None, other: float | None) -> bool:
    return time is other is None or (
        time is not None and other is not None and abs(time - other) <= SKEW
    )


def _difference(expected: Iterable[str], found: Iterable[str]) -> str:
    lines = unified_diff(list(expected), list(found), "expected", "ours", n=100, lineterm="")
    return "\n".join(["it isn't what was expected:", *lines])
