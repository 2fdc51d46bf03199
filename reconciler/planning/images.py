"""Images of past releases: which ones have had their time. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.planning.past import PastRelease

LEAST = 2
"""So many releases of a site keep their images whatever is set: the one that runs, and the one before it."""
Digests = Mapping[str, frozenset[str]]
"""Digest → the names it was written by."""


@dataclass(frozen=True)
class Ran:
    """`release` of `site` had the image `digest`, written as `image`; `at`: when it was first whole (seconds since 1970), 0: never."""

    site: str
    release: str
    image: str
    digest: str
    at: float


@dataclass(frozen=True)
class StoredImage:
    """An image on the engine: its id, all its tags and digests, and whether any container at all was made of it."""

    id: str
    names: tuple[str, ...]
    used: bool


def ran(past: Iterable[PastRelease]) -> tuple[Ran, ...]:
    """The images of past releases."""
    return tuple(
        Ran(old.site.name, old.site.release, service.spec.image, service.digest, old.at)
        for old in past
        for service in old.site.services
        if service.digest
    )


def surplus(rows: Iterable[Ran], keep: int, wanted: Collection[str]) -> Digests:
    """Images that only older releases than the newest `keep` of each site had. 0: none.

    `wanted` are names and digests that must stay.
    """
    if keep == 0:
        return {}
    rows = tuple(rows)
    stays = {familiar(name) for name in wanted}
    kept: set[str] = set()
    for site in {row.site for row in rows}:
        of_site = sorted((row for row in rows if row.site == site), key=lambda row: -row.at)
        newest = list(dict.fromkeys(row.release for row in of_site))[: max(keep, LEAST)]
        kept |= {row.digest for row in of_site if row.release in newest}
    names: dict[str, set[str]] = {}
    for row in rows:
        names.setdefault(row.digest, set()).add(familiar(row.image))
    return {
        digest: frozenset(written)
        for digest, written in sorted(names.items())
        if digest not in kept and not stays & {familiar(digest), *written}
    }


def references(stored: StoredImage, digest: str, written: Collection[str], wanted: Collection[str]) -> tuple[str, ...]:
    """By what to remove it: all its names, or its id where it has none; nothing where it is used, wanted, or has a name of others."""
    ours = {familiar(digest), *(familiar(name) for name in written)}
    theirs = {familiar(name) for name in stored.names}
    if stored.used or theirs - ours or theirs & {familiar(name) for name in wanted}:
        return ()
    tags_first = sorted(stored.names, key=lambda name: "@" in name)
    return tuple(tags_first) or (stored.id,)


def familiar(image: str) -> str:
    """One spelling for all that name the same: without Docker's own registry, with a tag or a digest."""
    name, _, digest = image.partition("@")
    tagged = ":" in name.rsplit("/", 1)[-1]
    repository = name.rpartition(":")[0] if tagged else name
    repository = re.sub(r"^(?:index\.)?docker\.io/", "", repository).removeprefix("library/")
    if digest:
        return f"{repository}@{digest}"
    return f"{repository}:{name.rpartition(':')[2] if tagged else 'latest'}"
