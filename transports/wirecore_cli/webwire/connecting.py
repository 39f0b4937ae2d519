"""Connecting to a server: what the command line says of it, and what can happen, in words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import click

from wirecore import errors
from wirecore_trio import webwire
from wirecore_trio._dial import parse_url

from ..failures import Failure, Status, text_of
from ..given import read_given
from .options import ConnectingOptions

#: Forbidden: what a server says to an Origin that isn't its own.
_FORBIDDEN = 403


class Server:
    """The server at *url*, and how to connect to it.

    Raises UsageError, Failure and InvalidOption for what is wrong with the command line.
    """

    def __init__(self, url: str, options: ConnectingOptions) -> None:
        target = parse_url(url)
        #: For what is said of it: without the parts of a URL that may be secret.
        self.name = target.name
        self.patience = options["timeout"]
        #: The key of the session to restore.
        self.session_key = _read_key(options["session"])
        self._url = url
        self._options = webwire.ClientOptions(
            request_timeout=self.patience,
            dial_timeout=self.patience,
            retry=webwire.RetryPolicy(backoff=webwire.Backoff.webwire, attempts=1),
            buffer_size=options["buffer_size"],
            subprotocol=options["subprotocol"],
        )
        self._headers = [_header(each) for each in options["headers"]]
        self._origin = options["origin"]
        self._context = _trust(options, secure=target.secure)

    def connect(self, *, reconnect: bool = False) -> webwire.Connecting:
        """Connect to it, by one attempt; *reconnect*: again whenever that connection is lost."""
        return webwire.connect(
            self._url,
            self._options,
            autoconnect=reconnect,
            headers=self._headers,
            origin=self._origin,
            ssl_context=self._context,
        )

    async def restore_session(self, client: webwire.Client) -> None:
        """Have *client* take up the session of the command line, if there is one."""
        if self.session_key is not None:
            with self.failures("--session"):
                await client.restore_session(self.session_key)

    @contextmanager
    def failures(self, what: str) -> Iterator[None]:
        """Turn what connecting and asking raise into a Failure; *what* was asked for."""
        try:
            yield
        except BrokenPipeError:
            raise  # our own output: whoever reads it has had enough
        except webwire.RequestError as error:
            raise Failure(f"{what} was answered with an error: {error}") from error
        except (
            webwire.InternalError,
            webwire.ServerShutdown,
            webwire.SessionNotFound,
            webwire.MaxSessionConnectionsReached,
            webwire.SessionsDisabled,
        ) as error:
            raise Failure(f"{what}: {error}") from error
        except errors.CallTimeout as error:
            raise Failure(
                f"{self.name} gave no reply to {what} within {self.patience:g} s", Status.TIMEOUT
            ) from error
        except (errors.ConnectionLost, errors.RemoteError, OSError) as error:
            raise Failure(f"{text_of(error)}{_hint(error)}", Status.NO_CONNECTION) from error


def _hint(error: Exception) -> str:
    """Which option would have helped."""
    match error:
        case webwire.BufferSizeMismatch():
            return f" (give --buffer-size {error.theirs})"
        case webwire.SubprotocolMismatch() if error.theirs:
            return f" (give --subprotocol {error.theirs!r})"
        case webwire.SubprotocolMismatch():
            return " (leave --subprotocol out)"
        case webwire.UpgradeRejected() if error.status == _FORBIDDEN:
            return " (it may want another --origin, or a --header)"
        case errors.PeerRefused():
            return " (--cafile names whose certificates are trusted)"
        case _:
            return ""


def _read_key(given: str | None) -> str | None:
    """The key that --session stands for. No error holds any part of it."""
    data = read_given(given, what="--session")
    if data is None:
        return None
    try:
        key = data.decode().strip()
    except UnicodeDecodeError:
        raise Failure("--session: a key is text, and this isn't UTF-8", Status.USAGE) from None
    if not key:
        raise Failure("--session: there is no key in it", Status.USAGE)
    return key


def _header(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not (colon and name.strip()):
        raise Failure("--header takes 'NAME: VALUE'", Status.USAGE)
    return name.strip(), value.strip()


def _trust(options: ConnectingOptions, *, secure: bool) -> ssl.SSLContext | None:
    """Which certificates are taken; None: the system's trust, or no TLS."""
    cafile, insecure = options["cafile"], options["insecure"]
    if cafile is None and not insecure:
        return None
    if not secure:
        raise click.UsageError("--cafile and --insecure are for wss:// URLs")
    if cafile is not None and insecure:
        raise click.UsageError("--insecure takes any certificate: leave out --cafile, or that")
    try:
        context = ssl.create_default_context(cafile=cafile)
    except ssl.SSLError:
        raise Failure(f"--cafile: {cafile} holds no certificates in PEM", Status.USAGE) from None
    except OSError as error:
        raise Failure(f"--cafile: {cafile} can't be read: {error.strerror}", Status.USAGE) from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
