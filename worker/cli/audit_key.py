"""`worker audit key`: makes the key that signs the audit records."""

import os
from pathlib import Path
from typing import Annotated

import typer

from worker.errors import SettingsError
from worker.walls.private_files import make_private


def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the new key is kept; must not be there yet.")],
    *,
    after: Annotated[
        Path | None, typer.Option("--after", metavar="FILE", help="The key that was used before, which vouches for it.")
    ] = None,
) -> None:
    """Make a key that signs the audit records, and print its public half.

    Set WORKER_AUDIT_KEY to the file, which only its owner can read. Keep the public half elsewhere, with the signed
    heads. Name the key before with --after: it signs the new one, so that whoever trusts it can trust the new one too.

    Example: worker audit key audit.key > audit.pub
    """
    from worker.audit.keys import KeyPair
    from worker.audit.signers import load_pair

    pair = KeyPair.make(load_pair(str(after), "--after") if after else None)
    try:
        descriptor = make_private(file, shared=False)
    except FileExistsError:
        raise SettingsError(
            f"{file} is there already, and a lost key cannot be made again: name another file"
        ) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(pair.to_pem())
    typer.echo(pair.public.to_pem(), nl=False)
