"""``wirecore keygen``: forms of keys, modes of files, and what is never overwritten."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wirecore_cli import key_pair
from wirecore_cli.failures import Failure
from wirecore_trio.tls import load_private_key, load_public_key, public_key_of

if TYPE_CHECKING:
    from tests.cli.conftest import Wirecore

posix = pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_pair_is_written_and_its_public_key_is_all_that_is_printed(wirecore: Wirecore) -> None:
    done = wirecore("keygen", "--out", "server")
    assert done.err == "wrote server (keep it secret) and server.pub (give it to the peers)\n"
    private = load_private_key((wirecore.folder / "server").read_bytes())
    assert done.text == public_key_of(private).hex() + "\n"
    assert load_public_key((wirecore.folder / "server.pub").read_bytes()).hex() == done.text.strip()


def test_without_a_name_it_lies_with_the_users_settings(wirecore: Wirecore) -> None:
    done = wirecore("keygen")
    assert done.status == 0
    if sys.platform == "linux":
        folder = wirecore.folder / "settings" / "wirecore"
        assert {path.name for path in folder.iterdir()} == {"key", "key.pub"}
        assert mode_of(folder) == 0o700
        assert str(folder / "key") in done.err


@pytest.mark.parametrize(("form", "size"), [("raw", 32), ("go", 64), ("hex", 65), ("pem", 119)])
def test_every_form_is_read_again(wirecore: Wirecore, form: str, size: int) -> None:
    public = wirecore.key("key", "--format", form)
    data = (wirecore.folder / "key").read_bytes()
    assert len(data) == size
    assert wirecore("keygen", "--public", "key").text == f"{public}\n"
    if form == "go":
        assert data[32:].hex() == public
    if form != "hex":
        assert public_key_of(data).hex() == public
        assert load_public_key((wirecore.folder / "key.pub").read_bytes()).hex() == public
    else:
        assert (wirecore.folder / "key.pub").read_text() == f"{public}\n"


def test_a_public_key_is_shown_in_other_forms(wirecore: Wirecore) -> None:
    public = bytes.fromhex(wirecore.key("key"))
    assert wirecore("keygen", "--public", "key", "--format", "raw").out == public
    pem = wirecore("keygen", "--public", "key", "--format", "pem").out
    assert pem.startswith(b"-----BEGIN PUBLIC KEY-----")
    assert load_public_key(pem) == public


@posix
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_nobody_else_can_read_the_private_key_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: list[str]
) -> None:
    """Each file has its mode from its creation, and only what is new is written to."""
    opened = []
    real_open = os.open

    def spy(path: object, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(path, flags, mode)  # type: ignore[arg-type]
        if flags & os.O_CREAT:
            assert flags & os.O_EXCL
            opened.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    before = os.umask(0)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", spy)
            key_pair.write_pair(tmp_path / "key", "pem", force=bool(force))
    finally:
        os.umask(before)
    assert opened == [0o600, 0o644]
    assert mode_of(tmp_path / "key") == 0o600
    assert mode_of(tmp_path / "key.pub") == 0o644


@pytest.mark.parametrize("name", ["key", "key.pub"])
def test_nothing_is_overwritten_without_force(wirecore: Wirecore, name: str) -> None:
    there = wirecore.folder / name
    there.write_text("precious")
    line = wirecore("keygen", "--out", "key").failed(2)
    assert line == f"{name} exists already: --force replaces it, --out names another"
    assert there.read_text() == "precious"
    assert [path.name for path in wirecore.folder.iterdir()] == [name]


@posix
def test_force_replaces_file_and_mode(wirecore: Wirecore) -> None:
    key = wirecore.folder / "key"
    key.write_text("old, and readable by all")
    key.chmod(0o644)
    public = wirecore.key("key", "--force")
    assert public_key_of(key.read_bytes()).hex() == public
    assert mode_of(key) == 0o600
    assert {path.name for path in wirecore.folder.iterdir()} == {"key", "key.pub"}


@posix
def test_a_link_that_leads_nowhere_is_a_file_too(wirecore: Wirecore) -> None:
    (wirecore.folder / "key").symlink_to(wirecore.folder / "elsewhere")
    assert "key exists already" in wirecore("keygen", "--out", "key").failed(2)
    assert not (wirecore.folder / "elsewhere").exists()


def test_a_pair_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody makes the second file between the look and the write."""
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    (tmp_path / "key.pub").touch()
    with pytest.raises(Failure, match=r"key\.pub exists already"):
        key_pair.write_pair(tmp_path / "key", "pem", force=False)
    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--public", "nowhere"], "nowhere can't be read: No such file or directory"),
        (["--public", "."], "can't be read: "),
        (
            ["--public", "key.pub"],
            "key.pub is a public key, by its name: give the private one, key",
        ),
        (["--public", "text"], "text: invalid key length: 14, expected: 64, or 32 for a seed"),
        (["--public", "key", "--out", "new"], "--public makes no files: leave out --out and "),
    ],
)
def test_what_cant_be_shown(wirecore: Wirecore, arguments: list[str], says: str) -> None:
    wirecore.key("key")
    (wirecore.folder / "text").write_text("not secret key")
    line = wirecore("keygen", *arguments).failed(2)
    assert says in line
    assert "not secret" not in line


def test_a_folder_that_isnt_there_is_named(wirecore: Wirecore) -> None:
    line = wirecore("keygen", "--out", "nowhere/key").failed(1)
    assert line == "nowhere/key: No such file or directory"


def test_half_a_pair_is_never_made(wirecore: Wirecore) -> None:
    old = wirecore.key("a")
    (wirecore.folder / "a.pub").unlink()
    (wirecore.folder / "a.pub").mkdir()
    said = wirecore("keygen", "--out", "a", "--force").failed(2)
    assert said == "a.pub is no file: --out names another place"
    assert wirecore("keygen", "--public", "a").text.strip() == old, "the old key is still there"
    assert sorted(path.name for path in wirecore.folder.iterdir() if "a" in path.name) == [
        "a",
        "a.pub",
    ]


@posix
def test_what_is_no_file_is_not_replaced(wirecore: Wirecore) -> None:
    os.mkfifo(wirecore.folder / "pipe")
    for force in ([], ["--force"]):
        assert "pipe is no file" in wirecore("keygen", "--out", "pipe", *force).failed(2)
    assert stat.S_ISFIFO((wirecore.folder / "pipe").stat().st_mode)


def test_a_name_is_needed(wirecore: Wirecore) -> None:
    assert "--out needs the name of a file" in wirecore("keygen", "--out", "", "--force").failed(2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_where_nothing_can_be_printed_no_call_has_failed(wirecore: Wirecore) -> None:
    assert wirecore("keygen", "--out", "key").status == 0
    served = wirecore.serve("wirecore_cli.example:handlers", "--key", "key")
    call = f"wsrpc call {served.address} Reverse --key key --server-key key.pub --data x"
    for closed, says in (
        (">/dev/full", "the answer came, and can't be printed: No space left on device"),
        (">&-", "standard output is closed, and nothing can be told"),
    ):
        done = subprocess.run(
            ["sh", "-c", f"{shlex.join(wirecore.command)} {call} {closed}"],
            check=False,
            cwd=wirecore.folder,
            env=wirecore.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert (done.returncode, done.stderr) == (1, f"wirecore: {says}\n")
