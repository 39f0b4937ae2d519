"""What the source distribution holds."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from wirecore import _backend

if TYPE_CHECKING:
    from tests.packaging.conftest import Workshop

pytestmark = pytest.mark.slow

MADE_BY_BUILDS = (".c", ".so", ".pyd", ".pyc", "_build_result.json")


def test_it_holds_sources_and_tests_and_nothing_that_a_build_made(workshop: Workshop) -> None:
    with tarfile.open(workshop.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    packages = (
        "wirecore",
        "wirecore_py",
        "transports/wirecore_asgi",
        "transports/wirecore_browser",
        "transports/wirecore_cli",
        "transports/wirecore_codegen",
        "transports/wirecore_grpc",
        "transports/wirecore_trio",
    )
    for name in _backend.MODULES:
        # Without a source of its own it is its twin that is compiled, with types.
        types = {f"wirecore_py/{name}.py", f"wirecore/_{name}.pxd"}
        assert f"wirecore/_{name}.pyx" in names or types <= names
    assert {f"{package}/py.typed" for package in packages} <= names
    assert {"tests/codegen/protos/codegen_cases/rich.proto", "docs/codegen.md"} <= names
    assert {"wirecore/_mask.pxd", "tests/conftest.py", "tests/test_imports.py"} <= names
    assert {"examples/ping/demo.py", "examples/ping/keys.py"} <= names, "wheels have them from here"
    assert {f"transports/wirecore_browser/webwire.{kind}" for kind in ("js", "d.ts")} <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "ci/test", "setup.py"} <= names
    assert not {name for name in names if name.endswith(MADE_BY_BUILDS)}
