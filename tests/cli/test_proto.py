"""JSON by a .proto file: reading it, finding methods, and calls with messages of all kinds."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wirecore_cli.failures import Failure
from wirecore_cli.proto import Schema, load_schema

if TYPE_CHECKING:
    from tests.cli.conftest import Serving, Wirecore

pytestmark = pytest.mark.usefixtures("protoc")

PROTOS = Path(__file__).with_name("protos")

#: Serves the messages that protoc's generated classes are.
SERVICE = """
from library_pb2 import Loan, Empty
from wirecore_trio import wsrpc

class Lending:
    wsrpc_methods = {
        "Return": wsrpc.MethodTypes(Loan, Loan), "Count": wsrpc.MethodTypes(Loan, Empty)
    }

    async def Return(self, request, peer):
        request.state = Loan.RETURNED
        return request

    async def Count(self, request, peer):
        raise wsrpc.RpcError(f"{len(request.items)} items")
"""

#: A message with nested and imported messages, a map, an enum, well-known types and a oneof.
LOAN: dict[str, Any] = {
    "reader": {"fullName": "Ada", "address": {"city": "London"}},
    "items": [{"title": "Sketch", "pages": "9007199254740993"}],
    "shelves": {"A": 3},
    "due": "2026-01-02T03:04:05Z",
    "stamp": "AAH/",
}


@pytest.fixture(scope="module")
def served(shared: Wirecore, protoc: Callable[..., None]) -> Serving:
    """A server of what protoc generated for Python."""
    shutil.copytree(PROTOS, shared.folder, dirs_exist_ok=True)
    protoc(shared.folder, "--python_out=.", "library.proto", "people/person.proto")
    (shared.folder / "lending.py").write_text(SERVICE)
    assert shared("keygen").status == 0
    return shared.serve("lending:Lending")


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(PROTOS / "library.proto", [])


@pytest.mark.parametrize(
    "name",
    [
        "Return",
        "Lending/Return",
        "Lending.Return",
        "library.v1.Lending/Return",
        "library.v1.Lending.Return",
    ],
)
def test_names_of_a_method(schema: Schema, name: str) -> None:
    assert schema.method(name).full_name == "library.v1.Lending/Return"
    assert schema.method(name).name == "Return"


def test_an_ambiguous_name_needs_its_service(schema: Schema) -> None:
    with pytest.raises(Failure, match=r"of several services: library\.v1\.Lending/Count, lib"):
        schema.method("Count")
    assert schema.method("Buying.Count").service == "library.v1.Buying"


def test_an_unknown_name_is_told_with_those_near(schema: Schema) -> None:
    with pytest.raises(Failure, match=r"did you mean library\.v1\.Lending/Return$"):
        schema.method("retrun")
    with pytest.raises(Failure, match=r"it has library\.v1\.Lending/Return, library\.v1\.Lend"):
        schema.method("Xyz")


def test_imports_are_found_in_the_folders_that_are_named(tmp_path: Path) -> None:
    shutil.copytree(PROTOS / "people", tmp_path / "other" / "people")
    shutil.copy(PROTOS / "library.proto", tmp_path)
    with pytest.raises(Failure, match=r"^--proto: people/person\.proto: File not found\.$"):
        load_schema(tmp_path / "library.proto", [])
    found = load_schema(tmp_path / "library.proto", [tmp_path, tmp_path / "other"])
    assert len(found.methods) == 3


def test_a_file_with_faults_is_told_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.proto"
    path.write_text('syntax = "proto3";\nmessage M { strin x = 1; }\n')
    with pytest.raises(Failure, match=r'^--proto: .*wrong\.proto:2:13: "strin" is not defined'):
        load_schema(path, [])


def test_a_file_without_services() -> None:
    with pytest.raises(Failure, match=r"person\.proto has no service, and so no 'Get'$"):
        load_schema(PROTOS / "people" / "person.proto", []).method("Get")


def test_a_file_that_isnt_there() -> None:
    with pytest.raises(Failure, match=r"^--proto: there is no file nowhere\.proto$"):
        load_schema(Path("nowhere.proto"), [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"state": 1,}', "--data is no JSON: line 1, column 13: "),
        ('{\n "state" 1}', "--data is no JSON: line 2, column 10: "),
        ("", "--data is no JSON: line 1, column 1: "),
        ('{"states": 1}', 'has no field named "states"'),
        ('{"items": [{"pages": "many"}]}', "--data is no library.v1.Loan: "),
        ("[]", "--data is no library.v1.Loan, which is an object: {...}"),
    ],
)
def test_bad_json(schema: Schema, text: str, says: str) -> None:
    with pytest.raises(Failure) as caught:
        schema.method("Return").encode(text.encode())
    assert says in str(caught.value)
    assert caught.value.status == 2


def test_json_that_isnt_utf_8(schema: Schema) -> None:
    with pytest.raises(Failure, match="--data is no JSON: it isn't UTF-8"):
        schema.method("Return").encode(b'{"words": "\xff"}')


def test_an_answer_that_is_another_message(schema: Schema) -> None:
    with pytest.raises(Failure, match=r"the answer of Return is no library\.v1\.Loan: ") as caught:
        schema.method("Return").decode(b"\xff")
    assert caught.value.status == 1


@pytest.mark.parametrize("missing", ["grpc_tools", "google.protobuf"])
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Failure, match=r"^--proto needs .+: pip install 'wirecore\[codegen\]'$"):
        load_schema(PROTOS / "library.proto", [])


def test_messages_of_all_kinds_go_both_ways(shared: Wirecore, served: Serving) -> None:
    command = ["wsrpc", "call", served.address, "Return", "--proto", "library.proto"]
    done = shared(*command, "-d", json.dumps(LOAN))
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == {**LOAN, "state": "RETURNED"}

    done = shared(*command, "--data", "-", "--json", stdin=b'{"words": "late"}')
    told = json.loads(done.out)
    assert told["reply"] == {"words": "late", "state": "RETURNED"}
    assert done.out.count(b"\n") == 1

    assert json.loads(shared(*command).out) == {"state": "RETURNED"}


def test_a_method_is_called_by_its_bare_name(shared: Wirecore, served: Serving) -> None:
    command = ["wsrpc", "call", served.address, "Lending/Count", "--proto", "library.proto"]
    line = shared(*command, "-d", '{"items": [{}, {}]}').failed(1)
    assert line == "Count answered with an error: 2 items"


def test_nothing_is_sent_where_the_data_are_wrong(wirecore: Wirecore) -> None:
    """The address isn't even looked at."""
    command = ["wsrpc", "call", "127.0.0.1:1", "Return", "--proto", str(PROTOS / "library.proto")]
    assert wirecore("keygen").status == 0
    assert "line 1, column 2" in wirecore(*command, "-d", "{").failed(2)
