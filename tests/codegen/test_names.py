"""Names of files become names of modules as protoc has it; those of methods stay what they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wirecore_codegen.names import (
    Names,
    is_plain,
    is_plain_module,
    is_servable,
    method_names,
    module_of,
    path_of,
)

if TYPE_CHECKING:
    from tests.codegen.conftest import Protoc


@pytest.mark.parametrize(
    "name",
    [
        "plain.proto",
        "with-dash.proto",
        "folder/file.proto",
        "a-folder/with-dash/a-file.proto",
        "dots.in.name.proto",
        "class/import.proto",
        "older.protodevel",
    ],
)
def test_modules_lie_where_protoc_puts_its_own(protoc: Protoc, tmp_path: Path, name: str) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / name).parent.mkdir(parents=True)
    out.mkdir()
    text = 'syntax = "proto3"; message M {} service S { rpc Get(M) returns (M); }'
    (source / name).write_text(text, encoding="utf-8")
    done = protoc.generate(source, out, name)
    assert done.returncode == 0, done.stderr
    assert (out / path_of(module_of(name, "_pb2"))).is_file()
    assert (out / path_of(module_of(name, "_wsrpc"))).is_file()


def test_names_that_code_cant_spell_are_spelled_otherwise() -> None:
    assert method_names(["Get", "import", "import_", "__private", "__", "match", "_one"]) == {
        "Get": "Get",
        "import": "import__",
        "import_": "import_",
        "__private": "private_",
        "__": "method_",
        "match": "match",
        "_one": "_one",
    }


@pytest.mark.parametrize(
    ("name", "plain", "servable"),
    [
        ("Get", True, True),
        ("None", False, True),
        ("type", True, True),
        ("__private", False, True),
        ("__class__", False, False),
        ("wsrpc_methods", True, False),
        ("_abc_impl", True, False),
    ],
)
def test_which_names_can_be_written_and_served(name: str, plain: bool, servable: bool) -> None:
    assert is_plain(name) is plain
    assert is_servable(name) is servable


def test_modules_are_plain_where_an_import_statement_takes_them() -> None:
    assert is_plain_module("a.b_pb2")
    assert not is_plain_module("a.class.b_pb2")
    assert not is_plain_module("1st_pb2")


def test_each_name_is_given_once() -> None:
    names = Names({"taken"})
    assert [names.take("free"), names.take("free")] == ["free", "free_"]
    assert [names.take("taken", "second"), names.take("taken", "second")] == ["second", "second_"]
