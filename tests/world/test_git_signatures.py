"""Commits and tags that have to be signed: real ssh-keygen and gpg keys, as people make them."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lab.engine import need
from lab.host import until

from reconciler.errors import SourceError
from reconciler.settings import load_settings
from reconciler.wiring import source_of
from reconciler.world.git import GitSource
from reconciler.world.git_signatures import Signers, split
from tests.world.test_git import Upstream


@dataclass
class Signed:
    """An upstream whose commits are signed by one of several keys."""

    upstream: Upstream
    folder: Path
    mirror: Path
    approved: set[str] = field(default_factory=set)
    count: int = 0

    def allow(self, *names: str, options: str = "") -> None:
        lines = [f"{name}@example.org {options}{(self.folder / f'{name}.pub').read_text()}" for name in names]
        (self.folder / "allowed").write_text("".join(lines))

    def print_of(self, name: str) -> str:
        out = subprocess.run(["ssh-keygen", "-lf", str(self.folder / f"{name}.pub")], check=True, capture_output=True, text=True)
        return out.stdout.split()[1]

    def push(self, name: str = "", *, force: bool = False) -> str:
        """A commit, signed by that ssh key."""
        self.count += 1
        signing = [("commit.gpgSign", "true" if name else "false"), ("gpg.format", "ssh"), ("user.signingKey", str(self.folder / name))]
        for key, value in signing:
            self.upstream.git("config", key, value)
        return self.upstream.push({"a": str(self.count)}, force=force)

    def tag(self, tag: str, commit: str, name: str, at: int) -> None:
        """A tag that says it was made at that time."""
        self.upstream.git("config", "user.signingKey", str(self.folder / name))
        self.upstream.git("config", "gpg.format", "ssh")
        os.environ["GIT_COMMITTER_DATE"] = f"@{at} +0000"
        try:
            self.upstream.git("tag", "--sign" if name else "--annotate", "-m", tag, tag, commit)
        finally:
            del os.environ["GIT_COMMITTER_DATE"]
        self.upstream.git("push", "-q", str(self.upstream.bare), tag)

    def source(self, verify: str = "commit", *, keyring: str = "") -> GitSource:
        signers = Signers(verify, "" if keyring else str(self.folder / "allowed"), keyring)  # type: ignore[arg-type]
        return GitSource(str(self.upstream.bare), "main", "", self.mirror, allow_file=True, signers=signers, approved=lambda: self.approved)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    need("git", "ssh-keygen")
    for name in ("ada", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / name)], check=True)
    here = Signed(Upstream(tmp_path), tmp_path, tmp_path / "state" / "mirror.git")
    here.allow("ada")
    return here


def test_a_signed_commit_is_taken(signed: Signed) -> None:
    first = signed.push("ada")
    source = signed.source()
    assert source.fetch().id == first
    second = signed.push("ada")
    revision = source.fetch()
    assert (revision.id, revision.notice, revision.read("a")) == (second, "", b"2")
    assert [path.name for path in signed.mirror.parent.iterdir() if path.name.startswith("signature")] == []


@pytest.mark.parametrize("signer", ["", "eve"])
def test_a_commit_that_nobody_allowed_signed_is_held(signed: Signed, signer: str) -> None:
    """The last good one stays, also for the next process; the key's fingerprint is in the notice; a signed one goes on."""
    first = signed.push("ada")
    source = signed.source()
    source.fetch()
    second = signed.push(signer)
    key = f"it is signed by the SSH key {signed.print_of('eve')}, which is not in [source] allowed_signers"
    why = key if signer else "it is not signed"
    for each in (source, signed.source()):
        revision = each.fetch()
        assert (revision.id, revision.read("a"), revision.waits, revision.unsigned) == (first, b"1", "", second)
        assert revision.notice == (
            f"commit {second[:12]} is not taken: {why}. What was taken last goes on ({first[:12]}). "
            "Sign it with a key that the settings name."
        )
        assert each.fetch() is revision
    third = signed.push("ada")
    revision = source.fetch()
    assert (revision.id, revision.notice, revision.unsigned) == (third, "", "")


