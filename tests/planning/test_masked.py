"""A key of this host that was lost rolls nothing; a secret that changed under a known one does."""

from dataclasses import replace

from reconciler.desired.desired import Desired, DesiredService, DesiredSite
from reconciler.desired.release import counted, fingerprint
from reconciler.desired.spec import ContainerSpec, Route, SecretRef
from reconciler.planning.labels import container_labels
from reconciler.planning.masked import with_known_digests
from reconciler.planning.observed import Container

ROUTE = Route(("shop.test",))


def site(digest: str, image: str = "app:1", replicas: int = 1) -> DesiredSite:
    spec = ContainerSpec(image, 80, secrets=(SecretRef("A", "host:a", digest),) if digest else ())
    return DesiredSite("shop", fingerprint({"web": spec}, ROUTE), ROUTE, (DesiredService("web", spec, replicas),), commit="new")


def running(of: DesiredSite, counter: int = 0) -> Container:
    of = replace(of, release=counted(of.release, counter), commit="old")
    labels = container_labels("t", "net", "web", of, of.services[0], 1, "sha256:x")
    return Container("id", "name", "running", "none", labels, "10.0.0.2")


def kept(wanted: DesiredSite, *containers: Container) -> DesiredSite:
    return with_known_digests(Desired("r", {"shop": wanted}), containers).sites["shop"]


def test_with_an_unknown_key_the_site_is_as_it_runs() -> None:
    old = site("old.1111")
    now = kept(site("new.2222", replicas=3), running(old))
    assert now.release == old.release
    assert now.services[0].spec == old.services[0].spec
    assert (now.services[0].replicas, now.commit) == (3, "new"), "what else is written counts"


def test_a_restarted_release_is_known_by_its_content() -> None:
    old = site("old.1111")
    assert kept(site("new.2222"), running(old, counter=2)).release == old.release


def test_whatever_else_changed_is_another_release() -> None:
    wanted = site("new.2222", image="app:2")
    assert kept(wanted, running(site("old.1111"))) == wanted


def test_a_secret_that_changed_under_the_same_key_is_another_release() -> None:
    wanted = site("key.2222")
    assert kept(wanted, running(site("key.1111"))) == wanted


def test_a_secret_that_came_or_went_is_another_release() -> None:
    assert kept(site("key.2222"), running(site(""))) == site("key.2222")
    assert kept(site(""), running(site("old.1111"))) == site("")


def test_the_release_that_is_wanted_counts_more_than_an_old_one_beside_it() -> None:
    wanted = site("new.2222")
    assert kept(wanted, running(site("old.1111")), running(wanted)) == wanted
