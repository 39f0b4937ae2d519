"""Generated files, letter by letter: a change of what is generated is seen in its review.

``WIRECORE_WRITE_GOLDEN=1 pytest tests/codegen/test_golden.py`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.codegen.conftest import Generated, Protoc

HERE = Path(__file__).parent
CASES = "codegen_cases"

#: The services' files, and the folder and module that protoc itself makes of names.
MADE = [
    f"{CASES}/{name}{suffix}.py"
    for name in ("edition", "keywords", "names", "old", "rich", "shared", "sub_dir/import/kept")
    for suffix in ("_wsrpc", "_wsrpc_grpc")
]


def golden(name: str) -> Path:
    # Not called .py: they aren't part of the tests' code, and import what isn't there.
    return HERE / "golden" / f"{name.removeprefix(f'{CASES}/').replace('/', '.')}.txt"


@pytest.mark.parametrize("name", MADE)
def test_generated_files_are_as_they_were(generated: Generated, name: str) -> None:
    text = generated.text(name)
    if os.environ.get("WIRECORE_WRITE_GOLDEN"):
        golden(name).write_text(text, encoding="utf-8", newline="\n")
    assert text == golden(name).read_text(encoding="utf-8")


def test_each_file_with_services_gives_one_beside_its_messages(generated: Generated) -> None:
    found = {path.relative_to(generated.folder).as_posix() for path in generated.folder.rglob("*")}
    made = {name for name in found if name.endswith(("_wsrpc.py", "_wsrpc_grpc.py"))}
    assert made == set(MADE)
    for name in made:
        assert name.replace("_wsrpc_grpc.py", "_pb2.py").replace("_wsrpc.py", "_pb2.py") in found


def test_the_same_request_gives_the_same_files(
    generated: Generated, protoc: Protoc, tmp_path: Path
) -> None:
    """Also when the files come in another order, and one at a time."""
    source = HERE / "protos"
    for name in ("names", "rich"):
        done = protoc.generate(source, tmp_path, f"{CASES}/{name}.proto", opt="grpc")
        assert done.returncode == 0, done.stderr
        for suffix in ("_wsrpc", "_wsrpc_grpc"):
            again = (tmp_path / CASES / f"{name}{suffix}.py").read_text(encoding="utf-8")
            assert again == generated.text(f"{CASES}/{name}{suffix}.py")


def test_the_parameter_adds_a_file_and_leaves_the_other_as_it_is(
    generated: Generated, protoc: Protoc, tmp_path: Path
) -> None:
    done = protoc.generate(HERE / "protos", tmp_path, f"{CASES}/rich.proto")
    assert done.returncode == 0, done.stderr
    plain = (tmp_path / CASES / "rich_wsrpc.py").read_text(encoding="utf-8")
    assert plain == generated.text(f"{CASES}/rich_wsrpc.py")
    assert not (tmp_path / CASES / "rich_wsrpc_grpc.py").exists()
