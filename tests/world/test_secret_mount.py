"""An image's /etc/passwd, which may hold anything."""

import io
import tarfile
from collections.abc import Iterator

import pytest

from reconciler.errors import EngineError
from reconciler.world.secret_mount import MOST, passwd_of


def archive(kind: bytes, data: bytes = b"", size: int | None = None) -> bytes:
    row, made = tarfile.TarInfo("passwd"), io.BytesIO()
    row.type, row.size, row.linkname = kind, len(data) if size is None else size, "shadow"
    made.write(row.tobuf(tarfile.GNU_FORMAT))
    made.write(data)
    return made.getvalue()


def test_a_plain_file_is_read() -> None:
    data = b"app:x:100:101::/:/bin/sh\n"
    assert passwd_of(iter_of(archive(tarfile.REGTYPE, data) + bytes(2048))) == data


def iter_of(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks


@pytest.mark.parametrize(
    "data",
    [
        archive(tarfile.SYMTYPE),
        archive(tarfile.LNKTYPE),
        archive(tarfile.FIFOTYPE),
        archive(tarfile.DIRTYPE),
        archive(tarfile.REGTYPE, bytes(MOST + 1)),
        archive(tarfile.REGTYPE, size=100),
        b"",
        b"x" * 1024,
    ],
    ids=["symlink", "link", "pipe", "folder", "large", "broken-off", "nothing", "no-tar"],
)
def test_what_is_no_plain_file_is_one_line(data: bytes) -> None:
    with pytest.raises(EngineError, match="the image's /etc/passwd is no plain file of at most 1 MiB"):
        passwd_of(iter_of(data))


def test_twenty_gigabytes_are_not_read() -> None:
    read = 0

    def huge() -> Iterator[bytes]:
        nonlocal read
        yield archive(tarfile.REGTYPE, size=20 * 2**30)
        while True:
            read += 1
            assert read < 4, "it is read on"
            yield bytes(2**20)

    stream = huge()
    with pytest.raises(EngineError, match="no plain file"):
        passwd_of(stream)
    assert next(stream, None) is None, "the stream is closed"
