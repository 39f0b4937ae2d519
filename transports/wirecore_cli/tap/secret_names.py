"""Names of secrets: access_token, apiKey, X-Client-Secret, x-authtoken.

A name is taken apart where it has other characters than letters, and where capitals begin a word.
In names of one case nothing tells where words begin, so some words are found at their ends, too.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

#: Words that make what they name a secret.
_WORDS: Final = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "csrf",
        "jwt",
        "key",
        "keys",
        "otp",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "phpsessid",
        "pwd",
        "secret",
        "secrets",
        "sig",
        "signature",
        "token",
        "tokens",
        "xsrf",
    }
)
#: Within a word: those that are part of no other, those that none ends or begins with, and "key",
#: "auth" and "pass" only behind or before what makes them one: not monkey, turnkey, keyboard,
#: author, compass.
_GLUED: Final = re.compile(
    r"""
    password | passwd | passphrase | credential
    | (?: tokens? | secrets? | cookies? | signature | authorization | bearer | jwt | pwd ) $
    | ^ token (?! i[sz] | ring ) | ^ secret (?! ar[iy] | e[ds]? $ | ion | ive | ly | or )
    | (?: access | account | api | app | auth | client | encryption | host | license | master
        | private | secret | server | service | session | shared | signing | ssh | storage | user
      ) keys? $
    | ^ o? auth (?: code | cookie | data | hash | header | key | string )
    | (?: basic | http | proxy | user | x ) auth $
    | (?: admin | db | proxy | root | smtp | user ) pass $
    """,
    re.VERBOSE,
)
#: Ends of names: nothing of pass_count is a secret.
_LAST: Final = re.compile(r"(?:^|[-_.\[])(?:pass|j?session[-_]?id)\]?$", re.I)
#: Names that have such a word and hold no secret: what goes over the wire in an opening handshake.
_OPEN: Final = frozenset({"sec-websocket-key"})

_PART: Final = re.compile(r"[A-Za-z]+")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def is_secret(name: str) -> bool:
    """Whether what has this name is a secret. A name may be percent-encoded, as in a form."""
    if "%" in name:
        name = unquote(name)
    if name.lower() in _OPEN:
        return False
    return _LAST.search(name) is not None or any(
        _GLUED.search(part.lower()) or any(word.lower() in _WORDS for word in _WORD.findall(part))
        for part in _PART.findall(name)
    )
