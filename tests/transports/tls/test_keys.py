"""Keys in all their forms, and what is said of those that aren't keys."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from wirecore.errors import InvalidKey, LocalError
from wirecore_trio.tls import (
    generate_private_key,
    load_private_key,
    load_public_key,
    public_key_of,
    self_signed_certificate,
)

if TYPE_CHECKING:
    from tests.transports.tls.conftest import KeyPair


def pkcs8(key: Any, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return pem


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def test_the_keys_of_the_original_are_read(vectors: dict[str, Any]) -> None:
    for entry in vectors["certificates"]:
        public = bytes.fromhex(entry["public_key"])
        assert public_key_of(load_private_key(bytes.fromhex(entry["private_key"]))) == public
        assert public_key_of(load_private_key(bytes.fromhex(entry["seed"]))) == public
        assert load_public_key(public) == public


def test_every_form_of_a_private_key_is_the_same_key(client_key: KeyPair) -> None:
    key = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    go = client_key.seed + client_key.public
    pem = pkcs8(key)
    forms: list[Any] = [
        go,
        bytearray(go),
        memoryview(client_key.seed),
        pem,
        pem.decode(),
        bytearray(pem),
        key,
    ]
    for form in forms:
        assert public_key_of(load_private_key(form)) == client_key.public


def test_every_form_of_a_public_key_is_the_same_key(client_key: KeyPair) -> None:
    key = Ed25519PublicKey.from_public_bytes(client_key.public)
    pem = public_pem(key)
    raw = client_key.public
    forms: list[Any] = [raw, bytearray(raw), memoryview(raw), pem, pem.decode(), bytearray(pem)]
    for form in [*forms, key]:
        loaded = load_public_key(form)
        assert type(loaded) is bytes
        assert loaded == client_key.public


def test_the_public_key_of_every_form_of_a_private_key(client_key: KeyPair) -> None:
    pem = pkcs8(Ed25519PrivateKey.from_private_bytes(client_key.seed))
    for form in (client_key.seed, client_key.seed + client_key.public, pem, pem.decode()):
        assert public_key_of(form) == client_key.public
    with pytest.raises(InvalidKey, match="private key: invalid key length: 5, expected: 64"):
        public_key_of(b"short")


def test_generated_keys_differ() -> None:
    assert public_key_of(generate_private_key()) != public_key_of(generate_private_key())


@pytest.mark.parametrize("size", [0, 1, 31, 33, 48, 63, 65, 128])
def test_a_wrong_length_is_named_with_the_right_one(size: int) -> None:
    wrong = bytes(range(1, size + 1))
    with pytest.raises(
        InvalidKey, match=rf"^private key: invalid key length: {size}, expected: 64\b"
    ):
        load_private_key(wrong)
    with pytest.raises(
        InvalidKey, match=rf"^public key: invalid key length: {size}, expected: 32 "
    ):
        load_public_key(wrong)


def test_a_wrong_key_is_the_callers_own_fault(client_key: KeyPair) -> None:
    with pytest.raises(LocalError):
        load_public_key(b"short")
    with pytest.raises(ValueError, match="invalid key length"):
        load_private_key(b"short")


def test_the_halves_of_a_private_key_must_belong_together(
    client_key: KeyPair, other_key: KeyPair
) -> None:
    with pytest.raises(
        InvalidKey, match="the second half must be the public key of the first, and isn't"
    ):
        load_private_key(client_key.seed + other_key.public)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA"),
        (ec.generate_private_key(ec.SECP256R1()), "ECDSA"),
        (ed448.Ed448PrivateKey.generate(), "Ed448"),
        (dsa.generate_private_key(1024), "DSA"),
        (x25519.X25519PrivateKey.generate(), "X25519"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_keys_of_another_kind_are_named(key: Any, name: str) -> None:
    for private in (key, pkcs8(key)):
        with pytest.raises(InvalidKey, match=f"expected an Ed25519 private key, got: {name}"):
            load_private_key(private)
    for public in (key.public_key(), public_pem(key.public_key())):
        with pytest.raises(InvalidKey, match=f"expected an Ed25519 public key, got: {name}"):
            load_public_key(public)


def test_a_private_key_isnt_taken_for_a_public_one(client_key: KeyPair) -> None:
    private = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    with pytest.raises(InvalidKey, match="got: Ed25519 private key"):
        load_public_key(private)  # type: ignore[arg-type] # the mistake is what is tested
    with pytest.raises(InvalidKey, match="no readable SubjectPublicKeyInfo"):
        load_public_key(pkcs8(private))
    with pytest.raises(InvalidKey, match="got: Ed25519 public key"):
        load_private_key(private.public_key())  # type: ignore[arg-type] # the mistake is tested
    with pytest.raises(InvalidKey, match="no readable PKCS8 private key"):
        load_private_key(public_pem(private.public_key()))


def test_pem_that_cant_be_read_is_said_to_be_so(client_key: KeyPair) -> None:
    key = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    with pytest.raises(InvalidKey, match="encrypted: decrypt it first"):
        load_private_key(pkcs8(key, b"password"))
    broken = pkcs8(key)[:60]
    with pytest.raises(InvalidKey, match="no readable PKCS8"):
        load_private_key(broken)
    certificate = self_signed_certificate(key).public_bytes(Encoding.PEM)
    with pytest.raises(InvalidKey, match="no readable SubjectPublicKeyInfo"):
        load_public_key(certificate)


def test_text_that_isnt_pem_is_refused() -> None:
    for load in (load_private_key, load_public_key):
        with pytest.raises(InvalidKey, match=r"^p\w+ key: text must be PEM, and this isn't"):
            load("keys/server.pem")
        with pytest.raises(InvalidKey, match=r"isn't: if it is a file's name, give what the"):
            load("keys/server.pem")


@pytest.mark.parametrize("load", [load_private_key, load_public_key])
def test_a_path_is_told_how_to_be_read(load: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidKey, match=r"got a path: give what its file holds.*read_bytes\(\)$"):
        load(Path("keys/server.pem"))


def as_hex(key: bytes) -> str:
    return key.hex()


def with_colons(key: bytes) -> str:
    return key.hex(":") + "\n"


def with_prefix(key: bytes) -> str:
    return "0x" + key.hex()


def as_base64(key: bytes) -> str:
    return base64.b64encode(key).decode()


def as_url_base64(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=") + "\n"


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize(
    ("encode", "size", "says"),
    [
        (as_hex, 32, "64 hex characters as FORM: decode them first with bytes.fromhex"),
        (with_colons, 32, "64 hex characters as FORM: decode them first with bytes.fromhex"),
        (with_prefix, 32, "64 hex characters as FORM: decode them first with bytes.fromhex"),
        (as_hex, 64, "128 hex characters as FORM: decode them first with bytes.fromhex"),
        (as_base64, 32, "base64 as FORM: decode it first with base64.b64decode"),
        (as_base64, 64, "base64 as FORM: decode it first with base64.b64decode"),
        (as_url_base64, 32, "base64 as FORM: decode it first with base64.b64decode"),
    ],
)
def test_an_encoded_key_is_told_by_its_form(
    client_key: KeyPair, encode: Callable[[bytes], str], size: int, says: str, as_bytes: bool
) -> None:
    encoded = encode((client_key.seed + client_key.public)[:size])
    says = says.replace("FORM", "bytes" if as_bytes else "text")
    for load in (load_private_key, load_public_key):
        with pytest.raises(InvalidKey, match=says):
            load(encoded.encode() if as_bytes else encoded, name="the key")


def test_der_and_openssh_name_what_reads_them(client_key: KeyPair) -> None:
    key = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ssh = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    for load in (load_private_key, load_public_key):
        with pytest.raises(InvalidKey, match=r"DER: load it with .*load_der_private_key"):
            load(private)
        with pytest.raises(InvalidKey, match=r"DER: load it with .*load_der_public_key"):
            load(public)
        for form in (ssh, ssh.decode()):
            with pytest.raises(InvalidKey, match="OpenSSH public key: load it with"):
                load(form)
    ssh_private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    with pytest.raises(InvalidKey, match="has the label 'OPENSSH PRIVATE KEY', and holds no"):
        load_public_key(ssh_private)
    for form in (ssh_private, ssh_private.decode()):
        with pytest.raises(
            InvalidKey,
            match=r"^private key: an OpenSSH private key: load it with .*load_ssh_private_key$",
        ):
            load_private_key(form)


def test_pem_may_be_indented_or_have_text_before_it(client_key: KeyPair) -> None:
    key = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    private, public = pkcs8(key).decode(), public_pem(key.public_key()).decode()
    assert public_key_of(load_private_key("\n" + private)) == client_key.public
    assert load_public_key(f"the server's key\n{public}") == client_key.public


def test_what_is_accepted_is_said(client_key: KeyPair) -> None:
    with pytest.raises(InvalidKey, match=r"^the key: .*32 raw bytes \(the seed\), 64 .*PKCS8"):
        load_private_key(b"short", name="the key")
    with pytest.raises(InvalidKey, match=r"^the key: .*32 raw bytes, PEM \(SubjectPublicKeyInfo"):
        load_public_key(b"short", name="the key")
    with pytest.raises(InvalidKey, match=r"this is a private key, .* give the second half"):
        load_public_key(client_key.seed + client_key.public)
    private = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    with pytest.raises(InvalidKey, match=r"got: Ed25519 private key \(give its public_key\(\)"):
        load_public_key(private)  # type: ignore[arg-type] # the mistake is what is tested


@pytest.mark.parametrize("nonsense", [None, 7, [1, 2], object()])
def test_what_is_no_key_at_all_is_named_by_its_type(nonsense: Any) -> None:
    with pytest.raises(InvalidKey, match=f"got: {type(nonsense).__name__} "):
        load_private_key(nonsense)
    with pytest.raises(InvalidKey, match=f"got: {type(nonsense).__name__} "):
        load_public_key(nonsense)


def test_no_message_holds_any_part_of_a_private_key(client_key: KeyPair) -> None:
    key = Ed25519PrivateKey.from_private_bytes(client_key.seed)
    seed = bytes(range(100, 132))
    pem = pkcs8(Ed25519PrivateKey.from_private_bytes(seed))
    mistakes: list[Any] = [
        seed[:31],
        seed + seed,
        seed + b"x",
        seed.hex(),
        seed.hex().encode(),
        seed + public_key_of(load_private_key(seed)) + b"x",
        base64.b64encode(seed),
        base64.b64encode(seed).decode(),
        pem[:90],
        pem.replace(b"PRIVATE", b"PUBLIC"),
        pkcs8(key, b"password"),
    ]
    for mistake in mistakes:
        for load in (load_private_key, load_public_key):
            with pytest.raises(InvalidKey) as raised:
                load(mistake)
            # The text of the whole chain; source lines are no secret, and hold none here.
            said = "".join(traceback.format_exception(raised.value))
            for form in (seed.hex(), repr(seed)[2:-1], pem.decode().split("\n")[1]):
                for start in range(0, len(form) - 8, 4):
                    assert form[start : start + 8] not in said


# --- points of small order ------------------------------------------------------------------

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """RFC 8032 section 5.1.4, in affine coordinates."""
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def times(scalar: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def decode(encoded: bytes) -> tuple[int, int] | None:
    """RFC 8032 section 5.1.3, also of a y that isn't reduced; None if it is no point."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return (P - x if x & 1 != sign else x) % P, y % P


def torsion_points() -> set[tuple[int, int]]:
    """All eight points whose order divides 8."""
    for y in range(2, 100):
        point = decode(y.to_bytes(32, "little"))
        if point is not None:
            generator = times(GROUP_ORDER, point)
            if times(4, generator) != (0, 1):
                return {times(factor, generator) for factor in range(8)}
    raise AssertionError("no point of order 8 found")


def test_points_that_anybody_can_sign_for_are_no_keys() -> None:
    points = torsion_points()
    assert len(points) == 8
    for _, y in points:
        # Unreduced encodings of the same point exist where y + p still fits into 255 bits.
        for encoding in (y, y + P):
            if encoding < 2**255:
                for sign in (0, 1 << 255):
                    key = (encoding | sign).to_bytes(32, "little")
                    with pytest.raises(InvalidKey, match="point of small order"):
                        load_public_key(key)


def test_a_field_of_zeros_is_no_key() -> None:
    with pytest.raises(InvalidKey, match="anybody could sign for it"):
        load_public_key(bytes(32))
