"""What a key that can't be read looks like, for the error: people keep keys in many forms.

A text says the form and what to do, and holds no part of what was given: it may be a private
key, whatever it was taken for.
"""

from __future__ import annotations

import re
from typing import Final

PRIVATE_FORMS: Final = (
    "32 raw bytes (the seed), 64 (seed and public key, as Go keeps them), PEM (PKCS8), or an "
    "Ed25519PrivateKey"
)
PUBLIC_FORMS: Final = "32 raw bytes, PEM (SubjectPublicKeyInfo), or an Ed25519PublicKey"

PEM_START: Final = b"-----BEGIN"

#: How ssh-keygen's files begin: PEM outside, and a format of OpenSSH's own inside.
OPENSSH_PRIVATE: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"

#: What PEM labels are made of (RFC 7468 section 3); nothing of the content gets in.
_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,30})-----")

#: Hex digits of 32 or 64 bytes, once the colons and blanks between them are gone.
_HEX: Final = re.compile(rb"(?:0x)?(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})")

#: Base64 of 32 or 64 bytes, of either alphabet, padded or not.
_BASE64: Final = re.compile(rb"[\w+/-]{43}=?|[\w+/-]{86}(?:==)?", re.ASCII)

#: How the DER encodings of an Ed25519 key begin, RFC 8410 sections 4 and 7.
_DER_PRIVATE: Final = bytes.fromhex("302e020100300506032b6570")
_DER_PUBLIC: Final = bytes.fromhex("302a300506032b6570")


def label_of(pem: bytes) -> str:
    """What *pem* says that it holds: "the label 'CERTIFICATE'"."""
    found = _LABEL.search(pem)
    return "no label" if found is None else f"the label {found[1].decode()!r}"


def form_of(given: bytes | str) -> str | None:
    """The form that *given* seems to be in, and how to make a key of it; None: no known one."""
    raw, form = (given.encode(), "text") if isinstance(given, str) else (given, "bytes")
    digits = re.sub(rb"[:\s]", b"", raw)
    if _HEX.fullmatch(digits):
        count = len(digits.removeprefix(b"0x"))
        return f"{count} hex characters as {form}: decode them first with bytes.fromhex"
    if _BASE64.fullmatch(raw.strip()):
        return f"base64 as {form}: decode it first with base64.b64decode"
    if raw.lstrip().startswith(b"ssh-"):
        return "an OpenSSH public key: load it with cryptography's load_ssh_public_key"
    if raw.startswith(_DER_PRIVATE):
        return "DER: load it with cryptography's load_der_private_key"
    if raw.startswith(_DER_PUBLIC):
        return "DER: load it with cryptography's load_der_public_key"
    return None
