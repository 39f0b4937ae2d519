"""The plugin as protoc runs it, and as people run it by mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

import wirecore
from wirecore_codegen import plugin

if TYPE_CHECKING:
    from tests.codegen.conftest import Generated, Protoc

HERE = Path(__file__).parent
REFUSED = HERE / "refused"


def test_protoc_finds_the_command_on_the_path(
    every_protoc: list[Protoc], script: Path, tmp_path: Path
) -> None:
    for number, protoc in enumerate(every_protoc):
        out = tmp_path / str(number)
        out.mkdir()
        done = protoc.run(
            f"-I{HERE / 'protos'}",
            f"--wsrpc_python_out={out}",
            "codegen_cases/edition.proto",
            cwd=tmp_path,
            path=os.pathsep.join([str(script.parent), os.environ["PATH"]]),
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert (out / "codegen_cases" / "edition_wsrpc.py").is_file()


def test_files_without_services_give_nothing(protoc: Protoc, tmp_path: Path) -> None:
    done = protoc.generate(HERE / "protos", tmp_path, "codegen_cases/no_services.proto")
    assert (done.returncode, done.stderr) == (0, "")
    found = {path.name for path in tmp_path.rglob("*.py")}
    assert found == {"no_services_pb2.py"}


def test_streams_are_refused_with_their_places(protoc: Protoc, tmp_path: Path) -> None:
    done = protoc.generate(REFUSED, tmp_path, "streaming.proto")
    assert done.returncode != 0
    for line, method, does in (
        (11, "Watch", "returns"),
        (12, "Upload", "takes"),
        (13, "Chat", "takes and returns"),
    ):
        assert (
            f"streaming.proto:{line}: service refused.Streams, method {method}: it {does} a "
            "stream, and wsrpc has unary calls only" in done.stderr
        )
    assert "Fine" not in done.stderr
    assert not list(tmp_path.rglob("*_wsrpc.py"))


def test_names_that_no_service_can_have_are_refused(protoc: Protoc, tmp_path: Path) -> None:
    done = protoc.generate(REFUSED, tmp_path, "reserved.proto")
    assert done.returncode != 0
    assert "reserved.proto:8: service Reserved, method wsrpc_methods: Python needs" in done.stderr
    assert "reserved.proto:9: service Reserved, method __init__: Python needs" in done.stderr


def test_unknown_parameters_are_refused_with_a_list_of_the_known(
    protoc: Protoc, tmp_path: Path
) -> None:
    done = protoc.generate(
        HERE / "protos", tmp_path, "codegen_cases/edition.proto", opt="grpc,paths=source_relative"
    )
    assert done.returncode != 0
    assert "unknown parameter 'paths=source_relative'; the known ones are: grpc" in done.stderr


def test_methods_that_cant_be_served_together_are_noted(generated: Generated) -> None:
    [warning] = generated.said.splitlines()
    assert warning.startswith(
        "codegen_cases/shared.proto: warning: the services First, Second all have a method Get;"
    )


def test_it_says_which_editions_it_takes() -> None:
    response = plugin.generate(CodeGeneratorRequest(), warn=pytest.fail)
    assert response.supported_features & CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    assert response.supported_features & CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS
    assert response.minimum_edition == descriptor_pb2.EDITION_PROTO2
    assert response.maximum_edition >= descriptor_pb2.EDITION_2023
    assert response.maximum_edition < descriptor_pb2.EDITION_99997_TEST_ONLY


def test_without_places_in_the_request_the_file_alone_is_named() -> None:
    """Other callers than protoc may leave out where things stand."""
    file = descriptor_pb2.FileDescriptorProto(name="a.proto")
    file.message_type.add(name="M")
    method = file.service.add(name="S").method.add(name="Watch", input_type=".M", output_type=".M")
    request = CodeGeneratorRequest(file_to_generate=["a.proto"], proto_file=[file])
    [made] = plugin.generate(request, warn=pytest.fail).file
    assert made.name == "a_wsrpc.py"
    method.server_streaming = True
    request = CodeGeneratorRequest(file_to_generate=["a.proto"], proto_file=[file])
    refused = plugin.generate(request, warn=pytest.fail)
    assert refused.error.startswith("a.proto: service S, method Watch: it returns a stream")


# --- by hand ------------------------------------------------------------------------------


def by_hand(*command: str | Path, given: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run([*map(str, command)], input=given, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_it_tells_its_version_and_what_it_is_for(script: Path) -> None:
    version = f"protoc-gen-wsrpc_python {wirecore.__version__}{os.linesep}"
    assert by_hand(script, "--version") == (0, version, "")
    status, said, _ = by_hand(script, "--help")
    assert status == 0
    assert "--wsrpc_python_out=. shout.proto" in said
    assert "--wsrpc_python_opt=grpc" in said
    assert by_hand(sys.executable, "-m", "wirecore_codegen", "--version")[1] == version


@pytest.mark.skipif(sys.platform == "win32", reason="this platform has no pseudo-terminals")
def test_on_a_terminal_it_doesnt_wait_for_a_request(script: Path) -> None:
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [str(script)], stdin=theirs, capture_output=True, text=True, check=False, timeout=60
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert "nothing to do: protoc runs this, see --help" in done.stderr


def test_what_is_no_request_is_no_reason_for_a_traceback(script: Path) -> None:
    status, said, complained = by_hand(script, given=b"\xff\xff\xff\xff")
    assert (status, said) == (1, "")
    assert "standard input is no request of protoc's" in complained
    assert "Traceback" not in complained


def test_without_protobuf_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['google'] = None; sys.argv = ['protoc-gen-wsrpc_python']; "
        "from wirecore_codegen.__main__ import main; sys.exit(main())"
    )
    status, said, complained = by_hand(sys.executable, "-P", "-c", program)
    assert (status, said) == (1, "")
    assert complained.strip().endswith("isn't installed here: pip install 'wirecore[codegen]'")
