"""The git source on real repositories and real (and really bad) servers."""

import base64
import gc
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lab.certificate import self_signed
from lab.host import until
from lab.ports import Ports

from reconciler.desired.revision import Revision
from reconciler.errors import SourceError
from reconciler.world.git import GitSource
from reconciler.world.git_address import address, redacted
from reconciler.world.git_command import GitError

WHO = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"]


class Upstream:
    """A bare repository that people push to, and a clone of it that they push from."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.work = folder / "upstream.git", folder / "work"
        run("init", "-q", "--bare", str(self.bare))
        run("init", "-q", str(self.work))

    def push(self, files: dict[str, str], subject: str = "change", *, branch: str = "main", force: bool = False) -> str:
        """Commits `files` and pushes; the commit's id."""
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        self.git("push", "-q", *(["--force"] if force else []), str(self.bare), f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        return run("-C", str(self.work), *arguments)


def run(*arguments: str) -> str:
    return subprocess.run(["git", *WHO, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "state" / "mirror.git"


@pytest.fixture
def source(upstream: Upstream, mirror: Path) -> Iterator[GitSource]:
    source = GitSource(str(upstream.bare), "main", "", mirror, allow_file=True)
    yield source
    source.close()


def refusal(source: GitSource) -> str:
    """The one line that fetch() ends with."""
    with pytest.raises(SourceError) as caught:
        source.fetch()
    text = str(caught.value)
    assert text.startswith("cannot fetch")
    assert text.isprintable()
    return text


def test_first_fetch_has_the_commit_and_its_files(upstream: Upstream, source: GitSource) -> None:
    """Id, author, subject and time are the commit's; entries and bytes are its files."""
    before = time.time() - 2
    commit = upstream.push({"shipstone.yaml": "domain: x\n", "sites/web.yaml": "image: a\n"}, "Begin")
    revision = source.fetch()
    assert (revision.id, revision.author, revision.subject) == (commit, "Ada", "Begin")
    assert before < revision.committed_at < time.time() + 2
    assert sorted(revision.entries) == ["shipstone.yaml", "sites/web.yaml"]
    assert revision.entries["sites/web.yaml"].size == 9
    assert revision.read("sites/web.yaml") == b"image: a\n"


def test_unchanged_branch_gives_the_same_object(upstream: Upstream, source: GitSource) -> None:
    """So that compiling can be skipped."""
    upstream.push({"a": "1"})
    first = source.fetch()
    upstream.push({"a": "2"}, branch="other")
    assert source.fetch() is first


def test_only_changed_files_have_new_ids(upstream: Upstream, source: GitSource) -> None:
    upstream.push({"a": "1", "b": "1"})
    first = source.fetch()
    upstream.push({"b": "2"})
    second = source.fetch()
    assert second.id != first.id
    assert second.entries["a"].id == first.entries["a"].id
    assert second.entries["b"].id != first.entries["b"].id


def test_bytes_stay_those_of_the_commit_after_later_pushes(upstream: Upstream, source: GitSource) -> None:
    upstream.push({"b": "1"})
    upstream.push({"a": "old\r\n\0é"})
    first = source.fetch()
    commit = upstream.push({"a": "new"})
    second = source.fetch()
    assert second.id == commit
    assert (first.read("a"), second.read("a")) == ("old\r\n\0é".encode(), b"new")


def test_files_of_any_size_and_name(upstream: Upstream, source: GitSource) -> None:
    """Nothing in a name or in the bytes confuses the listing or the reading."""
    odd = 'sp ace/"q"\n\té'
    upstream.push({"empty": "", odd: "odd", "big": "x" * 3_000_000, ":(glob)*": "magic", "-x": "option"})
    revision = source.fetch()
    assert sorted(revision.entries) == sorted(["empty", odd, "big", ":(glob)*", "-x"])
    assert [len(revision.read(name)) for name in ("empty", odd, "big", ":(glob)*", "-x")] == [0, 3, 3_000_000, 5, 6]


def test_a_name_that_is_not_utf8_is_shown_with_an_escape(upstream: Upstream, source: GitSource) -> None:
    with open(os.path.join(os.fsencode(upstream.work), b"caf\xe9"), "w") as file:
        file.write("x")
    upstream.push({})
    assert source.fetch().read("caf\\xe9") == b"x"


def test_subjects_cannot_write_on_the_terminal(upstream: Upstream, source: GitSource) -> None:
    upstream.push({"a": "1"}, "red \x1b[31m")
    assert source.fetch().subject == "red \\x1b[31m"


def test_a_long_subject_is_cut(upstream: Upstream, source: GitSource) -> None:
    upstream.push({"a": "1"}, "x" * 100_000)
    assert source.fetch().subject == "x" * 200


def test_kinds_and_the_executable_bit(upstream: Upstream, source: GitSource, tmp_path: Path) -> None:
    """A symlink is never followed; a submodule has no content."""
    (upstream.work / "link").symlink_to("/etc/passwd")
    (upstream.work / "run").write_text("#!/bin/sh\n")
    (upstream.work / "run").chmod(0o755)
    other = Upstream(tmp_path / "other")
    other.push({"x": "x"})
    upstream.git("submodule", "--quiet", "add", str(other.bare), "sub")
    upstream.push({"plain": "x"})
    revision = source.fetch()
    kinds = {name: (entry.kind, entry.executable) for name, entry in revision.entries.items()}
    assert kinds == {
        ".gitmodules": ("file", False),
        "link": ("symlink", False),
        "plain": ("file", False),
        "run": ("file", True),
        "sub": ("submodule", False),
    }
    assert revision.read("link") == b"/etc/passwd"
    with pytest.raises(SourceError, match="cannot read sub: it is a submodule"):
        revision.read("sub")
    with pytest.raises(SourceError, match="cannot read nope: it is not there at commit"):
        revision.read("nope")


def test_a_folder_of_the_repository(upstream: Upstream, mirror: Path) -> None:
    """Paths are relative to it, and a neighbour with the same beginning is no part of it."""
    upstream.push({"hosts/one/sites/a.yaml": "a", "hosts/one-more/b": "b", "c": "c", "link/x": "x"})
    for path in ("hosts/one", "/hosts//one/", "./hosts/one"):
        revision = GitSource(str(upstream.bare), "main", path, mirror, allow_file=True).fetch()
        assert list(revision.entries) == ["sites/a.yaml"]
        assert revision.read("sites/a.yaml") == b"a"


@pytest.mark.parametrize(
    ("path", "why"), [("nope", "has no folder 'nope'"), ("c", "has no folder 'c'"), ("../x", "leaves"), ("a/../../b", "leaves")]
)
def test_a_folder_that_is_not_there(upstream: Upstream, mirror: Path, path: str, why: str) -> None:
    upstream.push({"c": "c"})
    assert why in refusal(GitSource(str(upstream.bare), "main", path, mirror, allow_file=True))
    assert not mirror.with_name("mirror.git.new").exists()


def test_an_empty_repository(source: GitSource) -> None:
    assert "the repository is empty. Push a first commit to its branch main." in refusal(source)


def test_a_branch_that_is_not_there_names_those_that_are(upstream: Upstream, source: GitSource) -> None:
    upstream.push({"a": "1"}, branch="master")
    assert "it has no branch 'main', but master. Set [source] branch" in refusal(source)


def test_a_deleted_branch_is_said_and_comes_back(upstream: Upstream, source: GitSource) -> None:
    """What was fetched before stays readable."""
    upstream.push({"a": "1"})
    upstream.push({}, branch="other")
    first = source.fetch()
    run("-C", str(upstream.bare), "update-ref", "-d", "refs/heads/main")
    assert "it has no branch 'main', but other" in refusal(source)
    assert first.read("a") == b"1"
    commit = upstream.push({"a": "2"})
    assert source.fetch().id == commit


def test_a_repository_that_is_not_there(tmp_path: Path, mirror: Path) -> None:
    assert "there is no repository, or no right to see it" in refusal(GitSource(str(tmp_path / "no"), "main", "", mirror, allow_file=True))


def test_another_url_for_the_same_mirror(upstream: Upstream, source: GitSource, mirror: Path, tmp_path: Path) -> None:
    """The mirror remembers no remote; an unrelated history takes the place of the old one."""
    upstream.push({"a": "1"})
    source.fetch()
    other = Upstream(tmp_path / "other")
    commit = other.push({"b": "2"})
    moved = GitSource(f"file://{other.bare}", "main", "", mirror, allow_file=True).fetch()
    assert (moved.id, list(moved.entries)) == (commit, ["b"])
    assert str(upstream.bare) not in (mirror / "config").read_text()


def damage_head(mirror: Path) -> None:
    (mirror / "HEAD").unlink()


def damage_objects(mirror: Path) -> None:
    shutil.rmtree(mirror / "objects")
    (mirror / "objects").mkdir()


def damage_bytes(mirror: Path) -> None:
    for path in (mirror / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"rubbish")


def damage_truncate(mirror: Path) -> None:
    for path in (mirror / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def damage_ref(mirror: Path) -> None:
    (mirror / "refs/heads/shipstone").write_text("rubbish\n")


def damage_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core\n")


def damage_all(mirror: Path) -> None:
    shutil.rmtree(mirror)
    mirror.mkdir()
    (mirror / "x").write_text("x")


DAMAGES = [damage_head, damage_objects, damage_bytes, damage_truncate, damage_ref, damage_config, damage_all]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "running"])
def test_a_damaged_mirror_is_made_anew(upstream: Upstream, source: GitSource, mirror: Path, damage: object, restarted: bool) -> None:
    """By the fetch that finds it, whether a new commit is there or Shipstone starts again."""
    upstream.push({"a": "1"})
    source.fetch()
    assert callable(damage)
    damage(mirror)
    commit = upstream.push({"a": "2"})
    again = GitSource(str(upstream.bare), "main", "", mirror, allow_file=True) if restarted else source
    revision = again.fetch()
    assert revision.id == commit
    assert revision.read("a") == b"2"
    run("-C", str(mirror), "fsck", "--strict")
    assert not mirror.with_name("mirror.git.new").exists()


@dataclass
class Replaced:
    """A branch whose history was replaced by another after `first` had been taken. `approved` is what a person let in."""

    upstream: Upstream
    mirror: Path
    first: Revision
    second: str
    approved: set[str] = field(default_factory=set)

    def source(self, branch: str = "main") -> GitSource:
        return GitSource(str(self.upstream.bare), branch, "", self.mirror, allow_file=True, approved=lambda: self.approved)

    def notice(self, commit: str) -> str:
        return (
            f"the branch main was replaced by an unrelated history ({self.first.id[:12]} → {commit[:12]}): "
            "nothing is changed. `shipstone approve` takes it."
        )


@pytest.fixture
def replaced(upstream: Upstream, source: GitSource, mirror: Path) -> Replaced:
    upstream.push({"a": "0"})
    upstream.push({"a": "1"})
    first = source.fetch()
    return Replaced(upstream, mirror, first, unrelated(upstream))


def unrelated(upstream: Upstream) -> str:
    """A commit that no other is like, even within one second."""
    now = str(time.monotonic_ns())
    upstream.git("checkout", "-q", "--orphan", f"again{now}")
    return upstream.push({"a": "2", "when": now}, force=True)


def test_an_unrelated_history_is_held(replaced: Replaced, source: GitSource) -> None:
    """Fetched or not, also by the next process; the last commit is still read."""
    for each in (source, replaced.source()):
        revision = each.fetch()
        assert (revision.id, revision.waits, revision.notice) == (replaced.first.id, replaced.second, replaced.notice(replaced.second))
        assert revision.read("a") == b"1"
        assert each.fetch() is revision
    third = replaced.upstream.push({"a": "3"})
    revision = source.fetch()
    assert (revision.id, revision.notice) == (replaced.first.id, replaced.notice(third))


def test_an_approved_history_is_taken_with_what_descends_from_it(replaced: Replaced) -> None:
    """And no other one; from then on it is the history that counts."""
    source = replaced.source()
    replaced.approved |= {"f" * 40, replaced.second}
    third = replaced.upstream.push({"a": "3"})
    revision = source.fetch()
    assert (revision.id, revision.waits, revision.notice, revision.read("a")) == (third, "", "", b"3")
    replaced.approved.clear()
    assert replaced.source().fetch().id == third
    other = unrelated(replaced.upstream)
    replaced.approved.add(replaced.second)
    revision = source.fetch()
    assert (revision.id, revision.waits) == (third, other)


@pytest.mark.parametrize("rewritten", [False, True], ids=["set back", "rewritten"])
def test_only_a_fast_forward_is_taken(upstream: Upstream, mirror: Path, rewritten: bool) -> None:
    """Until a person lets the commit in; that word does not count a second time for what comes after it."""
    first, second = upstream.push({"a": "1"}), upstream.push({"a": "2"})
    approved: set[str] = set()
    source = GitSource(str(upstream.bare), "main", "", mirror, allow_file=True, approved=lambda: approved)
    source.fetch()
    upstream.git("reset", "-q", "--hard", first)
    newest = upstream.push({"a": "3"}, force=True) if rewritten else first
    upstream.git("push", "-q", "--force", str(upstream.bare), f"{newest}:refs/heads/main")
    revision = source.fetch()
    assert (revision.id, revision.waits, revision.read("a")) == (second, newest, b"2")
    assert revision.notice == (
        f"the branch main was set back or rewritten ({second[:12]} → {newest[:12]}): nothing is changed. `shipstone approve` takes it."
    )
    approved.add(newest)
    third = upstream.push({"a": "4"}) if rewritten else newest
    revision = source.fetch()
    assert (revision.id, revision.waits, revision.notice) == (third, "", "")
    fourth, fifth = upstream.push({"a": "5"}), upstream.push({"a": "6"})
    assert source.fetch().id == fifth
    upstream.git("push", "-q", "--force", str(upstream.bare), f"{fourth}:refs/heads/main")
    revision = source.fetch()
    assert (revision.id, revision.waits) == (fifth, fourth)


def test_a_history_that_comes_back_needs_no_approval(replaced: Replaced) -> None:
    source = replaced.source()
    assert source.fetch().waits
    replaced.upstream.git("checkout", "-q", replaced.first.id)
    fourth = replaced.upstream.push({"a": "4"}, force=True)
    revision = source.fetch()
    assert (revision.id, revision.waits, revision.notice) == (fourth, "", "")


def test_another_branch_in_the_settings_is_meant(replaced: Replaced) -> None:
    """The host's administrator wrote it."""
    replaced.upstream.git("push", "-q", str(replaced.upstream.bare), "HEAD:refs/heads/next")
    assert replaced.source("next").fetch().id == replaced.second
    assert replaced.source().fetch().id == replaced.first.id


@pytest.mark.parametrize("damage", [damage_head, damage_ref], ids=lambda damage: damage.__name__)
def test_a_mirror_made_anew_still_holds_what_was_taken(replaced: Replaced, damage: Callable[[Path], None]) -> None:
    """Where the damaged one can still be read."""
    damage(replaced.mirror)
    revision = replaced.source().fetch()
    assert (revision.id, revision.waits, revision.read("a")) == (replaced.first.id, replaced.second, b"1")
    run("-C", str(replaced.mirror), "fsck", "--strict")
    assert not (replaced.mirror / "taken.bundle").exists()


def test_a_mirror_that_is_lost_forgets(replaced: Replaced) -> None:
    """As on a new host: the newest is taken, and what it removes is looked at."""
    damage_all(replaced.mirror)
    source = replaced.source()
    assert source.fetch().id == replaced.second
    other = unrelated(replaced.upstream)
    assert source.fetch().waits == other


def test_a_lost_blob_is_said_and_found_again_by_the_next_fetch(upstream: Upstream, source: GitSource, mirror: Path) -> None:
    """Though the commit did not change: the same revision is readable again."""
    upstream.push({"a": "1"})
    first = source.fetch()
    damage_objects(mirror)
    with pytest.raises(SourceError, match="lost its content"):
        first.read("a")
    assert source.fetch() is first
    assert first.read("a") == b"1"


def test_a_damaged_mirror_stays_while_the_server_is_away(upstream: Upstream, source: GitSource, mirror: Path) -> None:
    """It may still hold something that can be read; nothing is removed before its replacement is complete."""
    upstream.push({"a": "1"})
    first = source.fetch()
    damage_head(mirror)
    upstream.bare.rename(upstream.bare.with_name("away"))
    assert "there is no repository" in refusal(source)
    assert (mirror / "config").exists()
    upstream.bare.with_name("away").rename(upstream.bare)
    assert source.fetch() is first


def test_locks_and_parts_of_a_killed_fetch_are_removed(upstream: Upstream, source: GitSource, mirror: Path) -> None:
    """Half-received packs too: a slow line must not fill the disk."""
    upstream.push({"a": "1"})
    source.fetch()
    left = ["refs/heads/shipstone.lock", "HEAD.lock", "packed-refs.lock", "shallow.lock", "config.lock", "objects/pack/tmp_pack_x"]
    for name in left:
        (mirror / name).parent.mkdir(exist_ok=True)
        (mirror / name).write_text("")
    (mirror / "objects/tmp_objdir-incoming-x/pack").mkdir(parents=True)
    commit = upstream.push({"a": "2"})
    assert source.fetch().id == commit
    assert [name for name in [*left, "objects/tmp_objdir-incoming-x"] if (mirror / name).exists()] == []


REFUSED = [
    ("", "no repository is set"),
    ("  ", "no repository is set"),
    ("ext::sh -c touch% /tmp/x", "a transport with :: can run any command"),
    ("fd::17", "a transport with ::"),
    ("--upload-pack=touch /tmp/x", "read it as an option"),
    ("-oProxyCommand=x", "read it as an option"),
    ("ssh://-oProxyCommand=x/repo", "begins with a hyphen"),
    ("ssh://-oProxyCommand=x@host/repo", "begins with a hyphen"),
    ("ssh://git@-oProxyCommand=x/repo", "begins with a hyphen"),
    ("ssh://git@%2doProxyCommand=x/repo", "begins with a hyphen"),
    ("git@-oProxyCommand=x:repo", "begins with a hyphen"),
    ("git@host:-x", "begins with a hyphen"),
    ("ssh://host/-x", "begins with a hyphen"),
    ("file:///srv/x.git", "file:// is not allowed. Set [source] allow_file"),
    ("/srv/x.git", "a path on this host is not allowed. Set [source] allow_file"),
    ("../x.git", "a path on this host is not allowed"),
    ("git://host/x", "git:// is not allowed"),
    ("http://host/x", "Use https:// instead"),
    ("https://host/x.git?token=secret", "cannot fetch https://host/x.git?***: others on this host could read what follows"),
    ("https://host/x#secret", "cannot fetch https://host/x#***: others on this host"),
    ("HTTP://host/x", "Use https:// instead"),
    ("ftp://host/x", "ftp:// is not allowed"),
    ("https:///x", "no valid host name"),
    ("https://[::1/x", "no valid host name"),
    ("https://host:99999/x", "no valid host name"),
    ("https://host/a b", "holds a space"),
    ("https://host/x\n[core]", "control character"),
    ("https://host/%0ax", "control character"),
    ("https://u:p%0ahost=evil@host/x", "control character"),
]


@pytest.mark.parametrize(("url", "why"), REFUSED)
def test_unsafe_urls_are_refused_before_git_runs(url: str, why: str, mirror: Path) -> None:
    assert why in refusal(GitSource(url, "main", "", mirror))
    assert not mirror.parent.exists()


@pytest.mark.parametrize(
    "branch",
    ["", "a..b", "a b", "-x", "--upload-pack=x", "a\nb", "a~1", "a:b", "/a", "a/", "a//b", ".a", "a.lock", "a.", "@", "a@{0}", "*"],
)
def test_malformed_branches_are_refused_before_git_runs(branch: str, mirror: Path) -> None:
    assert "is not a branch name. Set [source] branch" in refusal(GitSource("https://host.invalid/x", branch, "", mirror))
    assert not mirror.parent.exists()


@pytest.mark.parametrize("branch", ["main", "release/1.2", "fix-@-home", "ünï", "a.b"])
def test_ordinary_branches_are_taken(branch: str) -> None:
    assert address("https://host/x", branch, "", allow_file=False).branch == branch


def test_a_branch_with_odd_characters_is_fetched(upstream: Upstream, mirror: Path) -> None:
    commit = upstream.push({"a": "1"}, branch="feature/ü#1%(x)")
    assert GitSource(str(upstream.bare), "feature/ü#1%(x)", "", mirror, allow_file=True).fetch().id == commit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:secret@host/x", "https://user:***@host/x"),
        ("https://user:s3c:r@et@host/x", "https://user:***@host/x"),
        ("https://user:12345@host/x", "https://user:***@host/x"),
        ("https://:secret@host/x", "https://:***@host/x"),
        ("https://ghp_token@host/x", "https://***@host/x"),
        ("HTTPS://ghp_token@host/x", "HTTPS://***@host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("ssh://git:secret@host/x", "ssh://git:***@host/x"),
        ("https://ada@example.com:secret@host/x", "https://***@host/x"),
        ("ssh://ada@example.com:secret@host/x", "ssh://***@host/x"),
        ("https://host:8443/~a@b/x", "https://host:8443/~a@b/x"),
        ("git@host:x", "git@host:x"),
    ],
)
def test_passwords_are_never_printed(text: str, shown: str) -> None:
    """Neither in what is shown, nor in a repr, nor on git's command line."""
    assert redacted(text) == shown
    assert redacted(f"see {text} and {text}").count(shown) == 2
    where = address(text, "main", "", allow_file=False)
    assert where.shown == shown
    assert not any(secret in part for secret in ("secret", "12345", "s3c", "ghp_token") for part in (where.url, repr(where)))


def test_a_password_that_breaks_the_url_is_not_printed_either(mirror: Path) -> None:
    assert "https://user:***@host/x: the URL has no valid host name" in refusal(
        GitSource("https://user:sec/ret@host/x", "main", "", mirror)
    )
    assert "https://***@host/x: the URL holds a space" in refusal(GitSource("https://user:sec ret@host/x", "main", "", mirror))


@pytest.mark.parametrize("url", ["https://user:secret@host.invalid/x", "ssh://user:secret@host.invalid/x", "https://secret@host.invalid/x"])
def test_a_host_that_does_not_resolve(url: str, mirror: Path) -> None:
    """Said so, without the password."""
    text = refusal(GitSource(url, "main", "", mirror, timeout=30.0))
    assert "the host name cannot be resolved" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("fatal: Authentication failed for 'https://host/x/'", "refused the login"),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", "refused the login"),
        ("git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.", "refused the login"),
        ("fatal: unable to access 'https://host/x/': The requested URL returned error: 403", "refused the login"),
        ("No ED25519 host key is known for h.\nHost key verification failed.\nfatal: Could not read", "host key is unknown"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "host key has changed"),
        ("ssh: Could not resolve hostname h: Name or service not known\nfatal: Could not read", "cannot be resolved"),
        ("remote: Repository not found.\nfatal: repository 'https://github.com/a/b/' not found", "no right to see it"),
        ("fatal: unable to access 'https://h/': server certificate verification failed", "certificate is not trusted"),
        ("ssh: connect to host h port 22: Connection refused\nfatal: Could not read", "cannot be reached"),
        ("fatal: write error: No space left on device", "disk of the state folder is full"),
        ("fatal: mismatched algorithms: client sha1; server sha256", "SHA-1"),
        ("noise\nfatal: it broke at https://u:secret@h/", "git says 'fatal: it broke at https://u:***@h/'"),
        ("client_loop: send disconnect: Broken pipe\nfatal: early EOF", "git says 'fatal: early EOF'"),
        ("", "git says 'git failed'"),
    ],
)
def test_what_git_says_becomes_one_line(said: str, why: str) -> None:
    text = str(GitError(said).explain(address("https://u:secret@h/x", "main", "", allow_file=False), 60.0))
    assert text.startswith("cannot fetch https://u:***@h/x: ")
    assert why in text
    assert text.isprintable()
    assert not GitError(said).corrupt


