"""Names of files become names of modules as protoc has it; those of methods stay what they are."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from wirecore_codegen.names import (
    Names,
    is_plain,
    is_plain_module,
    is_servable,
    method_names,
    module_of,
    path_of,
)
from wirecore_codegen.plugin import answer

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


@pytest.mark.parametrize(
    "name",
    ["a b;evil().proto", "grüße.proto", "x if 0 else evil(), *b.proto", "1.proto", "%.proto"],
)
def test_odd_names_of_files_make_code_that_compiles(
    protoc: Protoc, tmp_path: Path, name: str
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    (source / name).write_text('syntax = "proto3"; message M {}', encoding="utf-8")
    text = f'syntax = "proto3"; import "{name}"; service S {{ rpc Get(M) returns (M); }}'
    (source / "user.proto").write_text(text, encoding="utf-8")
    done = protoc.generate(source, out, "user.proto")
    assert done.returncode == 0, done.stderr
    names = {node.id for node in ast.walk(tree_of(out / "user_wsrpc.py")) if is_name(node)}
    assert "evil" not in names


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_name(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def request_for(file: str, **members: Any) -> CodeGeneratorRequest:
    """What protoc would send of one file, had it let it pass."""
    method = {"name": "Get", "input_type": ".M", "output_type": ".M"}
    service = {"name": "S", "method": [method | members]}
    proto: Any = {"name": file, "message_type": [{"name": "M"}], "service": [service]}
    return CodeGeneratorRequest(file_to_generate=[file], proto_file=[FileDescriptorProto(**proto)])


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (request_for('x\nimport os\n#".proto'), "a file's name has no quotes"),
        (request_for("a\\b.proto"), "a file's name has no quotes"),
        (request_for("f.proto", name="Get(): pass #"), "can't be a name in a .proto file"),
        (request_for("f.proto", input_type=".Nothing"), "'.Nothing' isn't there"),
    ],
)
def test_what_would_make_other_code_is_refused(request_: CodeGeneratorRequest, says: str) -> None:
    made = CodeGeneratorResponse.FromString(
        answer(request_.SerializeToString(), warn=lambda text: None)
    )
    assert says in made.error
    assert not made.file
