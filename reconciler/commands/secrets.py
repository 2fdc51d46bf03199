"""Commands for secrets in the repository: encrypted with age, for the hosts whose public keys a file beside them names."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.commands.options import Config
from reconciler.errors import ShipstoneError

secrets = typer.Typer(no_args_is_help=True, help="Make and change secrets in the repository.")

RECIPIENTS = "recipients.txt"
File = Annotated[Path, typer.Argument(help="The encrypted file.")]
Sites = Annotated[list[str], typer.Option("--site", help="A site that may have it; may be repeated.")]
To = Annotated[
    Path | None,
    typer.Option("--recipients", help="The file with the public keys; recipients.txt in the file's folder, or the next one above."),
]
Identity = Annotated[Path | None, typer.Option("--identity", help="The age identity to decrypt with; [secrets] identity.")]


@secrets.command()
def keygen(out: Annotated[Path | None, typer.Option("--out", help="Where; [secrets] identity.")] = None, config: Config = None) -> None:
    """Make this host's age identity, and print its public key for recipients.txt."""
    from reconciler.settings import load_settings
    from reconciler.world.age_files import new_identity
    from reconciler.world.owner import give_to_owner
    from reconciler.world.systemd import CREDENTIALS

    path = out or _identity(config)
    text, public = new_identity()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        if path.is_relative_to(CREDENTIALS):
            give_to_owner(path, Path(load_settings(config).state.dir))
    except FileExistsError:
        raise ShipstoneError(f"cannot make {path}: it is there already. What was encrypted for it could be read no more.") from None
    except OSError as error:
        raise ShipstoneError(f"cannot make {path}: {error.strerror}. Give another place with --out.") from None
    typer.echo(public)


@secrets.command()
def encrypt(file: File, site: Sites, recipients: To = None) -> None:
    """Encrypt what stands on stdin into FILE."""
    from reconciler.world.age_files import seal

    to = _recipients(file, recipients)
    if sys.stdin.isatty():
        typer.echo("type the secret, then Ctrl-D", err=True)
    value = sys.stdin.buffer.read()
    if not value:
        raise ShipstoneError("cannot encrypt: nothing stands on stdin. Give it there: shipstone secrets encrypt FILE --site SITE < SECRET")
    _write(file, seal(value, site, to))
    typer.echo(f"{file}: for {', '.join(site)}, as age:PATH in its secrets:")


@secrets.command()
def edit(file: File, recipients: To = None, identity: Identity = None, config: Config = None) -> None:
    """Change an encrypted file in $EDITOR."""
    from reconciler.world.age_files import seal

    to = _recipients(file, recipients)
    sites, value = _opened(file, identity, config)
    memory = Path("/dev/shm")  # noqa: S108  so that it never reaches a disk
    with tempfile.TemporaryDirectory(prefix="shipstone-", dir=memory if memory.is_dir() else None) as folder:
        plain = Path(folder, file.stem)
        plain.touch(mode=0o600)
        plain.write_bytes(value)
        done = subprocess.run(["sh", "-c", f'{os.environ.get("EDITOR") or "vi"} "$1"', "sh", str(plain)])
        if done.returncode:
            raise ShipstoneError(f"cannot edit {file}: the editor ended with {done.returncode}. Nothing was changed.")
        fresh = plain.read_bytes()
    if fresh == value:
        typer.echo(f"{file}: unchanged")
        return
    _write(file, seal(fresh, sites, to))
    typer.echo(f"{file}: changed")


@secrets.command()
def rekey(
    files: Annotated[list[Path], typer.Argument(help="Encrypted files.")],
    recipients: To = None,
    identity: Identity = None,
    config: Config = None,
) -> None:
    """Encrypt files again, for those whom recipients.txt names now."""
    from reconciler.world.age_files import seal

    fresh = []
    for file in files:
        sites, value = _opened(file, identity, config)
        fresh.append((file, seal(value, sites, _recipients(file, recipients))))
    for file, data in fresh:
        _write(file, data)
        typer.echo(f"{file}: encrypted again")


def _identity(config: Path | None) -> Path:
    """As the settings say. These commands stay who they are: they work on files of whoever calls them."""
    from reconciler.settings import load_settings
    from reconciler.wiring import identity_of

    return identity_of(load_settings(config))


def _opened(file: Path, identity: Path | None, config: Path | None) -> tuple[tuple[str, ...], bytes]:
    from reconciler.secret_file import read_secret
    from reconciler.world.age_files import identities_of, unseal

    path = identity or _identity(config)
    try:
        keys = identities_of(read_secret(path), str(path))
    except FileNotFoundError:
        raise ShipstoneError(f"cannot decrypt: there is no identity at {path}. Give another with --identity.") from None
    try:
        return unseal(_read(file), keys)
    except ShipstoneError as error:
        raise ShipstoneError(f"cannot decrypt {file}: {error}.") from None


def _recipients(file: Path, given: Path | None) -> list[Any]:
    from reconciler.world.age_files import recipients_of

    above = file.absolute().parents
    path = given or next((folder / RECIPIENTS for folder in above if (folder / RECIPIENTS).is_file()), None)
    if path is None:
        raise ShipstoneError(
            f"cannot encrypt {file}: there is no {RECIPIENTS} beside it or above. Write the public key of each host into one, "
            "as `shipstone secrets keygen` prints it."
        )
    return recipients_of(_read(path).decode("utf-8", "replace").splitlines(), str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ShipstoneError(f"cannot read {path}: {error.strerror}. Correct the path.") from None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(path)
    except OSError as error:
        raise ShipstoneError(f"cannot write {path}: {error.strerror}. Make its folder writable.") from None
