"""Secrets in what is shown: known by the names they have, or by how they look.

What stands in a secret's place tells roughly how long it was, and nothing else of it.
"""

from __future__ import annotations

import re
from typing import Any, Final

#: How long a secret was, in characters: up to which of these.
_CLASSES: Final = (8, 16, 32, 64, 256)

#: Words of a name that make what it names a secret: access_token, apiKey, X-Client-Secret.
_WORDS: Final = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "jwt",
        "key",
        "keys",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pwd",
        "secret",
        "secrets",
        "sig",
        "signature",
        "token",
        "tokens",
    }
)
#: Names that have such a word and hold no secret: what goes over the wire in an opening handshake.
_OPEN: Final = frozenset({"sec-websocket-key"})

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_URL_USER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/\s?#@\"'<>]+)@")
_SCHEME: Final = re.compile(
    r"\b(Basic|Bearer|Digest|Negotiate|Token)([ \t]+)([^\s,;\"']{6,})", re.I
)
_JWT: Final = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)*")
_HEADER: Final = re.compile(
    r"^((?:proxy-)?authorization|(?:set-)?cookie)([ \t]*:[ \t]*)([^\r\n]+)", re.I | re.M
)
#: NAME=, NAME: or "NAME": and what may stand behind it, whose end may be missing.
_NAME: Final = re.compile(r"(\\?[\"'])?(?P<name>[A-Za-z_][\w.-]{0,99})(?(1)\1)\s{0,4}[:=]\s{0,4}")
_VALUE: Final = re.compile(
    r"\\\"((?:[^\"\\]|\\[^\"])+)|\"((?:[^\"\\]|\\.)+)|'((?:[^'\\]|\\.)+)|([^\s&;,\"'\\]+)",
    re.DOTALL,
)
#: What in a URL's query looks like a token, whatever its name.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=%-]{20,}")

#: What is no secret, as it tells that there is none.
_NOTHING: Final = frozenset({"null", "true", "false", "None"})

#: How deep values are looked through.
_MAX_DEPTH: Final = 60


def masked(secret: Any) -> str:
    """What stands in the place of *secret*."""
    size = len(secret) if isinstance(secret, str | bytes) else len(str(secret))
    least = 1
    for most in _CLASSES:
        if size <= most:
            return f"[masked, {least}-{most}]"
        least = most + 1
    return f"[masked, {least} or more]"


def is_secret(name: str) -> bool:
    """Whether what has this name is a secret."""
    if name.lower() in _OPEN:
        return False
    return any(word.lower() in _WORDS for word in _WORD.findall(name)) or name.lower() in _WORDS


class Masker:
    """Masks secrets, unless *show_secrets*."""

    def __init__(self, *, show_secrets: bool = False) -> None:
        self.show_secrets = show_secrets

    def secret(self, value: str) -> str:
        """*value*, which is a secret."""
        return value if self.show_secrets or not value else masked(value)

    def text(self, text: str) -> str:
        """*text* of any kind, whose end may be missing."""
        if self.show_secrets:
            return text
        if "://" in text:
            text = _URL_USER.sub(lambda found: f"{found[1]}{masked(found[2])}@", text)
        text = _HEADER.sub(lambda found: f"{found[1]}{found[2]}{_credentials(found[3])}", text)
        text = _SCHEME.sub(lambda found: f"{found[1]}{found[2]}{masked(found[3])}", text)
        text = _JWT.sub(lambda found: masked(found[0]), text)
        if "=" in text or ":" in text:
            text = _mask_pairs(text)
        return text

    def target(self, target: str) -> str:
        """A request's target, whose query may hold tokens."""
        path, mark, query = target.partition("?")
        if not mark or self.show_secrets:
            return self.text(target)
        return self.text(path) + mark + "&".join(map(_mask_parameter, query.split("&")))

    def field(self, name: str, value: str) -> str:
        """The value of a header field."""
        if self.show_secrets or not value:
            return value
        if name.lower() in ("authorization", "proxy-authorization"):
            return _credentials(value)
        if is_secret(name):
            return masked(value)
        if name.lower() in ("location", "referer", "content-location"):
            return self.target(value)
        return self.text(value)

    def value(self, value: Any, depth: int = _MAX_DEPTH) -> Any:
        """A value as JSON has it: members by their names, texts by how they look."""
        if self.show_secrets:
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth == 0 and isinstance(value, dict | list):
            return "..."
        if isinstance(value, dict):
            return {
                name: _mask_member(each) if is_secret(name) else self.value(each, depth - 1)
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [self.value(each, depth - 1) for each in value]
        return value


def _credentials(value: str) -> str:
    """What an Authorization says, less its secret: of two words the first is the scheme."""
    scheme, blank, rest = value.partition(" ")
    if blank and scheme.isalpha() and rest.strip():
        return f"{scheme} {masked(rest.strip())}"
    return masked(value)


def _mask_member(value: Any) -> Any:
    # What is nothing, or true or false, is no secret: "password": null tells that there is none.
    if value is None or isinstance(value, bool) or value in ("", [], {}):
        return value
    if isinstance(value, list | dict):
        return "[masked]"
    return masked(value)


def _mask_pairs(text: str) -> str:
    """*text* less the values of names of secrets."""
    parts: list[str] = []
    at = 0
    for found in _NAME.finditer(text):
        # A name may stand in the value of another, be it a URL; but not in one that is masked.
        if found.start() < at or not is_secret(found["name"]):
            continue
        value = _VALUE.match(text, found.end())
        if (
            value is None
            or value[0].rstrip("]})") in _NOTHING
            or text.startswith("[masked", found.end())
        ):
            continue
        assert value.lastindex is not None
        begin, end = value.span(value.lastindex)
        if text[begin] in "{[":
            end = len(text)  # who knows where it ends
        parts += text[at:begin], masked(text[begin:end])
        at = end
    return "".join((*parts, text[at:]))


def _mask_parameter(pair: str) -> str:
    name, mark, value = pair.partition("=")
    if value and (is_secret(name) or _TOKEN.fullmatch(value)):
        return f"{name}{mark}{masked(value)}"
    if not mark and _TOKEN.fullmatch(name):
        return masked(name)
    return pair
