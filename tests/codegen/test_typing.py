"""Generated code under mypy --strict and ruff, and programs that use it rightly and wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.codegen.conftest import Generated

TREE = Path(__file__).parents[2]

#: What a user writes, and what is revealed of it.
PROGRAM = """\
import grpc
from codegen_cases.rich_pb2 import Outer, ShoutRequest, ShoutResponse
from codegen_cases.rich_wsrpc import QuietService, QuietStub, add_QuietService_to
from codegen_cases.rich_wsrpc import ShouterStub
from codegen_cases.rich_wsrpc_grpc import QuietGrpcStub, add_QuietService_to_grpc

import wirecore_grpc
from wirecore_trio import wsrpc


class InATask(QuietService):
    async def Hush(self, request: ShoutRequest, peer: wsrpc.Peer) -> ShoutResponse:
        return ShoutResponse(text=request.text)


class InAThread(QuietService):
    def Hush(self, request: ShoutRequest, peer: wsrpc.Peer) -> ShoutResponse:
        return ShoutResponse(text=request.text)


async def use(server: wsrpc.Server, client: wsrpc.Client, channel: grpc.Channel) -> None:
    add_QuietService_to(server, InATask())
    add_QuietService_to(client, InAThread(), inline=True)
    add_QuietService_to_grpc(wirecore_grpc.Server(), InATask())
    reveal_type(await QuietStub(client).Hush(ShoutRequest()))
    reveal_type(await ShouterStub(client).Nested(Outer.Inner()))
    reveal_type(QuietGrpcStub(channel))
"""

REVEALED = (
    '"codegen_cases.rich_pb2.ShoutResponse"',
    '"codegen_cases.rich_pb2.Outer.Inner.Innermost"',
    '"codegen_cases.rich_wsrpc.QuietStub"',
)

WRONG = """\
from codegen_cases.rich_pb2 import Outer, ShoutRequest, ShoutResponse
from codegen_cases.rich_wsrpc import QuietService, QuietStub, add_QuietService_to

from wirecore_trio import wsrpc


class WrongReply(QuietService):
    async def Hush(self, request: ShoutRequest, peer: wsrpc.Peer) -> Outer:
        return Outer()


class NoMethod(QuietService):
    pass


async def use(server: wsrpc.Server, client: wsrpc.Client) -> None:
    NoMethod()
    add_QuietService_to(server, object())
    await QuietStub(client).Hush(Outer())
"""

#: Lines of it, and the codes of their errors.
MISTAKES = {8: "override", 17: "abstract", 18: "arg-type", 19: "arg-type"}


def check(*command: str | Path, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_type_checkers_follow_generated_code(generated: Generated, tmp_path: Path) -> None:
    """In one run, as a run of mypy takes its time."""
    config = tmp_path / "mypy.ini"
    config.write_text(
        f"[mypy]\nstrict = true\nexplicit_package_bases = true\nnamespace_packages = true\n"
        f"mypy_path = {os.pathsep.join(map(str, (generated.folder, TREE, TREE / 'transports')))}\n"
        # protoc's own stub for a group isn't strict.
        f"[mypy-codegen_cases.old_pb2]\nignore_errors = true\n",
        encoding="utf-8",
    )
    (tmp_path / "right.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    # Of messages called None or class protoc itself makes stubs that nothing can parse.
    made = sorted(set(generated.folder.rglob("*_wsrpc*.py")) - set(generated.folder.rglob("keyw*")))
    status, said = check(
        "mypy", "--config-file", config, *made, "right.py", "wrong.py", cwd=tmp_path
    )
    lines = said.splitlines()
    errors = [line for line in lines if ": error: " in line]
    assert status == 1, said
    assert len(errors) == len(MISTAKES), said
    for number, code in MISTAKES.items():
        assert any(
            line.startswith(f"wrong.py:{number}: error: ") and line.endswith(f"[{code}]")
            for line in errors
        ), said
    revealed = [line for line in lines if "Revealed type is" in line]
    assert len(revealed) == len(REVEALED), said
    for line, kind in zip(revealed, REVEALED, strict=True):
        assert line.endswith(kind)


def test_ruffs_own_rules_find_nothing(generated: Generated, tmp_path: Path) -> None:
    made = sorted(generated.folder.rglob("*_wsrpc*.py"))
    assert made
    status, said = check("ruff", "check", "--isolated", "--no-cache", *made, cwd=tmp_path)
    assert status == 0, said
