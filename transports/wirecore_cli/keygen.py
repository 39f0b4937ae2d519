"""``wirecore keygen``: makes a pair of keys, or shows the public one of a private one."""

from __future__ import annotations

from pathlib import Path

import click

from .terminal import tell_note


@click.command(
    epilog="""\b
Examples:
  wirecore keygen --out server
  wirecore keygen --out alice --format hex
  wirecore keygen --public server
  wirecore keygen --public server --format pem > server.pem
"""
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="NAME",
    help="Write NAME and NAME.pub; without it, 'key' in the folder of the user's settings.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["pem", "raw", "hex", "go"]),
    help="pem: PKCS8, the default for files. raw: 32 bytes. hex: 64 digits. "
    "go: 64 bytes, as Go keeps a private key.",
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option(
    "--public",
    "private",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Make nothing: print the public key of the private key in FILE.",
)
def keygen(*, out: Path | None, form: str | None, force: bool, private: Path | None) -> None:
    """Make an Ed25519 key pair, and print its public key.

    The private key is for its holder alone, and its file is readable by nobody
    else. The public key, 64 hex digits as they are printed, is for the peers.
    Files that are there are never overwritten without --force.
    """
    # Late: cryptography takes longer to load than the help takes to be read.
    from wirecore_trio.tls import public_key_of

    from .key_files import default_private_key, read_private_key
    from .key_pair import encode_public, write_pair

    if private is not None:
        if out is not None or force:
            raise click.UsageError("--public makes no files: leave out --out and --force")
        public = public_key_of(read_private_key(private))
        click.echo(encode_public(public, form or "hex"), nl=False)
        return
    if out is None:
        out = default_private_key()
        out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not out.name:
        raise click.UsageError("--out needs the name of a file")
    public = write_pair(out, form or "pem", force=force)
    tell_note(f"wrote {out} (keep it secret) and {out}.pub (give it to the peers)")
    click.echo(public.hex())
