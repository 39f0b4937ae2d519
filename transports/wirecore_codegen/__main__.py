"""The command ``protoc-gen-wsrpc_python``, which protoc runs: a request in, a response out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

import wirecore

PROGRAM: Final = "protoc-gen-wsrpc_python"

_ABOUT: Final = f"""\
A plugin of protoc: it reads a request on standard input and writes the generated files to
standard output, so it is protoc that runs it. With the plugin on PATH:

  python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --wsrpc_python_out=. shout.proto

writes shout_wsrpc.py beside shout_pb2.py. With --wsrpc_python_opt=grpc also shout_wsrpc_grpc.py,
to serve and call the same over gRPC. Where it isn't on PATH, --plugin={PROGRAM}=FILE names it."""

_NEEDS: Final = (
    f"{PROGRAM} needs protobuf, which isn't installed here: pip install 'wirecore[codegen]'"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer protoc's request and return the exit code; *arguments* as in ``sys.argv[1:]``.

    What is wrong with a .proto file or a parameter goes to protoc within the response, which
    reports it and fails; 1 is for what is no request, 2 for a misuse of the command.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {wirecore.__version__}")
    parser.parse_args(arguments)
    if sys.stdin is None or sys.stdin.isatty():
        parser.error("nothing to do: protoc runs this, see --help")
    try:
        from google.protobuf.message import DecodeError

        from .plugin import answer
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("google"):
            raise
        return _fail(_NEEDS)
    try:
        response = answer(sys.stdin.buffer.read(), warn=_warn)
    except DecodeError as error:
        return _fail(f"{PROGRAM}: standard input is no request of protoc's: {error}")
    sys.stdout.buffer.write(response)
    sys.stdout.buffer.flush()
    return 0


def _warn(text: str) -> None:
    # protoc passes on what its plugins say here, and takes it for no failure.
    sys.stderr.write(f"{text}\n")


def _fail(text: str) -> int:
    _warn(text)
    return 1


if __name__ == "__main__":
    sys.exit(main())
