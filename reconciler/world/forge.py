"""Commit statuses of GitHub, GitLab and Gitea or Forgejo, as their HTTP APIs document them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

from reconciler.errors import SettingsError, ShipstoneError
from reconciler.world.git_address import printable

if TYPE_CHECKING:
    import httpx

Kind = Literal["github", "gitlab", "gitea", "forgejo"]
State = Literal["pending", "success", "failure", "superseded"]

WORDS: dict[Kind, dict[State, str]] = {
    "github": {"pending": "pending", "success": "success", "failure": "failure", "superseded": "error"},
    "gitlab": {"pending": "pending", "success": "success", "failure": "failed", "superseded": "canceled"},
    "gitea": {"pending": "pending", "success": "success", "failure": "failure", "superseded": "error"},
    "forgejo": {"pending": "pending", "success": "success", "failure": "failure", "superseded": "error"},
}
LONGEST: dict[Kind, int] = {"github": 140, "gitlab": 255, "gitea": 255, "forgejo": 255}
"""Characters of a description."""
AGAIN = (408, 425, 429)
"""Client errors that are none: it may be tried again."""
LOOPBACK = re.compile(r"http://(127(\.[0-9]+){3}|localhost|\[::1\])(:[0-9]+)?(/|$)")
SHOWN = 200
"""Characters of what a forge says that people get."""


class ForgeError(ShipstoneError):
    """The forge will not take this status, however often it is asked."""


class ForgeAwayError(ShipstoneError):
    """The forge did not answer, or has trouble of its own: it may take the status later."""


@dataclass(frozen=True)
class Status:
    """Of one commit: what is said of it. `target`: an address of the page, or empty."""

    commit: str
    state: State
    description: str
    target: str = ""


@dataclass(frozen=True)
class ForgePlace:
    """`api` without a slash at its end; `repository` as team/desired-state; `context` names these statuses among those of others."""

    kind: Kind
    api: str
    repository: str
    branch: str
    context: str
    token: str = field(repr=False)


def place_of(kind: Kind, api: str, repository: str, url: str) -> tuple[str, str]:
    """API and repository, each as it is set, else as the source's URL tells. Raises SettingsError."""
    host, path = _host_and_path(url)
    if not api:
        if not host:
            raise SettingsError(f"cannot tell where the API of {kind} is: [source] url names no server. Set [forge] api.")
        own = {"github": f"https://{host}/api/v3", "gitlab": f"https://{host}/api/v4"}
        api = "https://api.github.com" if (kind, host) == ("github", "github.com") else own.get(kind, f"https://{host}/api/v1")
    if not api.startswith("https://") and not LOOPBACK.match(api):
        raise SettingsError(
            f"cannot use [forge] api {printable(api)}: the token would be sent for anyone on the way to read. Use https://."
        )
    repository = repository or path
    if not re.fullmatch(r"[^/\s]+(/[^/\s]+)+", repository):
        raise SettingsError(f"cannot tell whose commits get the status: {printable(repository)!r}. Set [forge] repository: team/name.")
    return api.rstrip("/"), repository


def _host_and_path(url: str) -> tuple[str, str]:
    """A port is the API's too where it is that of https."""
    scp = re.fullmatch(r"(?:[^@/:]+@)?([^/:@]+):(?!//)(.+)", url)
    if scp:
        host, path = scp[1], scp[2]
    else:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
        if parts.scheme == "https" and parts.port:
            host = f"{host}:{parts.port}"
    return host, path.strip("/").removesuffix(".git")


class Forge:
    """Sends statuses to one repository."""

    def __init__(self, place: ForgePlace, timeout: float = 10.0) -> None:
        import httpx  # most have no forge, and it takes its time

        self._place = place
        self._client = httpx.Client(timeout=timeout, headers={"User-Agent": "shipstone", **_login(place)}, follow_redirects=False)

    def send(self, status: Status) -> None:
        """Raises ForgeAwayError where it is worth another try, ForgeError where it is not. Neither names the token."""
        import httpx

        what = f"cannot tell {self._place.kind} of commit {status.commit[:12]}"
        try:
            answer = self._client.post(path_of(self._place, status.commit), json=body_of(self._place, status))
        except httpx.HTTPError as error:
            raise ForgeAwayError(f"{what}: {self._place.api} does not answer ({type(error).__name__}). It is tried again.") from None
        if answer.is_success or _already(self._place.kind, status.state, answer):
            return
        said = f"{self._place.api} says {answer.status_code} {_reason(answer)}".strip()
        if answer.is_server_error or answer.status_code in AGAIN:
            raise ForgeAwayError(f"{what}: {said}. It is tried again.")
        raise ForgeError(f"{what}: {said}. Check [forge] repository, and that its token may write commit statuses.")

    def close(self) -> None:
        self._client.close()


def path_of(place: ForgePlace, commit: str) -> str:
    if place.kind == "gitlab":
        return f"{place.api}/projects/{quote(place.repository, safe='')}/statuses/{commit}"
    return f"{place.api}/repos/{quote(place.repository)}/statuses/{commit}"


def body_of(place: ForgePlace, status: Status) -> Mapping[str, str]:
    body = {"state": WORDS[place.kind][status.state], "description": shortened(status.description, LONGEST[place.kind])}
    if status.target:
        body["target_url"] = status.target
    if place.kind == "gitlab":
        return {**body, "name": place.context, "ref": place.branch}
    return {**body, "context": place.context}


def shortened(text: str, longest: int) -> str:
    """One line of at most so many characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _login(place: ForgePlace) -> dict[str, str]:
    if place.kind == "github":
        more = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        return {"Authorization": f"Bearer {place.token}", **more}
    if place.kind == "gitlab":
        return {"PRIVATE-TOKEN": place.token}
    return {"Authorization": f"token {place.token}", "Accept": "application/json"}


def _already(kind: Kind, state: State, answer: "httpx.Response") -> bool:
    """GitLab refuses what is pending to become pending."""
    return kind == "gitlab" and state == "pending" and answer.status_code == 400 and "Cannot transition status" in answer.text


def _reason(answer: "httpx.Response") -> str:
    try:
        data = answer.json()
        text = str(data.get("message") or data.get("error") or "") if isinstance(data, dict) else ""
    except ValueError:
        text = ""
    return shortened(text, SHOWN)
