"""Who a provider is: the tokens that prove it, its certificate, and what it says of itself."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from wirecore import errors
from wirecore.websocket import Request

from .._arguments import kind_of, require_type
from .._bearer import secret_hash, shown_hash
from .._link import Link
from .._ssl_engine import StdlibEngine
from .._tls_link import TLSLink

#: Fields by which our providers tell our pools of themselves. The original knows none of them.
NAME: Final = "Wirecore-Provider"
LABELS: Final = "Wirecore-Labels"
CONCURRENCY: Final = "Wirecore-Concurrency"
DIRECTION: Final = "Wirecore-Direction"

#: What an end means to do on a connection that it dials.
Direction: TypeAlias = Literal["serves", "calls"]

#: A file's path.
File: TypeAlias = str | os.PathLike[str]

#: The Origin of the original's providers, which no browser sends: an origin has no path.
PROVIDERS_ORIGIN: Final = "http://localhost/"

_MOST_LABELS: Final = 64
_LONGEST_NAME: Final = 256


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a provider says of itself as it connects; nothing of it is proven.

    *name*: None where it says none. *concurrency*: calls that it takes at once, None: any number.
    *direction*: "" where it doesn't say, as the original's.
    """

    name: str | None = None
    labels: frozenset[str] = frozenset()
    concurrency: int | None = None
    direction: Direction | Literal[""] = ""


def check_name(what: str, name: str) -> None:
    """Raise TypeError or InvalidOption unless *name* can stand in a field of HTTP."""
    require_type(what, name, str)
    if not _is_name(name):
        raise errors.InvalidOption(
            f"{what} is 1 to {_LONGEST_NAME} printable ASCII characters, with no comma, and no "
            "space at either end"
        )


def _is_name(name: str) -> bool:
    fits = 0 < len(name) <= _LONGEST_NAME and name.isascii() and name.isprintable()
    return fits and name == name.strip() and "," not in name


def introduce(introduction: Introduction) -> list[tuple[str, str]]:
    """The fields that say *introduction*."""
    fields = []
    if introduction.name is not None:
        fields.append((NAME, introduction.name))
    if introduction.labels:
        fields.append((LABELS, ", ".join(sorted(introduction.labels))))
    if introduction.concurrency is not None:
        fields.append((CONCURRENCY, str(introduction.concurrency)))
    if introduction.direction:
        fields.append((DIRECTION, introduction.direction))
    return fields


def introduction_of(request: Request) -> Introduction | None:
    """What *request* says; None where it can't be understood."""
    name = _text(request, NAME)
    labels = frozenset(
        label for label in (part.strip() for part in _text(request, LABELS).split(",")) if label
    )
    concurrency = _text(request, CONCURRENCY)
    if concurrency and not (concurrency.isascii() and concurrency.isdigit()):
        return None
    bound = int(concurrency) if 0 < len(concurrency) < 10 else None
    if bound == 0 or len(labels) > _MOST_LABELS:
        return None
    if not all(_is_name(each) for each in (*labels, *([name] if name else []))):
        return None
    said = _text(request, DIRECTION)
    direction: Any = said if said in get_args(Direction) else ""
    return Introduction(name or None, labels, bound, direction)


def _text(request: Request, name: str) -> str:
    return (request.header(name) or b"").decode("latin-1").strip()


class Tokens:
    """The secrets that providers show, each for the name of one provider.

    Only their hashes are kept: the secrets are in no dump of this process, and a look-up takes
    as long for a guess that is nearly right.

    *names*: secrets to names. Raises TypeError for other types, InvalidOption for a secret that no
    header can show: it is printable ASCII without blanks, and not empty.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        require_type("names", names, Mapping, optional=True)
        self._names: dict[bytes, str] = {}
        for secret, name in (names or {}).items():
            self.add(secret, name)

    def __repr__(self) -> str:
        return f"<Tokens of {len(self._names)} secrets>"

    def __iter__(self) -> Iterator[str]:
        """The names that have a secret."""
        return iter(sorted(set(self._names.values())))

    def add(self, secret: str, name: str) -> None:
        """Who shows *secret* is *name* from now on. Raises as the class."""
        known = secret_hash(secret)
        check_name("a token's name", name)
        self._names[known] = name

    def replace(self, names: Mapping[str, str]) -> set[str]:
        """Have these, secrets to names, in place of all that were there; who has lost a secret.

        Nothing has changed where it raises, which is as the class.
        """
        before, self._names = self._names, Tokens(names)._names
        return {name for key, name in before.items() if key not in self._names}

    def remove(self, name: str) -> bool:
        """No secret stands for *name* any more; whether one did."""
        known = len(self._names)
        self._names = {key: value for key, value in self._names.items() if value != name}
        return len(self._names) != known

    def name_for(self, request: Request) -> str | None:
        """Whose secret *request* shows, as a Bearer token; None: nobody's."""
        shown = shown_hash(request)
        return None if shown is None else self._names.get(shown)


def certificate_name(link: Link) -> str | None:
    """Whom the client certificate behind *link* names; None where there is none.

    The subject's common name, else its first alternative name, else ``sha256:`` and its hash.
    """
    if not isinstance(link, TLSLink) or not isinstance(link.engine, StdlibEngine):
        return None
    found = link.engine.ssl_object
    certificate = found.getpeercert()
    if not certificate:
        return None  # nobody asked for one, or it wasn't verified
    subject: Any = certificate.get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    alternatives: Any = certificate.get("subjectAltName", ())
    names += [value for _, value in alternatives]
    if any(names):
        return str(next(filter(None, names)))
    der = found.getpeercert(binary_form=True)
    return None if der is None else f"sha256:{hashlib.sha256(der).hexdigest()}"


def server_context(
    certificate: File, key: File | None = None, *, client_cas: Sequence[File] = ()
) -> ssl.SSLContext:
    """TLS for a pool: *certificate* and *key* are PEM files (None: the key is in the same one).

    With *client_cas*, files of CA certificates, providers must show a certificate of one of
    these. Raises InvalidOption where a file can't be used, TypeError.
    """
    cas = files("client_cas", client_cas)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, certificate, key)
    if cas:
        context.verify_mode = ssl.CERT_REQUIRED
        load_cas(context, "client_cas", cas)
    return context


def files(name: str, value: Sequence[File]) -> tuple[str, ...]:
    """The paths in *value*, the argument *name*. Raises TypeError."""
    if isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a tuple of files: put the one into it: ({value!r},)")
    for each in value:
        if not isinstance(each, str | os.PathLike):
            raise TypeError(f"{name} must be paths of files: it holds {kind_of(each)}")
    return tuple(os.fspath(each) for each in value)


def load_certificate(context: ssl.SSLContext, certificate: File, key: File | None) -> None:
    """Have *context* show *certificate*. Raises InvalidOption."""
    try:
        # An encrypted key mustn't ask for its password at the terminal.
        context.load_cert_chain(certificate, key, b"")
    except (OSError, ssl.SSLError) as error:
        raise errors.InvalidOption(
            f"the certificate {os.fspath(certificate)!r} can't be used with the key "
            f"{os.fspath(key or certificate)!r}: {error.strerror or error}"
        ) from error


def load_cas(context: ssl.SSLContext, option: str, files: tuple[str, ...]) -> None:
    """Have *context* trust the CA certificates in *files*. Raises InvalidOption."""
    for file in files:
        try:
            context.load_verify_locations(file)
        except (OSError, ssl.SSLError) as error:
            raise errors.InvalidOption(
                f"{option}: no certificates could be read from {file!r}: {error.strerror or error}"
            ) from error
