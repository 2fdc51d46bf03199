"""Which host names the hosts file gets: what is written, and what is still served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.desired.policy import Policy
from reconciler.planning.guard import Guard
from reconciler.world.memory import Behaviour
from tests.memory_host import MemoryHost
from tests.test_bad_inputs_held import IMAGE, revision_of

FLEET = {"shipstone.yaml": f"domain: shop.test\ndefaults: {{image: '{IMAGE}', port: 80}}\n".encode()}
TWO = {"sites/one.yaml": b"rollout: {min_healthy: 0s, drain: 0s}\n", "sites/two.yaml": b"rollout: {min_healthy: 0s, drain: 0s}\n"}
ALL = {"shop.test", "one.shop.test", "two.shop.test"}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[MemoryHost]:
    host = MemoryHost(tmp_path, Policy(), Guard(1, 0.0))
    host.engine.images[IMAGE] = Behaviour()
    host.take(revision_of(FLEET | TWO))
    host.until_quiet()
    yield host
    host.close()


def test_a_name_goes_when_nothing_serves_it_any_more(host: MemoryHost) -> None:
    """A removal is drained first, and may wait for a person."""
    host.take(revision_of(FLEET | {"sites/one.yaml": TWO["sites/one.yaml"]}))
    assert set(host.hosts()) == ALL
    host.until_quiet()
    assert set(host.hosts()) == ALL - {"two.shop.test"}


def test_the_names_of_what_waits_to_be_removed_stay(host: MemoryHost) -> None:
    host.take(revision_of(FLEET))
    assert host.until_quiet().held_removals == {"one", "two"}
    assert set(host.hosts()) == ALL


def test_a_name_that_changes_is_there_under_both_until_the_old_one_is_gone(host: MemoryHost) -> None:
    host.take(revision_of(FLEET | TWO | {"sites/two.yaml": TWO["sites/two.yaml"] + b"hosts: [new.shop.test]\n"}))
    assert set(host.hosts()) == ALL | {"new.shop.test"}
    host.until_quiet()
    assert set(host.hosts()) == ALL - {"two.shop.test"} | {"new.shop.test"}


def test_after_a_start_with_broken_files_what_is_served_keeps_its_names(host: MemoryHost) -> None:
    host.start()
    desired = host.take(revision_of(FLEET | TWO | {"sites/two.yaml": b"nonsense: 1\n"}))
    assert (set(host.hosts()), desired.domain) == (ALL, "shop.test")
    host.start()
    unknown = host.take(revision_of(TWO | {"shipstone.yaml": b"nonsense: 1\n"}))
    assert (set(host.hosts()), unknown.domain) == (ALL - {"shop.test"}, "")
