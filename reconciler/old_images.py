"""Images of our own sites' past releases are removed when they have had their time: never forced, never anybody else's."""

from collections.abc import Collection

from reconciler.errors import EngineError
from reconciler.log import log
from reconciler.planning.images import Digests, references
from reconciler.world.engine import Engine
from reconciler.world.store import Store


def remove_images(engine: Engine, store: Store, found: Digests, wanted: Collection[str]) -> None:
    """What is refused, used or named by others is left until the next release of any site is at rest."""
    for digest, written in found.items():
        try:
            _remove(engine, store, digest, written, wanted)
        except EngineError as error:
            log.debug("an old image stays", image=digest, why=str(error))


def _remove(engine: Engine, store: Store, digest: str, written: frozenset[str], wanted: Collection[str]) -> None:
    stored = engine.image(digest)
    if stored is None:
        store.forget_image(digest)
        return
    names = references(stored, digest, written, wanted)
    if names and all(engine.remove_image(name) for name in names):
        store.forget_image(digest)
        log.info("removed an old image", image=digest, names=sorted(written))
    else:
        log.debug("an old image stays", image=digest, why="it is used, or has another name")