def test_what_the_server_says_of_its_own_repository_is_no_damage_here() -> None:
    assert not GitError("remote: fatal: bad object HEAD\nfatal: protocol error").corrupt
    assert GitError("fatal: bad object HEAD").corrupt
    assert GitError("fatal: unable to lock ref: reference broken").corrupt


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    for one in taken:
        one.close()


@pytest.mark.parametrize("scheme", ["git", "https"])
def test_a_server_that_never_answers_meets_the_deadline(silent: int, mirror: Path, scheme: str) -> None:
    """And leaves no process behind: git's helpers end with it."""
    started = time.monotonic()
    url = f"{scheme}://127.0.0.1:{silent}/x.git"
    assert "no answer within 1 s" in refusal(GitSource(url, "main", "", mirror, allow_file=True, timeout=1.0))
    assert time.monotonic() - started < 15
    until(lambda: f":{silent}/" not in subprocess.check_output(["ps", "-A", "-o", "args="], text=True), "no process is left", 10)


def test_a_password_is_not_on_the_command_line(silent: int, mirror: Path) -> None:
    """Others on the host can read command lines."""
    source = GitSource(f"https://me:s3cr3t%40x@127.0.0.1:{silent}/x.git", "main", "", mirror, timeout=15.0)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(refusal, source)
        listed = ""
        while f":{silent}/" not in listed and not fetching.done():
            listed = subprocess.run(["ps", "-A", "-o", "args="], check=True, capture_output=True, text=True).stdout
        assert f":{silent}/" in listed
        assert "s3cr3t" not in listed
        assert "no answer within 15 s" in fetching.result()


