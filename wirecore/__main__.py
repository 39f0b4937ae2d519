"""``python -m wirecore``: which copy this is, where from, which backend is in use and why."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import wirecore

#: Distributions that the package stands on, as the package index spells them.
REQUIREMENTS: Final = ("wsproto", "h11", "trio", "cryptography", "pyOpenSSL")

MISSING: Final = "not installed"


def version_of(distribution: str) -> str:
    """The version of an installed *distribution*, or that it isn't installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return MISSING


def openssl_version() -> str:
    """The OpenSSL that TLS connections run on: the one that pyOpenSSL is bound to."""
    try:
        from OpenSSL import SSL
    except ImportError as error:
        return f"{MISSING} ({error})"
    return SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode("ascii")


def installed_copies() -> dict[Path, str]:
    """The folders in which wirecore is installed, with the versions; editable: in its tree."""
    found = {}
    for distribution in metadata.distributions(name="wirecore"):
        root = Path(str(distribution.locate_file("")))
        # PEP 610: what the installer knows of where it had the package from.
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            root = Path(url2pathname(urlsplit(origin["url"]).path))
        found[(root / "wirecore").resolve()] = distribution.version
    return found


def facts() -> Iterator[tuple[str, str]]:
    """What is worth knowing of this installation, as pairs of a label and a value."""
    here = Path(wirecore.__file__).resolve().parent
    yield "wirecore", wirecore.__version__
    yield "from", str(here)
    for folder, version in installed_copies().items():
        if folder != here:
            # `python -m` looks into the current folder first, and so finds a source tree there.
            yield "also", f"{version} is installed in {folder}: python -P -m wirecore tells of it"
    yield "backend", wirecore.BACKEND
    yield "why", wirecore.BACKEND_REASON
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "platform", platform.platform()
    for name in REQUIREMENTS:
        yield name, version_of(name)
    yield "OpenSSL", openssl_version()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the facts and returns the exit code; *arguments* as in ``sys.argv[1:]``."""
    argparse.ArgumentParser(
        prog="python -m wirecore",
        description="Tells the versions of wirecore and of what it stands on, the folder that this "
        "copy lies in, and which of its two backends is in use (c: compiled, py: pure Python) "
        "and why. Environment: WIRECORE_BACKEND=c or =py chooses the backend.",
    ).parse_args(arguments)
    sys.stdout.writelines(f"{label:13}{value}\n" for label, value in facts())
    return 0


def main_for_pipes() -> int:
    """:func:`main`, for whose output the reader may have had enough, as ``head`` has."""
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main_for_pipes())
