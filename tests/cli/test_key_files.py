"""Keys given to commands: every form is read, and no error shows what may be secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from wirecore.errors import InvalidKey
from wirecore_cli.failures import Failure
from wirecore_cli.key_files import ClientList, read_clients, read_private_key, read_public_key
from wirecore_trio.tls import public_key_of

SEED = bytes(range(1, 33))
PUBLIC = public_key_of(SEED)


@pytest.mark.parametrize(
    "data",
    [SEED, SEED + PUBLIC, SEED.hex().encode(), f" 0x{SEED.hex().upper()}\n".encode()],
    ids=["raw", "go", "hex", "hex with its mark"],
)
def test_forms_of_a_private_key(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(data)
    assert read_private_key(path).private_bytes_raw() == SEED


def test_forms_of_a_public_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pub"
    for data in (PUBLIC, f"{PUBLIC.hex()}\n".encode()):
        path.write_bytes(data)
        assert read_public_key(str(path), option="--client") == PUBLIC
    assert read_public_key(PUBLIC.hex(), option="--client") == PUBLIC


SECRETS = [
    (SEED + PUBLIC).hex(),
    SEED.hex()[:-2],
    SEED.hex() + "00",
    "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
    f"-----BEGIN PRIVATE KEY-----\n{SEED.hex()}\n-----END PRIVATE KEY-----",
    SEED.hex() * 10,
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_private_key_given_by_mistake_isnt_shown(secret: str) -> None:
    with pytest.raises((Failure, InvalidKey)) as caught:
        read_public_key(secret, option="--server-key")
    assert secret not in str(caught.value)
    assert SEED.hex()[:8] not in str(caught.value)
    assert "--server-key" in str(caught.value)


def test_a_file_that_is_missing_is_named() -> None:
    with pytest.raises(Failure, match=r"--client: 'alice\.pub' is neither a file nor 64 hex"):
        read_public_key("alice.pub", option="--client")


def test_a_file_of_another_kind_isnt_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(bytes(100_000))
    with pytest.raises(Failure, match="film holds no key: it is longer than 65536 bytes"):
        read_private_key(path)


def test_a_list_of_clients_has_comments_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "clients"
    path.write_text(f"# who may come in\n\n{PUBLIC.hex()}  # Alice\n")
    assert read_clients(path) == [PUBLIC]
    assert ClientList([SEED], path).read() == [SEED, PUBLIC]
    assert ClientList([SEED], None).read() == [SEED]


@pytest.mark.parametrize("line", [f"Alice {SEED.hex()}", SEED.hex()[:-1], (SEED + PUBLIC).hex()])
def test_a_line_that_is_no_client_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "clients"
    path.write_text(f"# first\n{line}\n")
    with pytest.raises(Failure, match=r"clients, line 2: a client is its public key") as caught:
        read_clients(path)
    assert SEED.hex()[:8] not in str(caught.value)


def test_a_client_that_anybody_could_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clients"
    path.write_text("00" * 32)
    with pytest.raises(InvalidKey, match=r"line 1: .* small order"):
        read_clients(path)


def test_a_list_that_isnt_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clients"
    path.write_bytes(b"\xff" * 32)
    with pytest.raises(Failure, match="clients can't be read: it isn't UTF-8"):
        read_clients(path)
