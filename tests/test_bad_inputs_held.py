"""What bad input leaves behind: of every case, a host that is as it was, but for its neighbours, which go on."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.desired.policy import Policy
from reconciler.desired.revision import Entry, Revision
from reconciler.world.memory import Behaviour
from tests.bad_inputs import COMPILE, CONTAINERS, HOSTILE, NAMES, POLICY, ROWS, YAML
from tests.bad_sites import ALONE, BLOG, STORED, WRITTEN, BadCase, bad_cases
from tests.memory_host import MemoryHost

IMAGE = "nginx:1.27-alpine"
CASES = bad_cases()
FLEET = {"shipstone.yaml": f"domain: shipstone.local\ndefaults: {{image: '{IMAGE}', port: 80}}\n".encode()}
GOOD = b"environment: {V: good}\n"
STAYS = FLEET | {"sites/shop.yaml": b"{}"}


def revision_of(files: dict[str, bytes], case: BadCase | None = None) -> Revision:
    kinds, sizes = (case.kinds, case.sizes) if case else ({}, {})
    digest = {path: hashlib.sha256(text).hexdigest() for path, text in files.items()}
    entries = {path: Entry(digest[path], kinds.get(path, "file"), sizes.get(path, len(text))) for path, text in files.items()}  # type: ignore[arg-type]
    return Revision(hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest(), entries, files.__getitem__)


def neighbour(version: int) -> dict[str, bytes]:
    return {"sites/two.yaml": f"environment: {{V: '{version}'}}\nrollout: {{min_healthy: 0s, drain: 0s}}\n".encode()}


class Hosts:
    """One for each policy: three sites run on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[tuple[Policy, MemoryHost]] = []
        self.version = 0

    def of(self, policy: Policy) -> MemoryHost:
        for made, host in self._made:
            if made is policy:
                return host
        host = MemoryHost(self._folder / str(len(self._made)), policy)
        host.engine.images |= dict.fromkeys((IMAGE, "nginx", "nginx:latest", "r.io:5000/nginx"), Behaviour())
        self._made.append((policy, host))
        self.rest(host)
        return host

    def rest(self, host: MemoryHost) -> None:
        """Everything as it should be, and at rest."""
        desired = host.take(revision_of(STAYS | neighbour(self.version) | {BLOG: GOOD}))
        assert not desired.problems
        host.until_quiet()

    def close(self) -> None:
        for _, host in self._made:
            host.close()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    yield made
    made.close()


def seen(host: MemoryHost, *left_out: str) -> dict[str, object]:
    """All that is on the engine and pinned, but for some sites."""
    containers = {c.id: replace(c, up=0.0) for c in host.engine.containers() if c.site not in left_out}
    return {"containers": containers, "volumes": set(host.engine.volumes), "images": set(host.engine.images), "pins": host.pins.read()}


@pytest.mark.parametrize("case", [case for case in CASES if case.said != "warning"], ids=lambda case: case.name)
def test_it_is_said_and_nothing_is_changed(hosts: Hosts, case: BadCase) -> None:
    """Its site keeps the release that it had, a new one of the same text does not come, and a neighbour's new version does."""
    host = hosts.of(case.policy)
    before, hosts.version = seen(host, "two"), hosts.version + 1
    fresh = {"sites/fresh.yaml": case.files[BLOG]} if [*case.files] == [BLOG] and not case.sizes and not case.kinds else {}
    files = STAYS | neighbour(hosts.version) | {BLOG: GOOD} | dict(case.files) | fresh
    desired = host.take(revision_of(files, case))
    plan = host.until_quiet()
    assert {problem.severity for problem in desired.problems} - {"warning"} == ({case.said} - {""})
    assert all(str(problem).isprintable() for problem in desired.problems)
    assert desired.held.keys() - {"fresh"} == case.held
    assert {plan.sites[name].sync for name in desired.held} <= {"held"}
    assert seen(host, "two") == before
    (two,) = [c for c in host.engine.containers() if c.site == "two"]
    assert two.live is not None
    assert two.live["environment"] == {"V": str(hosts.version)}
    hosts.rest(host)
    assert seen(host, "two") == before, "mended, it is as before"


@pytest.mark.parametrize("case", [case for case in CASES if case.said == "warning"], ids=lambda case: case.name)
def test_a_warning_holds_nobody(hosts: Hosts, case: BadCase) -> None:
    host = hosts.of(case.policy)
    desired = host.take(revision_of(STAYS | neighbour(hosts.version) | dict(case.files), case))
    plan = host.until_quiet()
    assert {problem.severity for problem in desired.problems} == {"warning"}
    assert (plan.sites["blog"].sync, plan.sites["blog"].health) == ("synced", "healthy")
    hosts.rest(host)


def test_every_row_that_is_content_is_among_them() -> None:
    stored = {(HOSTILE, name) for name in STORED}
    content = {(file, test) for _, file, test, _ in ROWS if file in (YAML, NAMES, CONTAINERS, COMPILE, POLICY, HOSTILE)}
    assert content <= {*WRITTEN, *ALONE, *stored}
