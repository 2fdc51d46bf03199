"""Secrets as files in a container that is not started yet: readable by its user alone, in its own layer, never on this host's disk else."""

import io
import re
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from docker.errors import NotFound

from reconciler.desired.secrets import FOLDER
from reconciler.desired.spec import SecretValue
from reconciler.errors import EngineError

MOST = 2**20
"""Bytes of an image's /etc/passwd."""
HEADERS = 64 * 1024
"""Bytes of a tar around it."""
MEND = "Write user: with a number."


def put_secrets(api: Any, container_id: str, files: Iterable[tuple[str, SecretValue]], user: str) -> None:
    """`user` as a container's configuration has it: a number or a name, with a group or without; empty is root."""
    rows = tuple(files)
    if not rows:
        return
    owner = _uid(api, container_id, user.partition(":")[0] or "0")
    try:
        api.put_archive(container_id, "/run", _archive(rows, owner, "secrets"))
    except NotFound:  # the image has no /run
        api.put_archive(container_id, "/", _archive(rows, owner, "run/secrets"))


def _archive(files: Iterable[tuple[str, SecretValue]], owner: int, folder: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        parts = folder.split("/")
        for n in range(1, len(parts) + 1):
            above = tarfile.TarInfo("/".join(parts[:n]))
            above.type, above.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(above)
        for target, value in files:
            data = value.reveal()
            row = tarfile.TarInfo(f"{folder}/{target.removeprefix(FOLDER)}")
            row.size, row.mode, row.uid = len(data), 0o400, owner
            tar.addfile(row, io.BytesIO(data))
    return made.getvalue()


def _uid(api: Any, container_id: str, user: str) -> int:
    """A name is one of the image's own /etc/passwd."""
    if user.isascii() and user.isdigit():
        return int(user)
    with suppress(NotFound):
        stream, _ = api.get_archive(container_id, "/etc/passwd")
        for line in passwd_of(stream).decode("utf-8", "replace").splitlines():
            name, _, rest = line.partition(":")
            if name == user and (number := rest.split(":")[1:2]) and re.fullmatch("[0-9]{1,10}", number[0]):
                return int(number[0])
    raise EngineError(f"cannot give secrets to a container: its user {user} is not in the image's /etc/passwd. {MEND}")


def passwd_of(stream: Any) -> bytes:
    """Out of a tar that the image decides on: it may hold anything, of any size."""
    data = bytearray()
    for chunk in stream:
        data += chunk
        if len(data) > MOST + HEADERS:
            break
    stream.close()
    with suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.next()
        if member is not None and member.isreg() and member.size <= MOST and (file := tar.extractfile(member)):
            return file.read()
    raise EngineError(f"cannot give secrets to a container: the image's /etc/passwd is no plain file of at most 1 MiB. {MEND}")
