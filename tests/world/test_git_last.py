"""What the git source has without asking a server: the commit that was taken last, also by an earlier process."""

from pathlib import Path

import pytest
from lab.host import Repository

from reconciler.world.git import GitSource


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "git")
    made.commit({"shipstone.yaml": "domain: example.org\n"}, "begin")
    return made


def test_what_was_taken_last_is_had_without_the_server(repository: Repository, tmp_path: Path) -> None:
    """By another process, as after a reboot; and the next fetch gives the same object where nothing changed."""
    mirror = tmp_path / "state" / "mirror.git"

    def begun() -> GitSource:
        return GitSource(str(repository.bare), "main", "", mirror, allow_file=True)

    assert begun().last() is None
    commit = begun().fetch().id
    away = repository.bare.rename(tmp_path / "away")
    source = begun()
    last = source.last()
    assert last is not None
    assert (last.id, last.read("shipstone.yaml")) == (commit, b"domain: example.org\n")
    away.rename(repository.bare)
    assert source.fetch() is last
    source.close()
    (mirror / "HEAD").write_text("broken")
    assert begun().last() is None


def test_another_repository_in_the_settings_has_no_last(repository: Repository, tmp_path: Path) -> None:
    mirror = tmp_path / "state" / "mirror.git"
    GitSource(str(repository.bare), "main", "", mirror, allow_file=True).fetch()
    assert GitSource(str(tmp_path / "other"), "main", "", mirror, allow_file=True).last() is None


def test_a_commit_that_waits_for_an_approval_is_not_the_last(repository: Repository, tmp_path: Path) -> None:
    """The branch was replaced while nobody approved it: what was taken counts, not what was fetched."""
    mirror = tmp_path / "state" / "mirror.git"
    first = GitSource(str(repository.bare), "main", "", mirror, allow_file=True).fetch().id
    repository.replace({"shipstone.yaml": "domain: other.example\n"})
    held = GitSource(str(repository.bare), "main", "", mirror, allow_file=True).fetch()
    assert held.waits
    last = GitSource(str(repository.bare), "main", "", mirror, allow_file=True).last()
    assert last is not None
    assert last.id == first
