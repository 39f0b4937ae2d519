"""Strings and numbers as Go's encoding/json writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from json import encoder
from math import frexp
from struct import Struct
from typing import Final

#: A str between quotes, with what JSON itself must escape; :func:`finish` does the rest.
quote: Callable[[str], str] = encoder.encode_basestring

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SINGLE: Final = Struct(">f")

#: Rounding to one digit, to two, and so on up to those that tell all floats of 32 bits apart.
_DIGITS: Final = tuple(Context(prec=digits, rounding=ROUND_HALF_EVEN) for digits in range(1, 10))
#: The same for powers of two, of which Go rounds the one that is halfway, 2**-12, up.
_DIGITS_OF_POWER: Final = tuple(Context(each.prec, ROUND_HALF_UP) for each in _DIGITS)


def finish(text: str) -> bytes:
    """JSON in characters as the bytes that Go writes: safe within HTML and JavaScript, and UTF-8.

    Surrogates stand for bytes that weren't UTF-8. What is replaced can only be within strings.
    """
    text = text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    if text.isascii():
        return text.encode("ascii")
    text = text.replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(r"\\ufffd", text).encode()


def float_text(number: float, *, single: bool = False) -> str:
    """A finite *number* in its shortest form: with an exponent below 1e-6 and from 1e21 on.

    *single*: it is one of 32 bits, and the shortest is one that is read as that.
    """
    if single:
        number = _shortest_single(number)
    text = repr(number)
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return mantissa.removesuffix(".0")
    power = int(exponent)
    if not 1e-6 <= abs(number) < 1e21:
        return f"{mantissa}e{power:+d}"
    sign = "-" if number < 0 else ""
    digits = mantissa.lstrip("-").replace(".", "")
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    return sign + digits.ljust(power + 1, "0")


def round_single(number: float) -> float:
    """The float of 32 bits nearest to *number*. Raises OverflowError where there is none."""
    found: float = _SINGLE.unpack(_SINGLE.pack(number))[0]
    return found


def _shortest_single(number: float) -> float:
    """The float whose shortest form is that of *number*, which has 32 bits.

    Of as many digits the nearest comes first. Below a power of two floats are closer to each
    other than above, so that the nearest may be another one there, while the next above is not.
    """
    exact = Decimal(number)
    for digits in _DIGITS_OF_POWER if abs(frexp(number)[0]) == 0.5 else _DIGITS:
        nearest = digits.create_decimal(exact)
        for each in (nearest, digits.next_plus(nearest), digits.next_minus(nearest)):
            candidate = float(each)
            try:
                if round_single(candidate) == number:
                    return candidate
            except OverflowError:
                continue
    return number
