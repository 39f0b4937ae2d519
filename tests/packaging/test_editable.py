"""``pip install -e .``: compiled modules in place, and gone again after a pure build."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import Workshop

pytestmark = pytest.mark.slow


def test_an_editable_installation_follows_the_last_build(workshop: Workshop) -> None:
    folder = workshop.folder("tree")
    with tarfile.open(workshop.sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    environment = workshop.environment()

    environment.pip("install", "--quiet", "-e", tree, WIRECORE_BUILD="require")
    assert list((tree / "wirecore").glob("_mask.*.*")), "the modules are in place"
    assert "backend      c\n" in environment.run("-m", "wirecore")
    assert str(tree) in environment.run("-c", "import wirecore_trio; print(wirecore_trio.__file__)")
    assert not list(tree.rglob("*.c")), "what was made on the way stays out of the tree"

    environment.pip("install", "--quiet", "-e", tree, WIRECORE_BUILD="pure")
    told = environment.run("-m", "wirecore")
    assert "backend      py\n" in told
    assert "WIRECORE_BUILD=pure" in told
