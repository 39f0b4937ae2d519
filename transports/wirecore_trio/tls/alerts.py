"""TLS alerts by number, RFC 8446 section 6, and what the peer means by them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Alert(IntEnum):
    """The alerts that this package tells apart; the IANA registry holds more."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    USER_CANCELED = 90
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120


#: Alerts that say "not with this key". Which one comes depends on the peer's TLS library: Go
#: sends 42 for a key that isn't listed, OpenSSL 48.
REFUSALS: Final = frozenset(
    {
        Alert.BAD_CERTIFICATE,
        Alert.UNSUPPORTED_CERTIFICATE,
        Alert.CERTIFICATE_REVOKED,
        Alert.CERTIFICATE_EXPIRED,
        Alert.CERTIFICATE_UNKNOWN,
        Alert.UNKNOWN_CA,
        Alert.ACCESS_DENIED,
        Alert.CERTIFICATE_REQUIRED,
    }
)


def alert_text(number: int) -> str:
    """*number* for a message: "TLS alert 42 bad certificate"."""
    try:
        name = Alert(number).name.lower().replace("_", " ")
    except ValueError:
        name = "unknown to us"
    return f"TLS alert {number} {name}"
