"""What Go prints of JSON that it has read into an interface."""

from __future__ import annotations

from math import inf, isinf

from wirecore.gojson.parsing import Number, Tree
from wirecore.gojson.text import float_text


def print_tree(value: Tree) -> str:
    """A parsed value, as Go's ``%v`` has it: ``map[code:1 message:m]``."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Number):
        return _print_float(_to_float(value))
    if isinstance(value, tuple):
        members = dict(value)
        return f"map[{' '.join(f'{name}:{print_tree(members[name])}' for name in sorted(members))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(print_tree, value))}]"
    return str(value)


def _to_float(value: float | Number) -> float:
    try:
        return float(value)
    except OverflowError:
        return -inf if str(value).startswith("-") else inf


def _print_float(number: float) -> str:
    """A float64: with an exponent of two digits below 1e-4 and from 1e21 on."""
    if isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = float_text(number)
    if number and abs(number) < 1e-4 and "e" not in text:
        text = repr(number)  # has one in between, of two digits
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent):+03d}" if mark else mantissa