def test_without_a_good_commit_there_is_nothing(signed: Signed) -> None:
    """What runs is left as it is: nothing was ever taken under this rule, even if something was before it."""
    commit = signed.push("")
    assert signed.source("").fetch().id == commit
    with pytest.raises(SourceError, match=f"^cannot use the repository: commit {commit[:12]} is not taken: it is not signed. Sign it"):
        signed.source().fetch()
    assert signed.source().last() is None


def test_a_signer_whose_time_is_over(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged by today, not by the date that the signer gave the commit."""
    signed.allow("ada", options='valid-before="20200101" ')
    monkeypatch.setenv("GIT_COMMITTER_DATE", "@1500000000 +0000")
    signed.push("ada")
    key = re.escape(signed.print_of("ada"))
    with pytest.raises(SourceError, match=f"it is signed by the SSH key {key}, which has expired in .source. allowed_signers"):
        signed.source().fetch()
    signed.allow("ada")
    assert signed.source().fetch().id


def test_an_old_signed_commit_does_not_come_back(signed: Signed) -> None:
    """Whoever may push but not sign cannot set the branch back; a person can."""
    first, second = signed.push("ada"), signed.push("ada")
    source = signed.source()
    assert source.fetch().id == second
    signed.upstream.git("push", "-q", "--force", str(signed.upstream.bare), f"{first}:refs/heads/main")
    revision = source.fetch()
    assert (revision.id, revision.waits) == (second, first)
    assert revision.notice == (
        f"the branch main was set back or rewritten ({second[:12]} → {first[:12]}): nothing is changed. `shipstone approve` takes it."
    )
    signed.approved.add(first)
    assert source.fetch().id == first


def test_a_signature_of_another_commit_is_none(signed: Signed) -> None:
    """The signature is copied into a commit with other files."""
    good = signed.push("ada")
    source = signed.source()
    source.fetch()
    stolen = signed.upstream.git("cat-file", "commit", good)
    signed.push("")
    forged = stolen.replace(stolen.splitlines()[0], "tree " + signed.upstream.git("rev-parse", "HEAD^{tree}").strip())
    forged = forged.replace("author ", f"parent {good}\nauthor ", 1)
    made = subprocess.run(
        ["git", "-C", str(signed.upstream.work), "hash-object", "-t", "commit", "-w", "--stdin"],
        input=forged, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    signed.upstream.git("push", "-q", "--force", str(signed.upstream.bare), f"{made}:refs/heads/main")
    revision = source.fetch()
    assert revision.id == good
    assert "its signature is not of this content" in revision.notice


def test_two_signatures_in_one_commit_count_as_none() -> None:
    raw = b"tree 1\ngpgsig -----BEGIN SSH SIGNATURE-----\n x\ngpgsig -----BEGIN SSH SIGNATURE-----\n y\n\ntext"
    assert split(raw) == (raw, b"")


def test_a_signed_tag_says_what_runs(signed: Signed) -> None:
    """Commits without a tag change nothing; neither does a tag that is not signed, or is somebody else's."""
    first = signed.push("")
    source = signed.source("tag")
    with pytest.raises(SourceError, match="cannot use the repository: no tag of it is signed"):
        source.fetch()
    signed.tag("v1", first, "ada", 1_700_000_001)
    assert source.fetch().id == first
    second = signed.push("")
    revision = source.fetch()
    assert (revision.id, revision.notice) == (first, "")
    signed.tag("v2", second, "eve", 1_700_000_002)
    revision = source.fetch()
    assert revision.id == first
    assert revision.notice.startswith(f"tag v2 is not taken: it is signed by the SSH key {signed.print_of('eve')}, which is not in")
    signed.tag("v3", second, "ada", 1_700_000_003)
    revision = source.fetch()
    assert (revision.id, revision.notice) == (second, "")
    assert signed.source("tag").fetch().id == second


def test_deleted_tags_bring_nothing_old_back(signed: Signed) -> None:
    """A new tag on an old commit does: that is what a person signed."""
    first = signed.push("")
    signed.tag("v1", first, "ada", 1_700_000_001)
    second = signed.push("")
    signed.tag("v2", second, "ada", 1_700_000_002)
    source = signed.source("tag")
    assert source.fetch().id == second
    signed.upstream.git("push", "-q", str(signed.upstream.bare), ":refs/tags/v2")
    assert source.fetch().id == second
    assert signed.source("tag").fetch().id == second
    signed.tag("back-to-v1", first, "ada", 1_700_000_003)
    assert source.fetch().id == first


@dataclass(frozen=True)
class Gpg:
    home: Path

    def run(self, *arguments: str) -> str:
        env = {**os.environ, "GNUPGHOME": str(self.home)}
        return subprocess.run(["gpg", "--batch", "--quiet", *arguments], check=True, capture_output=True, text=True, env=env).stdout

    def key(self, who: str, expires: str = "never") -> str:
        """Its fingerprint."""
        self.run("--passphrase", "", "--quick-generate-key", f"{who} <{who}@example.org>", "ed25519", "sign", expires)
        rows = self.run("--with-colons", "--list-keys", who).splitlines()
        return next(row.split(":")[9] for row in rows if row.startswith("fpr:"))


@pytest.fixture
def gpg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpg]:
    need("gpg", "gpgv")
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    yield Gpg(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False, capture_output=True)