def test_two_processes_do_not_fetch_into_one_mirror_at_once(upstream: Upstream, mirror: Path) -> None:
    """A command beside the daemon waits for it: 4 fetches at once all end well."""
    commit = upstream.push({"a": "1"})
    sources = [GitSource(str(upstream.bare), "main", "", mirror, allow_file=True) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert {revision.id for revision in pool.map(GitSource.fetch, sources)} == {commit}


def test_waiting_for_another_fetch_ends_at_the_deadline(upstream: Upstream, silent: int, mirror: Path) -> None:
    slow = GitSource(f"git://127.0.0.1:{silent}/x", "main", "", mirror, allow_file=True, timeout=5.0)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(refusal, slow)
        while not (mirror / "HEAD").exists() and not fetching.done():
            time.sleep(0.01)
        beside = GitSource(str(upstream.bare), "main", "", mirror, allow_file=True, timeout=0.2)
        assert "another process is fetching into" in refusal(beside)
        fetching.result()


def test_many_threads_read_at_once(upstream: Upstream, source: GitSource) -> None:
    upstream.push({f"f{i}": f"text {i}" for i in range(50)})
    revision = source.fetch()
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(revision.read, [f"f{i % 50}" for i in range(400)]))
    assert read == [f"text {i % 50}".encode() for i in range(400)]


