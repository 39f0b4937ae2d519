"""Making one call, through a pool or of a pool, and printing its result."""

from __future__ import annotations

import click
import trio

from wirecore import errors

from ..failures import Failure, Status, text_of, told
from ..given import read_given
from ..terminal import tell_json
from .call import CallOptions
from .control import Outcome, Wanted
from .reaching import ControlSocket, Dialled, connect_callbacks, hint
from .values import argument_of, json_of, read_json, text_as_json

#: Seconds that the pool's own answer, that there is none in time, gets to come here.
_OVER = 2.0


def check_direction(options: CallOptions) -> None:
    """Raise UsageError for options of the other way to call."""
    if options["callback"] is None:
        if any((options["token_file"], options["cafiles"], options["certificate"])):
            raise click.UsageError("--token-file, --cafile and --cert are for --callback")
    elif any((options["control"], options["provider"], options["labels"], options["route"])):
        raise click.UsageError(
            "--control, --provider, --label and --route are for calls of providers, --callback "
            "is for those of a pool"
        )


def read_argument(given: str | None, *, as_text: bool) -> str:
    """What the command line gives, as JSON; "" is no argument. Raises Failure, InvalidOption."""
    data = read_given(given, what="ARGUMENT")
    if data is None:
        return ""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Failure("ARGUMENT isn't text in UTF-8", Status.USAGE) from None
    if as_text:
        return text_as_json(text)
    read_json(text)
    return text


async def call_through(method: str, argument: str, options: CallOptions) -> None:
    """Call a provider through a pool of this machine, and print the result. Raises Failure."""
    patience = options["timeout"]
    pool = ControlSocket(options["control"], patience)
    wanted = Wanted(
        method,
        argument,
        options["maps"],
        patience,
        options["provider"],
        [*options["labels"]],
        options["route"],
        options["idempotent"],
    )
    with pool.failures(called=True):
        async with pool.connect() as client:
            outcome = await client.call("Control.Call", wanted, Outcome, timeout=patience + _OVER)
    if outcome.status:
        raise Failure(outcome.text, Status(outcome.status))
    with told():
        tell_json(outcome.result)


async def call_back(url: str, method: str, argument: str, options: CallOptions) -> None:
    """Call what the pool at *url* serves to providers, and print the result. Raises Failure."""
    codec, patience = options["codec"], options["timeout"]
    dialled = Dialled((url,), options)
    value = argument_of(argument, codec, maps=options["maps"])
    try:
        with trio.fail_after(patience):
            async with connect_callbacks(url, dialled, codec, patience) as client:
                result = await client.call(method, value, timeout=None)
    except errors.RpcError as error:
        raise Failure(f"{method} answered with an error: {error}") from error
    except (trio.TooSlowError, errors.CallTimeout) as error:
        raise Failure(
            f"{dialled.names[0]} gave no answer to {method} within {patience:g} s", Status.TIMEOUT
        ) from error
    except (errors.ConnectionLost, errors.RemoteError, OSError) as error:
        raise Failure(f"{text_of(error)}{hint(error)}", Status.NO_CONNECTION) from error
    with told():
        tell_json(json_of(result))
