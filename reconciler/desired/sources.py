"""What the containers of one site get from elsewhere: files of the repository, and secrets; or what is wrong with these."""

from reconciler.desired.contents import Contents, Found
from reconciler.desired.desired import Content
from reconciler.desired.places import Places
from reconciler.desired.problem import Problem
from reconciler.desired.refusal import Refusal
from reconciler.desired.revision import Revision
from reconciler.desired.secrets import Vault, check_file, source_of
from reconciler.desired.site import ServiceKeys
from reconciler.desired.spec import FileMount, SecretRef

MOST_MOUNTED = 64 * 2**20
"""Bytes of the repository that one site mounts."""
MOST_SECRETS = 100
"""Of one site: each may be a file that is decrypted."""


class Sources:
    """Of the site `name` in the file `path`. Each secret is asked for once, and each problem kept once, however many services have it.

    Without a `vault` secrets are not looked for, and have no digests."""

    def __init__(self, revision: Revision, path: str, name: str, repository: Contents, vault: Vault | None) -> None:
        self._revision, self._path, self._name, self._repository, self._vault = revision, path, name, repository, vault
        self._places = Places(lambda: revision.read(path))
        self._secrets: dict[str, str | Refusal] = {}
        self._size = 0
        self.contents: dict[str, Content] = {}
        self.problems: dict[Problem, None] = {}

    def files(self, service: str, keys: ServiceKeys) -> tuple[FileMount, ...]:
        mounts = []
        for target, source in sorted(keys.files.items()):
            found = self._bounded(self._repository.find(source))
            if isinstance(found, Found):
                mounts.append(FileMount(target, source.strip("/"), found.digest))
            else:
                self._say(service, "files", target, "SS-C25", found)
        return tuple(mounts)

    def _bounded(self, found: Found | str) -> Found | str:
        """What is mounted twice is there once."""
        if isinstance(found, Found) and found.digest not in self.contents:
            if self._size + found.size > MOST_MOUNTED:
                return f"with this the site mounts over {MOST_MOUNTED >> 20} MiB in all. Put large content into the image or a volume."
            self._size += found.size
            self.contents[found.digest] = found.content
        return found

    def secrets(self, service: str, keys: ServiceKeys) -> tuple[SecretRef, ...]:
        refs = []
        for target, source in sorted(keys.secrets.items()):
            if source not in self._secrets:
                self._secrets[source] = self._digest(source)
            found = self._secrets[source]
            if isinstance(found, Refusal):
                self._say(service, "secrets", target, found.code, found.message)
            else:
                refs.append(SecretRef(target, source, found))
        return tuple(refs)

    def _digest(self, source: str) -> str | Refusal:
        try:
            if len(self._secrets) >= MOST_SECRETS:
                raise Refusal("SS-C13", f"this is one secret too many for one site. Write at most {MOST_SECRETS} different ones.")
            check_file(source_of(source), self._revision)
            return self._vault.digest(self._name, source, self._revision) if self._vault else ""
        except Refusal as refusal:
            return refusal

    def _say(self, service: str, key: str, target: str, code: str, message: str) -> None:
        line, column = self._places.of(("services", service, key, target), (key, target))
        self.problems[Problem(self._path, line, column, f"{key}.{target}", code, message)] = None