def test_openpgp_keys(signed: Signed, gpg: Gpg) -> None:
    """Allowed, unknown, expired: a keyring of public keys is all that counts."""
    known, other = gpg.key("Ada"), gpg.key("Eve")
    keyring = signed.folder / "keyring.gpg"
    gpg.run("--output", str(keyring), "--export", known)
    signed.push("")

    def push(key: str) -> str:
        for name, value in (("commit.gpgSign", "true"), ("gpg.format", "openpgp"), ("user.signingKey", key)):
            signed.upstream.git("config", name, value)
        return signed.upstream.push({"a": key})

    first = push(known)
    source = signed.source(keyring=str(keyring))
    assert source.fetch().id == first
    push(other)
    revision = source.fetch()
    assert revision.id == first
    assert f"it is signed by the OpenPGP key {other[-16:]}, which is not in [source] gpg_keyring" in revision.notice
    third = push(known)
    assert source.fetch().id == third
    gpg.run("--quick-set-expire", known, "seconds=1")
    until(lambda: "pub:e:" in gpg.run("--with-colons", "--list-keys", known), "the key has expired")
    keyring.unlink()
    gpg.run("--output", str(keyring), "--export", known)
    fresh = GitSource(
        str(signed.upstream.bare), "main", "", signed.folder / "other" / "mirror.git", allow_file=True,
        signers=Signers("commit", "", str(keyring)),
    )  # fmt: skip
    with pytest.raises(SourceError, match=f"signed by the OpenPGP key {known}, which has expired in .source. gpg_keyring"):
        fresh.fetch()


def test_files_of_signers_that_are_not_there(signed: Signed) -> None:
    signed.push("ada")
    (signed.folder / "allowed").unlink()
    with pytest.raises(SourceError, match=r"cannot check signatures: \[source\] allowed_signers: .*allowed: No such file or directory."):
        signed.source().fetch()
    bare = GitSource(str(signed.upstream.bare), "main", "", signed.mirror, allow_file=True, signers=Signers("commit"))
    with pytest.raises(SourceError, match=r"and \[source\] allowed_signers is not set"):
        bare.fetch()


def test_the_settings_say_whose_signatures_count(signed: Signed, tmp_path: Path) -> None:
    """From the file to the fetch; without a signer's file they are refused."""
    signed.push("")
    config = tmp_path / "config.toml"
    state = f'[state]\ndir = "{tmp_path}/state"\n'
    config.write_text(
        f'[source]\nurl = "{signed.upstream.bare}"\nallow_file = true\nverify = "commit"\nallowed_signers = "{tmp_path}/allowed"\n{state}'
    )
    source = source_of(load_settings(config))
    with pytest.raises(SourceError, match="it is not signed"):
        source.fetch()
    commit = signed.push("ada")
    assert source.fetch().id == commit
    source.close()
