"""What commands that go on do beside what they show: a git server, a terminal, that are slow."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.host import until

from reconciler.commands.findings import look_on
from reconciler.commands.history import AHEAD, as_they_come
from reconciler.desired.policy import Policy
from reconciler.desired.revision import Revision
from reconciler.errors import EngineError
from reconciler.world.directory import DirectorySource
from reconciler.world.memory import Behaviour
from tests.memory_host import MemoryHost


def test_a_git_server_that_hangs_does_not_hold_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    (source / "sites").mkdir(parents=True)
    (source / "sites" / "shop.yaml").write_text("image: app:1\nport: 80\n")
    host = MemoryHost(tmp_path, Policy())
    host.engine.images["app:1"] = Behaviour()
    fetches, asked, go = itertools.count(), threading.Event(), threading.Event()

    def fetch() -> Revision:
        if next(fetches) > 0:
            asked.set()
            go.wait(30)
            raise KeyboardInterrupt
        return DirectorySource(source).fetch()

    assert not host.take(DirectorySource(source).fetch()).problems
    host.until_quiet()
    watching = threading.Thread(target=look_on, args=(host._reconciler, fetch, 0.0), daemon=True)
    watching.start()
    assert asked.wait(30)
    capsys.readouterr()
    host.engine.destroy(host.engine.containers()[0].id)
    shown: list[str] = []

    def is_shown(word: str) -> bool:
        shown.append(capsys.readouterr().out)
        return word in "".join(shown)

    until(lambda: is_shown("0/1"), "it is shown that nothing runs", 20)
    go.set()
    watching.join(20)
    assert not watching.is_alive()
    host.close()


def test_who_says_more_than_is_read_waits() -> None:
    said, more, over = itertools.count(), threading.Event(), threading.Event()

    def endless() -> Iterator[str]:
        for n in said:
            if n > AHEAD + 2:
                more.set()
            if over.is_set():
                return
            yield str(n)

    lines = as_they_come({"a": endless()})
    assert next(lines) == "a | 0"
    assert not more.wait(0.3)
    assert [next(lines) for _ in range(2 * AHEAD)][-1] == f"a | {2 * AHEAD}"
    over.set()
    assert len(list(lines)) <= AHEAD + 2


def test_lines_come_until_the_last_one_ends() -> None:
    def broken() -> Iterator[str]:
        yield "begun"
        raise EngineError("cannot read the log of b")

    lines = list(as_they_come({"a": iter(["one", "two"]), "b": broken()}))
    assert sorted(lines) == ["a | one", "a | two", "b | begun", "cannot read the log of b"]