def test_a_thousand_files_are_listed_and_read_quickly(upstream: Upstream, source: GitSource) -> None:
    """One listing and one process for all reads: well under a process for each file."""
    upstream.push({f"sites/s{i}.yaml": f"image: a:{i}\n" for i in range(1000)})
    revision = source.fetch()
    started = time.monotonic()  # without the fetch, which waits for the disk
    assert all(revision.read(path) for path in revision.entries)
    took, started = time.monotonic() - started, time.monotonic()
    assert len(revision.entries) == 1000
    for _ in range(30):
        run("--version")
    assert took < (time.monotonic() - started) / 30 * 1000


def test_a_long_life_leaves_no_open_files_or_processes(upstream: Upstream, source: GitSource) -> None:
    upstream.push({"a": "0"})
    source.fetch().read("a")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for i in range(5):
        upstream.push({"a": str(i)}, f"change {i}")
        assert source.fetch().read("a") == str(i).encode()
    assert len(os.listdir("/proc/self/fd")) <= before
    source.close()
    assert len(os.listdir("/proc/self/fd")) < before


def test_the_environment_and_configuration_of_a_user_do_not_reach_git(
    upstream: Upstream, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor those of a git hook that Shipstone is started from."""
    commit = upstream.push({"a": "1"})
    (tmp_path / ".gitconfig").write_text(f'[url "{tmp_path}/evil"]\n\tinsteadOf = {upstream.bare}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "hook"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "hook" / "objects"))
    revision = source.fetch()
    assert (revision.id, revision.read("a")) == (commit, b"1")
    assert not (tmp_path / "hook").exists()


def test_a_server_of_the_git_protocol(upstream: Upstream, mirror: Path) -> None:
    """A real `git daemon`: first fetch, a new commit, gone."""
    first = upstream.push({"a": "1"})
    ports = Ports()
    port = ports.take()
    command = [
        "git",
        "daemon",
        "--export-all",
        "--reuseaddr",
        "--listen=127.0.0.1",
        f"--port={port}",
        f"--base-path={upstream.bare.parent}",
    ]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    source = GitSource(f"git://127.0.0.1:{port}/upstream.git", "main", "", mirror, allow_file=True)
    try:
        until(lambda: listens(port), "git listens", 30)
        assert source.fetch().id == first
        second = upstream.push({"a": "2"})
        assert source.fetch().read("a") == b"2"
        assert source.fetch().id == second
        missing = GitSource(f"git://127.0.0.1:{port}/no.git", "main", "", mirror, allow_file=True)
        assert "there is no repository, or no right to see it" in refusal(missing)
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)
        source.close()
        ports.close()
    assert "cannot be reached" in refusal(source)


class _Private(SimpleHTTPRequestHandler):
    """Static files for ada with the password p@ss:w/rd, as git's plain HTTP protocol reads them."""

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        if given == "Basic " + base64.b64encode(b"ada:p@ss:w/rd").decode():
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests print nothing."""


@pytest.fixture
def private(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of an https server that wants a login; it serves the folder of upstream.git."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    self_signed(key, certificate, "127.0.0.1", "subjectAltName=IP:127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Private, directory=str(upstream.bare.parent)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_login_in_the_url_works_and_is_kept_nowhere(upstream: Upstream, private: int, mirror: Path) -> None:
    """Percent-encoded, as URLs want it."""
    commit = upstream.push({"a": "1"})
    run("-C", str(upstream.bare), "update-server-info")
    source = GitSource(f"https://ada:p%40ss%3Aw%2Frd@127.0.0.1:{private}/upstream.git", "main", "", mirror)
    revision = source.fetch()
    assert (revision.id, revision.read("a")) == (commit, b"1")
    source.close()
    kept = b"".join(path.read_bytes() for path in mirror.parent.rglob("*") if path.is_file())
    assert b"ss:w/rd" not in kept
    assert b"ss%3Aw" not in kept


@pytest.mark.parametrize("login", ["", "ada:wrong@", "ada@"])
def test_a_login_that_is_wrong_or_missing(upstream: Upstream, private: int, mirror: Path, login: str) -> None:
    """Nobody is asked on a terminal; the password is not in the message."""
    upstream.push({"a": "1"})
    text = refusal(GitSource(f"https://{login}127.0.0.1:{private}/upstream.git", "main", "", mirror))
    assert "the server refused the login" in text
    assert "wrong" not in text


def test_a_server_whose_certificate_is_not_trusted(private: int, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO")
    assert "certificate is not trusted" in refusal(GitSource(f"https://127.0.0.1:{private}/upstream.git", "main", "", mirror))


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_state_folder_that_cannot_be_written(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    source = GitSource(str(upstream.bare), "main", "", tmp_path / "file" / "mirror.git", allow_file=True)
    assert "Make the state folder writable." in refusal(source)


def test_nothing_is_watched(source: GitSource) -> None:
    """Git is polled: watching does nothing, and stopping it is harmless."""
    calls: list[int] = []
    source.watch(lambda: calls.append(1))()
    assert calls == []
