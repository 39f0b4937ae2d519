"""TLS for providers: whom they trust, and what they show."""

from __future__ import annotations

import ssl

from wirecore import errors

from ._identity import File, files, load_cas, load_certificate


def provider_context(
    *ca_files: File,
    certificate: File | None = None,
    key: File | None = None,
    system_trust: bool = False,
) -> ssl.SSLContext:
    """TLS for a provider's ``ssl_context=``, which verifies the pool's chain and name.

    *ca_files*: PEM files of the CAs that are trusted, in place of the default ones: OpenSSL's
    of this machine. *certificate* and *key*: PEM files of the client certificate that is shown to
    pools that ask for one (None: the key is in the same file). *system_trust*: trust what the
    operating system does, its user's own CAs too, besides *ca_files*; it needs the extra ``trust``.

    Raises InvalidOption where a file can't be used, LocalError where the extra is missing.
    """
    cas = files("ca_files", ca_files)
    context = _system_context() if system_trust else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cas:
        load_cas(context, "ca_files", cas)
    elif not system_trust:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if certificate is not None:
        load_certificate(context, certificate, key)
    elif key is not None:
        raise errors.InvalidOption("a key goes with a certificate: give certificate= too")
    return context


def _system_context() -> ssl.SSLContext:
    try:
        import truststore
    except ImportError:
        raise errors.LocalError(
            "system_trust needs the package truststore: pip install 'wirecore[trust]'"
        ) from None
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context
