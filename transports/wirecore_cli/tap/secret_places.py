"""Where in a text secrets stand, whatever kind of text it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias

from .secret_names import is_secret

#: Where what tells of a secret begins, where the secret does, and where it ends.
Place: TypeAlias = tuple[int, int, int]

#: What in a URL's query looks like a token, whatever its name.
TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=%-]{20,}")

_URL_USER: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/\s?#@\"'<>]+)@")
_HEADER: Final = re.compile(
    r"^(?:(?:proxy-)?authorization|(?:set-)?cookie)[ \t]*:[ \t]*([^\r\n]+)", re.I | re.M
)
_SCHEMES: Final = r"\b(?:Basic|Bearer|Digest|Negotiate|Token)[ \t]+"
_CREDENTIALS: Final = re.compile(rf"{_SCHEMES}(?![\w-]+=[^=\s,;])([^\s,;\"']{{6,}})", re.I)
#: A scheme's parameters (RFC 9110, section 11.2), and those that hold nothing secret.
_PARAMETER: Final = r"[\w-]{1,40}=(?:\"[^\"\r\n]*\"?|[^=\s,;\"'][^\s,;\"']*)"
_PARAMETERS: Final = re.compile(
    rf"{_SCHEMES}({_PARAMETER}(?:\s{{0,4}},\s{{0,4}}{_PARAMETER})*)", re.I
)
_ONE_PARAMETER: Final = re.compile(r"([\w-]+)=(?:\"([^\"]*)\"?|[^\s,]+)")
_PUBLIC: Final = frozenset(
    {"algorithm", "charset", "error", "error_description", "qop", "realm", "scope", "stale"}
)
_JWT: Final = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)*")
_ISSUED: Final = re.compile(
    r"\b(?:gh[opsu]_|github_pat_|glpat-|xox[abeprs]-|A[KS]IA|sk[-_])[\w-]{12,}"
)
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(.+?)(?=-----END|\Z)", re.DOTALL)

#: NAME=, NAME: or "NAME": and what may stand behind it, whose end may be missing. Forms have
#: brackets and percent signs in names.
_NAME: Final = re.compile(
    r"(\\?[\"'])?(?P<name>[A-Za-z_%][\w.%\[\]-]{0,99})(?(1)\1)\]?\s{0,64}[:=]{1,3}>?\s{0,64}"
)
_VALUE: Final = re.compile(
    r"\\\"((?:[^\"\\]|\\[^\"])+)|\"((?:[^\"\\]|\\.)+)|'((?:[^'\\]|\\.)+)|([^\s&;,\"'\\]+)",
    re.DOTALL,
)
#: A block of YAML: lines that are indented.
_BLOCK: Final = re.compile(r"[|>][-+\d]{0,2}[ \t]*\r?\n((?:[ \t]+[^\n]*(?:\n|\Z)|\r?\n)+)")
_ELEMENT: Final = re.compile(r"<([A-Za-z_][\w.:-]{0,99})(?:\s[^<>]*)?>([^<]+)")
_FORM_DATA: Final = re.compile(
    r"form-data;[^\r\n]{0,200}?\bname=\"?([^\";\r\n]{1,100})[^\r\n]*(?:\r?\n[^\r\n]+){0,8}"
    r"\r?\n\r?\n(.+?)(?=\r?\n--|\Z)",
    re.DOTALL | re.I,
)
_NAMED: Final = re.compile(
    r"\"(?:name|key|field|header|param|parameter)\"\s{0,64}:\s{0,64}\"([^\"\\]{1,100})\"\s{0,64},"
    r"\s{0,64}\"values?\"\s{0,64}:\s{0,64}",
    re.I,
)

#: What is no secret, as it tells that there is none.
_NOTHING: Final = frozenset({"null", "true", "false", "None"})

#: A subprotocol that is there to carry a token: base64url.bearer.authorization.k8s.io.TOKEN.
_CARRIER: Final = re.compile(
    r"(?:bearer|jwt|(?:access[._-]?|auth[._-]?)?token|api[._-]?key|authorization|password|secret)"
    r"[.:|=_-](?:authorization\.k8s\.io\.)?(.+)",
    re.I,
)
_PART_OF_SUBPROTOCOL: Final = re.compile(r"(?=[\w~+/=-]*\d)[\w~+/=-]{20,}")


def secrets_in(text: str) -> list[Place]:
    """The places of *text*, whose end may be missing, in which secrets stand; they may overlap."""
    found: list[Place] = []
    lower = text.lower()
    for word, find in _FINDERS:
        # Most texts have little of this; to look for a word is cheap.
        if word in lower:
            found += find(text)
    return found


def subprotocol_secrets(value: str) -> list[tuple[int, int]]:
    """Those of a Sec-WebSocket-Protocol: browsers can send tokens in nothing else."""
    found: list[tuple[int, int]] = []
    follows = False
    for each in re.finditer(r"[^\s,]+", value):
        carried = _CARRIER.search(each[0])
        if follows:
            found.append(each.span())
        elif carried is not None:
            found.append((each.start() + carried.start(1), each.end()))
        for part in _PART_OF_SUBPROTOCOL.finditer(each[0]):
            found.append((each.start() + part.start(), each.start() + part.end()))
        follows = carried is None and not follows and is_secret(each[0])
    return found + [place[1:] for place in secrets_in(value)]


def _wholes(pattern: re.Pattern[str], text: str) -> Iterator[Place]:
    """Each match."""
    return ((found.start(), *found.span()) for found in pattern.finditer(text))


def _groups(pattern: re.Pattern[str], text: str) -> Iterator[Place]:
    """The group of each match; of credentials only what stands behind the scheme."""
    for found in pattern.finditer(text):
        begin, end = found.span(1)
        if pattern is _HEADER:
            scheme, blank, rest = found[1].partition(" ")
            if blank and scheme.isalpha() and rest.strip():
                begin += len(scheme) + 1
        yield found.start(), begin, end


def _named_groups(pattern: re.Pattern[str], text: str) -> Iterator[Place]:
    """The second group of each match whose first is the name of a secret."""
    for found in pattern.finditer(text):
        if is_secret(found[1]) and found[2].strip():
            yield found.start(), *found.span(2)


def _parameters(text: str) -> Iterator[Place]:
    for found in _PARAMETERS.finditer(text):
        for each in _ONE_PARAMETER.finditer(text, *found.span(1)):
            if each[1].lower() in _PUBLIC:
                continue
            # What isn't in quotes may be no parameter but part of a token.
            begin, end = each.span() if each[2] is None else each.span(2)
            if begin < end:
                yield found.start(), begin, end


def _pairs(text: str) -> Iterator[Place]:
    """The values of names of secrets."""
    if "=" not in text and ":" not in text:
        return
    at = 0
    for found in _NAME.finditer(text):
        # A name may stand in the value of another, be it a URL; but not in one that is masked.
        if found.start() < at or not is_secret(found["name"]):
            continue
        for place in _value(text, found.start(), found.end()):
            at = place[2]
            yield place


def _named_values(text: str) -> Iterator[Place]:
    """The values beside names: {"name": "password", "value": "x"}."""
    for found in _NAMED.finditer(text):
        if is_secret(found[1]):
            yield from _value(text, found.start(), found.end())


def _value(text: str, origin: int, at: int) -> Iterator[Place]:
    """What stands behind a name that begins at *origin*, from *at* on."""
    block = _BLOCK.match(text, at)
    if block is not None:
        yield origin, *block.span(1)
        return
    value = _VALUE.match(text, at)
    if value is None or value[0].rstrip("]})") in _NOTHING:
        return
    assert value.lastindex is not None
    begin, end = value.span(value.lastindex)
    if text[begin] in "{[":
        end = len(text)  # who knows where it ends
    yield origin, begin, end


#: What finds secrets, and what a text of those has, in small letters.
_FINDERS: Final[Sequence[tuple[str, Callable[[str], Iterator[Place]]]]] = (
    ("://", partial(_groups, _URL_USER)),
    ("-----begin", partial(_groups, _PEM)),
    ("eyj", partial(_wholes, _JWT)),
    ("", partial(_wholes, _ISSUED)),
    ("", partial(_groups, _CREDENTIALS)),
    ("<", partial(_named_groups, _ELEMENT)),
    ("=", _parameters),
    (":", partial(_groups, _HEADER)),
    ("", _pairs),
    ("form-data", partial(_named_groups, _FORM_DATA)),
    ('"value', _named_values),
)
