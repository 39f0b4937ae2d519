"""Every program in README.md and on the pages in docs/ runs, and prints what it says."""

from __future__ import annotations

import datetime
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.examples.pages import ROOT, Block, blocks, text_of

if TYPE_CHECKING:
    from tests.examples.conftest import Run

#: What a whole program has, and nothing else.
_BEGINNINGS = (
    "trio.run(main)",
    "asyncio.run(main())",
    "check_session(",
    "gob.loads(",
    "BlockingPortal()",
    "testing.run(main)",
)

PROGRAMS = [
    block
    for page in ("README.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")))
    for block in blocks(page, "python")
    if any(mark in block.text for mark in _BEGINNINGS) and not block.file
]

#: What is to be saved under a name: programs on the same page import it, or another test runs it.
SAVED = [
    block
    for page in sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))
    for block in blocks(page, "python")
    if block.file
]

#: How many programs each page has, without those.
PAGES = {
    "README.md": 6,
    "docs/codegen.md": 3,
    "docs/engine.md": 4,
    "docs/pool-gob.md": 1,
    "docs/pool.md": 5,
    "docs/protocols.md": 2,
    "docs/rest-asyncio.md": 5,
    "docs/rest.md": 8,
    "docs/start.md": 1,
    "docs/telemetry.md": 3,
    "docs/testing.md": 5,
    "docs/tls.md": 2,
    "docs/websocket.md": 4,
    "docs/webwire-stores.md": 2,
    "docs/webwire.md": 9,
    "docs/wsrpc.md": 5,
}


def protoc(page: str) -> str:
    """The command that *page* gives for it."""
    [command] = re.findall(r"^    (python -m grpc_tools.protoc .+)$", text_of(page), re.MULTILINE)
    return str(command)


@pytest.fixture
def certificate(tmp_path: Path) -> None:
    """``cert.pem`` and ``key.pem`` for localhost, in the folder that programs run in."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


@pytest.fixture
def messages(run: Run, program: Block, tmp_path: Path) -> None:
    """``shout_pb2.py`` and the like, made as the page says, where there is what makes it."""
    pytest.importorskip("grpc_tools")
    [proto] = blocks(program.page, "proto")
    (tmp_path / "shout.proto").write_text(proto.text, encoding="utf-8")
    run(*protoc(program.page).split()[1:])
    assert (tmp_path / "shout_pb2.pyi").is_file()


@pytest.mark.usefixtures("certificate")
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_programs_print_what_their_comments_say(
    run_text: Callable[[str], str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    program: Block,
) -> None:
    for block in SAVED:
        if block.page == program.page:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    if "_pb2" in program.text:
        request.getfixturevalue("messages")
    assert program.promised
    assert run_text(program.text) == program.promised


def test_no_program_is_left_out() -> None:
    """What isn't run here is either tried otherwise or no Python."""
    counts = {each: sum(block.page == each for block in PROGRAMS) for each in PAGES}
    assert counts == PAGES
    for each in PAGES:
        if each.startswith("docs/"):
            saved = [block for block in SAVED if block.page == each]
            assert len(blocks(each, "python")) == counts[each] + len(saved)


def test_the_readme_says_the_same_of_messages() -> None:
    assert protoc("docs/wsrpc.md") in text_of("README.md")


@pytest.mark.parametrize(
    "name",
    [
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "README.md",
        *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
    ],
)
def test_links_between_pages_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text_of(name)):
        assert ((ROOT / name).parent / target).exists(), target


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


def test_the_readmes_service_answers(run_text: Callable[[str], str]) -> None:
    [block] = [each for each in blocks("README.md", "python") if "wsrpc_methods" in each.text]
    definitions, mark, use = block.text.partition("server.register(")
    program = AROUND.format(definitions=definitions, use=textwrap.indent(mark + use, " " * 12))
    assert run_text(program) == "HI cba\n"
