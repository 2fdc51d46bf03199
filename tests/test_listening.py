"""Hearing of what happens on the engine, and how soon a pass follows another."""

import threading
from collections.abc import Iterator

from lab.host import until

from reconciler.desired.spec import ContainerSpec, NewContainer
from reconciler.listening import breath, listen
from reconciler.world.engine import Event
from reconciler.world.memory import Behaviour, MemoryEngine


def test_after_its_end_it_hears_nothing_more() -> None:
    """It sits in the engine's stream then, and leaves it at the next event."""
    engine, heard, stopping = MemoryEngine("t", "net"), threading.Event(), threading.Event()
    engine.images["blog"] = Behaviour()
    engine.ensure_network()
    made = engine.create(NewContainer("blog", "blog", ContainerSpec("blog", 80), (("shipstone.instance", "t"),), "net"))
    thread = threading.Thread(target=listen, args=(engine, heard.set, stopping), daemon=True)
    thread.start()
    until(lambda: engine.update(made, 1024) or heard.is_set(), "it hears", 10)
    stopping.set()
    until(lambda: engine.update(made, 2048) or not thread.is_alive(), "it ends", 10)


def test_what_nobody_foresaw_does_not_make_it_deaf() -> None:
    """It listens again, and everything is looked at anew."""
    heard, stopping = threading.Event(), threading.Event()

    class Odd(MemoryEngine):
        def events(self) -> Iterator[Event]:
            stopping.set()
            raise RuntimeError("no event at all")

    listen(Odd("t", "net"), heard.set, stopping)
    assert heard.is_set()


def test_a_pass_follows_at_once_where_little_moves_and_later_the_more_is_under_way() -> None:
    """It leaves half of one core to the rest; never more than two seconds go by."""
    assert breath(0.0, 1, 1) == 0.01
    assert breath(0.3, 1, 1) == 0.3
    assert 0.01 < breath(0.0, 100, 0) < breath(0.0, 100, 16) < breath(0.0, 1000, 1000) == 2.0
