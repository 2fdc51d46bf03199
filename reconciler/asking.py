"""Writing down what people say, and who said it; the command line and the page do it here."""

import json

from reconciler.planning.events import Event
from reconciler.planning.intents import ALL, Said
from reconciler.world.store import Store


def write_down(store: Store, said: Said, by: str, at: float) -> None:
    """`at` is the time of day in seconds since 1970. Raises ShipstoneError where it cannot be kept."""
    store.say(said, at)
    _remember(store, said, by, at)


def take_back(store: Store, site: str, by: str, at: float) -> bool:
    """End a suspension and a rollback of a site; whether there was one. Raises ShipstoneError where it cannot be ended."""
    ended = store.unsay(site)
    if ended:
        _remember(store, Said("suspend", site), by, at, word="resume")
    return ended


def _remember(store: Store, said: Said, by: str, at: float, word: str = "") -> None:
    word = word or said.kind
    release = str(json.loads(said.value)["release"]) if said.kind == "rollback" and said.value else ""
    what = f"{word}{f' to {release}' if release else ''}, by {by}"
    store.history.record(
        [Event(at, "said", "" if said.site == ALL else said.site, release=release, what=what, more={"said": word, "by": by})]
    )
