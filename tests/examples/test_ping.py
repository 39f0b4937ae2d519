"""The example, and the program in the README, run as their readers would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from wirecore._backend import Backend

ROOT = Path(__file__).parents[2]

#: Seconds that a program gets on a machine with other things to do.
PATIENCE = 120.0


@pytest.fixture
def environment(backend: Backend) -> dict[str, str]:
    """The environment of a process that uses *backend*."""
    return {**os.environ, "WIRECORE_BACKEND": backend.name}


def run(program: Path, folder: Path, environment: dict[str, str]) -> str:
    """What *program* prints, which must end well and warn of nothing."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    return result.stdout


def test_the_demo_goes_as_it_should(
    backend: Backend, environment: dict[str, str], tmp_path: Path
) -> None:
    """Calls both ways, a refusal, a crash and a comeback: its exit status says how it went."""
    story = run(ROOT / "examples" / "ping" / "demo.py", tmp_path, environment)
    summary = story.partition("\nSummary\n")[2]
    assert "\n  refused: Charlie\n" in summary
    assert "\n  reconnected after the crash: Alice, Bob\n" in summary
    assert f"\n  codec: {'compiled' if backend.name == 'c' else 'pure Python'}\n" in summary
    assert summary.endswith("\n  everything went as it should\n")


def blocks() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", [0, 1])
def test_the_readmes_programs_print_what_their_comments_say(
    environment: dict[str, str], tmp_path: Path, number: int
) -> None:
    programs = [block for block in blocks() if "trio.run(" in block]
    assert len(programs) == 2
    [promise] = re.findall(r"^trio\.run\(main\) +# (.+)$", programs[number], re.MULTILINE)
    program = tmp_path / "program.py"
    program.write_text(programs[number], encoding="utf-8")
    assert run(program, tmp_path, environment) == f"{promise}\n"


#: What the README's service stands in: its messages, and a server and a client that are there.
AROUND = """
import dataclasses
import trio
from wirecore_trio import tls

@dataclasses.dataclass
class ShoutRequest:
    text: str
    def SerializeToString(self):
        return self.text.encode()
    @classmethod
    def FromString(cls, data):
        return cls(data.decode())

class ShoutResponse(ShoutRequest):
    pass

{definitions}
async def main():
    ours, theirs = tls.generate_private_key(), tls.generate_private_key()
    server = wsrpc.Server(wsrpc.ServerCredentials(ours, [tls.public_key_of(theirs)]))
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        credentials = wsrpc.ClientCredentials(theirs, tls.public_key_of(ours))
        async with wsrpc.connect(f"127.0.0.1:{{listening.port}}", credentials) as client:
{use}
            print(reply.text, data.decode())
        await server.aclose()

trio.run(main)
"""


def test_the_readmes_service_answers(environment: dict[str, str], tmp_path: Path) -> None:
    [block] = [block for block in blocks() if "wsrpc_methods" in block]
    definitions, mark, use = block.partition("server.register(")
    program = tmp_path / "program.py"
    program.write_text(
        AROUND.format(definitions=definitions, use=textwrap.indent(mark + use, " " * 12)),
        encoding="utf-8",
    )
    assert run(program, tmp_path, environment) == "HI cba\n"
