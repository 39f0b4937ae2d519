"""Packages whose names load when they are first asked for: what is loaded when, and the names."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import wirecore.websocket
import wirecore_trio
import wirecore_trio.pool.backends
import wirecore_trio.websocket
import wirecore_trio.webwire.stores
from wirecore import _late

PACKAGES = (
    wirecore.websocket,
    wirecore_trio,
    wirecore_trio.pool.backends,
    wirecore_trio.websocket,
    wirecore_trio.webwire.stores,
)

CLIENT = {"wirecore.websocket.client", "wirecore_trio.websocket._client"}
SERVER = {"wirecore.websocket.server", "wirecore_trio.websocket._server"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after *code*."""
    program = f"import sys; {code}; print(*sys.modules)"
    command = [sys.executable, "-P", "-c", program]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    ("use", "loaded", "spared"),
    [
        ("pass", set(), CLIENT | SERVER | {"wirecore.websocket.extensions"}),
        ("websocket.connect", CLIENT, SERVER),
        ("websocket.serve", SERVER, CLIENT),
    ],
    ids=["import", "client", "server"],
)
def test_a_program_loads_the_side_that_it_is(use: str, loaded: set[str], spared: set[str]) -> None:
    found = loaded_by(f"from wirecore_trio import websocket; {use}")
    assert loaded <= found
    assert not spared & found
    assert not {"h11", "wsproto", "OpenSSL", "wirecore_trio.tls"} & found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_name_is_found(package: ModuleType) -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    unknown = "nonsense"
    with pytest.raises(AttributeError, match=f"{package.__name__!r} has no attribute 'nonsense'"):
        getattr(package, unknown)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_see_the_same_names(package: ModuleType) -> None:
    assert package.__file__
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    for_checkers = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [n for n in (*tree.body, *for_checkers.body) if isinstance(n, ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names}
    assert names - {"TYPE_CHECKING", "annotations", "late_names"} == set(package.__all__)


def test_a_module_of_the_package_is_found_like_a_name_in_it() -> None:
    find, _ = _late.late_names("wirecore.session", {"backoff": ("Backoff",)})
    assert find("Backoff") is wirecore.session.Backoff
    assert find("backoff") is sys.modules["wirecore.session.backoff"]
