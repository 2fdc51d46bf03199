"""What a webhook's payload hints at: which repository and which branches or tags were pushed. Nothing else of it is believed. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from reconciler.web.signatures import RefusedError

HEADS, TAGS = "refs/heads/", "refs/tags/"
BITBUCKET = {"branch": HEADS, "tag": TAGS}
"""It names what was pushed by its kind."""
ADDRESSES = ("clone_url", "ssh_url", "git_url", "html_url", "url", "git_http_url", "git_ssh_url", "http_url", "web_url")
NAMES = ("full_name", "path_with_namespace")


@dataclass(frozen=True)
class Hint:
    """`repositories`: addresses and names of the one that was pushed to; `refs` that were changed."""

    repositories: frozenset[str]
    refs: frozenset[str]

    def concerns(self, url: str, branch: str, *, tags: bool = False) -> bool:
        """`tags`: a tag may say what runs. Hosts are not compared: a server has another name inside its network than outside."""
        ours = place(url)
        meant = HEADS + branch in self.refs or (tags and any(ref.startswith(TAGS) for ref in self.refs))
        return meant and any(_same(ours, place(one)) for one in self.repositories)


def hint_of(body: bytes | bytearray) -> Hint:
    """Of any of the five providers. Raises RefusedError where it is no JSON object, or one nested too deep."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"it is no JSON ({type(error).__name__}): set the webhook's content type to application/json") from None
    if not isinstance(data, dict):
        raise RefusedError(400, "it is JSON, but no object")
    return Hint(frozenset(_repositories(data)), frozenset(_refs(data)))


def place(address: str) -> str:
    """The path of a repository on its server, as in team/desired-state."""
    scp = re.fullmatch(r"[^/:]+:(?!//)(.*)", address)
    try:
        path = scp[1] if scp else urlsplit(address).path
    except ValueError:
        path = ""
    return unquote(path).strip("/").removesuffix(".git").casefold()


def _same(one: str, other: str) -> bool:
    """Equal, or one of them below a folder of the server: /scm/team/x is team/x by ssh."""
    short, long = sorted((one, other), key=len)
    return bool(short) and (short == long or ("/" in short and long.endswith(f"/{short}")))


def _repositories(data: dict[str, Any]) -> Iterator[str]:
    for part in (data.get("repository"), data.get("project")):
        if not isinstance(part, dict):
            continue
        for key in (*ADDRESSES, *NAMES):
            if isinstance(value := part.get(key), str):
                yield value
        links = part.get("links")
        clone = links.get("clone") if isinstance(links, dict) else None
        for row in clone if isinstance(clone, list) else ():
            if isinstance(row, dict) and isinstance(row.get("href"), str):
                yield row["href"]


def _refs(data: dict[str, Any]) -> Iterator[str]:
    refs = [data.get("ref")]
    push = data.get("push")
    for changes in (data.get("changes"), push.get("changes") if isinstance(push, dict) else None):
        for change in changes if isinstance(changes, list) else ():
            if isinstance(change, dict):
                ref, new = change.get("ref"), change.get("new")
                refs.append(ref.get("id") if isinstance(ref, dict) else None)
                if isinstance(new, dict) and isinstance(new.get("name"), str):
                    refs += [f"{prefix}{new['name']}" for kind, prefix in BITBUCKET.items() if new.get("type") == kind]
    yield from (ref for ref in refs if isinstance(ref, str))
