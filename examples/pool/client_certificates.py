"""wss:// with client certificates: the pool knows its providers by these, and takes no others."""

from __future__ import annotations

import datetime
import logging
import tempfile
from functools import partial
from pathlib import Path

import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from wirecore.errors import PeerRefused
from wirecore_trio import pool


class Authority:
    """A CA, whose certificate is the file ``rootCA.crt`` in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("a CA for a try")
        ca = x509.BasicConstraints(ca=True, path_length=0)
        made = self._certificate(self._name, self._key).add_extension(ca, critical=True)
        self.root = self._write("rootCA.crt", made.sign(self._key, SHA256()))

    def certify(self, name: str) -> tuple[str, str]:
        """A certificate of *name*, a host's or a provider's, and its key: the files of both."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        made = self._certificate(_name(name), key).add_extension(names, critical=False)
        private = self.folder / f"{name}.key"
        private.touch(mode=0o600)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return self._write(f"{name}.crt", made.sign(self._key, SHA256())), str(private)

    def _certificate(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        return builder.not_valid_after(now + datetime.timedelta(days=1))

    def _write(self, name: str, certificate: x509.Certificate) -> str:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        return str(path)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class Backend:
    """What the provider has."""

    @pool.exported
    async def get(self, key: str) -> str:
        """Get what is stored as *key*."""
        return f"the object {key}"


async def main() -> None:
    """Let one provider in, and turn another one away."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        certificate, key = authority.certify("localhost")
        context = pool.server_context(certificate, key, client_cas=(authority.root,))

        server = pool.PoolServer()
        server.bind("/pool")
        async with trio.open_nursery() as nursery:
            serve = partial(server.serve, ssl_context=context)
            listening = await nursery.start(serve, "127.0.0.1", 0)
            url = f"wss://localhost:{listening.port}/pool"

            shown, its_key = authority.certify("worker-1")
            known = pool.provider_context(authority.root, certificate=shown, key=its_key)
            async with pool.Provider(Backend()).serve(url, ssl_context=known):
                print(await server.call("Backend.Get", "object_id-1", str))
                print("called", server.providers[0].identity)

            options = pool.ProviderOptions(persist=False)
            without = pool.provider_context(authority.root)
            stranger = pool.Provider(Backend(), options=options)
            async with stranger.serve(url, ssl_context=without) as serving:
                await serving.wait_closed()
                assert isinstance(serving.error, PeerRefused)
                print("without a certificate it was refused")
            await server.drain()


if __name__ == "__main__":
    logging.getLogger("wirecore").addHandler(logging.NullHandler())  # or it tells of the refusal
    trio.run(main)
