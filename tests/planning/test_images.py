"""Which images have had their time, and by what names they may be removed."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.planning.images import Ran, StoredImage, familiar, references, surplus

DIGESTS = [f"app@sha256:{n}" for n in range(6)]
ran_rows = st.lists(
    st.builds(
        lambda site, n, image, at: Ran(site, f"{site}{n}", f"app:{image}", DIGESTS[image], at),
        site=st.sampled_from(["blog", "shop"]),
        n=st.integers(0, 5),
        image=st.integers(0, 5),
        at=st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
    ),
    max_size=12,
)


def shop(n: int, at: float | None = None) -> Ran:
    return Ran("shop", f"r{n}", f"app:{n}", DIGESTS[n], n if at is None else at)


def test_older_releases_than_the_newest_few_give_their_images_back() -> None:
    rows = [shop(n) for n in (4, 1, 3, 2)]
    assert surplus(rows, 2, ()) == {DIGESTS[1]: {"app:1"}, DIGESTS[2]: {"app:2"}}
    assert surplus(rows, 1, ()) == surplus(rows, 2, ()), "the release before the one that runs always keeps its image"
    assert surplus(rows, 4, ()) == {}
    assert surplus(rows, 0, ()) == {}, "never"


def test_an_image_that_any_release_or_site_still_wants_stays() -> None:
    rows = [shop(n) for n in (1, 2, 3)]
    assert surplus([*rows, Ran("shop", "r4", "app:1", DIGESTS[1], 4)], 2, ()) == {DIGESTS[2]: {"app:2"}}
    assert surplus([*rows, Ran("blog", "b", "app:1", DIGESTS[1], 0)], 2, ()) == {}
    for wanted in ("app:1", "docker.io/library/app:1", DIGESTS[1]):
        assert surplus(rows, 2, {wanted}) == {}


def test_what_never_ran_whole_goes_first() -> None:
    assert surplus([shop(1), shop(5, at=0.0), shop(2)], 2, ()) == {DIGESTS[5]: {"app:5"}}


@given(rows=ran_rows, keep=st.integers(0, 4), wanted=st.sets(st.sampled_from(DIGESTS)))
def test_nothing_that_is_wanted_or_new_is_ever_surplus(rows: list[Ran], keep: int, wanted: set[str]) -> None:
    found = surplus(rows, keep, wanted)
    assert not found.keys() & wanted
    assert found.keys() <= {row.digest for row in rows}
    for site in ("blog", "shop"):
        newest = max((row for row in rows if row.site == site), key=lambda row: row.at, default=None)
        assert newest is None or newest.digest not in found


@pytest.mark.parametrize(
    ("names", "removed_by"),
    [
        (("app:1",), ("app:1",)),
        (("app@sha256:1", "app:1"), ("app:1", "app@sha256:1")),
        (("docker.io/library/app:1", "docker.io/library/app@sha256:1"), ("docker.io/library/app:1", "docker.io/library/app@sha256:1")),
        (("app@sha256:1",), ("app@sha256:1",)),
        ((), ("sha256:id",)),
        (("app:1", "app:latest"), ()),
        (("app:1", "mirror.example.com/app@sha256:1"), ()),
    ],
)
def test_an_image_goes_by_our_own_names_or_not_at_all(names: tuple[str, ...], removed_by: tuple[str, ...]) -> None:
    """Another name is somebody's, whoever gave it."""
    assert references(StoredImage("sha256:id", names, used=False), "app@sha256:1", {"app:1"}, ()) == removed_by


def test_an_image_that_is_used_or_wanted_by_its_name_is_left() -> None:
    """A tag that moved: the name that is wanted is of this image now."""
    for used, wanted in ((True, ()), (False, ("app:1",)), (False, ("app@sha256:1",))):
        assert references(StoredImage("sha256:id", ("app:1", "app@sha256:1"), used), "app@sha256:1", {"app:1"}, wanted) == ()


def test_names_are_compared_as_docker_shortens_them() -> None:
    hosts = ("", "docker.io/", "docker.io/library/", "library/", "index.docker.io/library/")
    assert {familiar(f"{host}nginx{tag}") for host, tag in product(hosts, ("", ":latest"))} == {"nginx:latest"}
    assert familiar("nginx:1.27@sha256:a") == familiar("docker.io/library/nginx@sha256:a") == "nginx@sha256:a"
    assert familiar("localhost:5000/nginx") == "localhost:5000/nginx:latest"
    assert familiar("index.example.org/nginx") == "index.example.org/nginx:latest"
    assert familiar("sha256:abc") == "sha256:abc"
