"""Commit statuses, sent to a local server that checks them against the documented form of each API."""

from collections.abc import Iterator

import pytest
from lab.forge import LONGEST, TOKEN, TestForge, a_forge
from lab.ports import Ports

from reconciler.errors import SettingsError
from reconciler.world.forge import Forge, ForgeAwayError, ForgeError, ForgePlace, Kind, Status, place_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
KINDS: tuple[Kind, ...] = ("github", "gitlab", "gitea", "forgejo")


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest) -> Iterator[TestForge]:
    with a_forge(request.param) as forge:
        yield forge


def sender(there: TestForge, url: str = "") -> Forge:
    return Forge(ForgePlace(there.kind, url or there.url, "team/desired-state", "main", "shipstone", TOKEN))  # type: ignore[arg-type]


def test_each_state_is_taken(there: TestForge) -> None:
    forge = sender(there)
    for state in ("pending", "success", "failure", "superseded"):
        forge.send(Status(COMMIT, state, f"is {state}", "https://shipstone.example.com/"))  # type: ignore[arg-type]
    assert there.wrong == []
    last = {"gitlab": ["failed", "canceled"]}.get(there.kind, ["failure", "error"])
    assert there.states(COMMIT) == ["pending", "success", *last]
    _, body = there.taken[0]
    assert (body["description"], body["target_url"]) == ("is pending", "https://shipstone.example.com/")
    assert body["name" if there.kind == "gitlab" else "context"] == "shipstone"
    forge.close()


def test_a_long_description_is_cut_and_a_missing_page_left_out(there: TestForge) -> None:
    forge = sender(there)
    forge.send(Status(COMMIT, "failure", "x\n" + "ä" * 1000))
    ((_, body),) = there.taken
    assert there.wrong == []
    assert "target_url" not in body
    assert len(body["description"]) == LONGEST[there.kind]
    assert body["description"].startswith("x ä")
    assert body["description"].endswith("ä…")
    forge.close()


@pytest.mark.parametrize("status", [401, 403, 404, 422, 301])
def test_what_it_will_never_take_is_told_from_what_it_may_take_later(there: TestForge, status: int) -> None:
    forge = sender(there)
    there.answers = [(status, '{"message": "Bad credentials"}'), (502, "<html>"), (429, "")]
    with pytest.raises(ForgeError, match=f"says {status} Bad credentials. Check ") as refused:
        forge.send(Status(COMMIT, "success", ""))
    assert TOKEN not in str(refused.value)
    for away in ("says 502. It is tried again", "says 429"):
        with pytest.raises(ForgeAwayError, match=away):
            forge.send(Status(COMMIT, "success", ""))
    forge.close()


def test_gitlab_has_nothing_against_what_is_pending_already() -> None:
    with a_forge("gitlab") as there:
        forge = sender(there)
        for _ in range(2):
            forge.send(Status(COMMIT, "pending", ""))
        assert there.states() == ["pending"]
        there.answers = [(400, '{"message": "Cannot transition status via :enqueue from :pending"}')]
        with pytest.raises(ForgeError):
            forge.send(Status(COMMIT, "success", ""))
        forge.close()


def test_one_that_is_not_there_is_tried_again() -> None:
    with a_forge("github") as there:
        ports = Ports()
        forge = sender(there, f"http://127.0.0.1:{ports.take()}")
        with pytest.raises(ForgeAwayError, match="does not answer"):
            forge.send(Status(COMMIT, "success", ""))
        forge.close()
        ports.close()


@pytest.mark.parametrize(
    ("kind", "url", "api", "repository"),
    [
        ("github", "https://github.com/team/state.git", "https://api.github.com", "team/state"),
        ("github", "git@github.com:team/state.git", "https://api.github.com", "team/state"),
        ("github", "https://token@git.corp.example/team/state", "https://git.corp.example/api/v3", "team/state"),
        ("gitlab", "https://gitlab.com/group/sub/state.git", "https://gitlab.com/api/v4", "group/sub/state"),
        ("gitlab", "ssh://git@git.example.com:2222/group/state.git", "https://git.example.com/api/v4", "group/state"),
        ("gitea", "https://git.example.com:3000/team/state.git", "https://git.example.com:3000/api/v1", "team/state"),
        ("forgejo", "git@codeberg.org:team/state.git", "https://codeberg.org/api/v1", "team/state"),
    ],
)
def test_the_source_tells_where_it_is(kind: Kind, url: str, api: str, repository: str) -> None:
    assert place_of(kind, "", "", url) == (api, repository)
    assert place_of(kind, "https://x.example/api/", "a/b", url) == ("https://x.example/api", "a/b")


@pytest.mark.parametrize(
    ("api", "repository", "url", "why"),
    [
        ("", "a/b", "/srv/git/state.git", "names no server. Set .forge. api"),
        ("http://git.example.com/api/v1", "a/b", "", "Use https://"),
        ("http://127.0.0.1.example.com/api/v1", "a/b", "", "Use https://"),
        ("https://x.example", "", "https://git.example.com/state.git", "Set .forge. repository"),
    ],
)
def test_what_it_does_not_tell_is_asked_for(api: str, repository: str, url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        place_of("gitea", api, repository, url)
