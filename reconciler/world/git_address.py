"""Which repository, branch and folder to fetch: refused before git runs where they are unsafe, printed without passwords."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reconciler.errors import SourceError

USE = "Give an https:// or ssh:// URL as [source] url."
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
_PASSWORD = re.compile(r"://([^\s/:@]*):(?![0-9]{1,5}/)\S*@")
_MAIL = re.compile(r"://[^\s/:@]*@[^\s/]*@")
"""A user with an @ in its name: where the password begins is anybody's guess."""
_SPACED = re.compile(r"://[^/@]*\s[^/]*@")
_TOKEN = re.compile(r"(https?://)[^\s/:@]+@", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?#]*[?#])\S+", re.IGNORECASE)
_BAD_BRANCH = re.compile(r"""(?x) [\x00-\x20\x7f-\x9f~^:?*\[\\] | \.\. | @\{ | // | (^|/)\. | \.lock(/|$) | ^- | ^/ | [/.]$ | ^@$ | ^$""")


@dataclass(frozen=True)
class Address:
    """`url` is what git gets (never with a password: others on the host can read command lines), `shown` is what people get."""

    url: str
    shown: str
    branch: str
    path: str
    protocols: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def redacted(text: str) -> str:
    """The text with the password, the bare token and the query of every URL in it replaced by ***."""
    return _QUERY.sub(r"\1***", _TOKEN.sub(r"\1***@", _PASSWORD.sub(r"://\1:***@", _MAIL.sub("://***@", text))))


def printable(text: str) -> str:
    """One line: what would move a terminal's cursor, or break the line, is shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def address(url: str, branch: str, path: str, *, allow_file: bool) -> Address:
    """Checks what the settings say. Raises SourceError with one line."""
    shown = printable(redacted(_SPACED.sub("://***@", url)))
    git_url, username, password = _url(url, shown, allow_file=allow_file)
    if _BAD_BRANCH.search(branch):
        raise SourceError(f"cannot fetch {shown}: {printable(branch)!r} is not a branch name. Set [source] branch to a name such as main.")
    return Address(git_url, shown, branch, _folder(path, shown), "https:ssh:file:git" if allow_file else "https:ssh", username, password)


def _url(url: str, shown: str, *, allow_file: bool) -> tuple[str, str, str]:
    """The URL without a password, the user and the password."""
    if not url.strip():
        raise SourceError("cannot fetch: no repository is set. Set [source] url, or use a plain folder with --source.")
    if url.startswith("-"):
        raise SourceError(f"cannot fetch {shown}: git would read it as an option. {USE}")
    if not unquote(url).isprintable():
        raise SourceError(f"cannot fetch {shown}: the URL holds a line break or another control character. {USE}")
    if _HELPER.match(url):
        raise SourceError(f"cannot fetch {shown}: a transport with :: can run any command. {USE}")
    scheme = _SCHEME.match(url)
    if scheme:
        return _with_scheme(scheme[1].lower(), url[scheme.end() :], shown, allow_file=allow_file)
    head, colon, tail = url.partition(":")
    if colon and "/" not in head:
        _no_options(head, tail, shown)
        return url, "", ""
    _file_allowed("a path on this host", shown, allow_file=allow_file)
    return str(Path(url).absolute()), "", ""


def _with_scheme(scheme: str, rest: str, shown: str, *, allow_file: bool) -> tuple[str, str, str]:
    if scheme == "http":
        raise SourceError(f"cannot fetch {shown}: http:// lets anyone on the way change what runs. Use https:// instead.")
    if scheme in ("file", "git"):
        _file_allowed(f"{scheme}://", shown, allow_file=allow_file)
    elif scheme not in ("https", "ssh"):
        raise SourceError(f"cannot fetch {shown}: {scheme}:// is not allowed. {USE}")
    if scheme == "file":
        return f"file://{rest}", "", ""
    if re.search(r"\s", rest):
        raise SourceError(f"cannot fetch {shown}: the URL holds a space. Write %20 for it.")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise SourceError(f"cannot fetch {shown}: the URL has no valid host name. {USE}")
    if scheme == "https" and (parts.query or parts.fragment):
        raise SourceError(f"cannot fetch {shown}: others on this host could read what follows ? or #. Use [source] credentials_file.")
    where, _, path = rest.partition("/")
    userinfo, _, server = where.rpartition("@")
    _no_options(where, path, shown)
    user, _, password = (unquote(part) for part in userinfo.partition(":"))
    if scheme == "https":
        return f"https://{server}/{path}", user, password
    return f"{scheme}://{user + '@' if user else ''}{server}/{path}", "", ""


def _no_options(where: str, path: str, shown: str) -> None:
    """ssh and git read a user, host or path that begins with a hyphen as an option."""
    if any(part.startswith("-") for part in (*unquote(where).split("@"), unquote(path))):
        raise SourceError(f"cannot fetch {shown}: its user, host or path begins with a hyphen and would be read as an option. {USE}")


def _file_allowed(what: str, shown: str, *, allow_file: bool) -> None:
    if not allow_file:
        raise SourceError(f"cannot fetch {shown}: {what} is not allowed. Set [source] allow_file = true if this is meant.")


def _folder(path: str, shown: str) -> str:
    """The folder inside the repository, without slashes at its ends; "" is the root."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise SourceError(f"cannot fetch {shown}: {printable(path)!r} leaves the repository. Set [source] path to a folder in it.")
    return "/".join(parts)
