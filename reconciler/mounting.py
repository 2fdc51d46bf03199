"""What containers mount of this host: whether they may, just before they are made, and that the content of files is there."""

from collections.abc import Iterable

from reconciler.desired.bind_mounts import check_bind, check_users
from reconciler.desired.desired import Content, Desired, DesiredSite
from reconciler.desired.policy import Policy, matches
from reconciler.desired.refusal import Refusal
from reconciler.desired.release import content_of
from reconciler.desired.revision import Revision
from reconciler.desired.spec import ContainerSpec
from reconciler.errors import EngineError
from reconciler.planning.labels import applied_of
from reconciler.planning.observed import Container
from reconciler.planning.plan import Plan
from reconciler.world.engine import Engine
from reconciler.world.files import FileStore


class Mounting:
    """`policy` is the host's; without one nothing is looked at. `revision`, in what follows: content is read from it."""

    def __init__(self, engine: Engine, files: FileStore, policy: Policy | None) -> None:
        self._engine, self._files, self._policy = engine, files, policy
        self._kept: dict[str, str] = {}

    def heed(self, plan: Plan) -> None:
        """What each site is brought to: its other containers go, and keep nothing."""
        self._kept = {name: release for name, release in self._kept.items() if name in plan.busy} | {
            name: site.release for name, site in plan.sites.items()
        }

    def prepare(self, site: str, spec: ContainerSpec, desired: Desired, revision: Revision | None) -> None:
        """For one container. Raises EngineError where it may not have something, or something is not to be had."""
        self._check(site, spec)
        for mount in spec.files:
            self._write(mount.digest, desired.contents.get(mount.digest), revision)

    def tend(self, containers: Iterable[Container], desired: Desired, past: Iterable[DesiredSite], revision: Revision | None) -> None:
        """Mounted content that someone deleted is written again; what nothing mounts any more, and no past release did, goes.
        Only while no containers are made."""
        specs = [applied_of(c).spec for c in containers]
        mounted = {mount.digest for spec in specs for mount in spec.files}
        for digest in sorted(mounted & desired.contents.keys()):
            self._write(digest, desired.contents[digest], revision)
        sites = [*desired.sites.values(), *past]
        wanted = {mount.digest for site in sites for service in site.services for mount in service.spec.files}
        self._files.keep(mounted | wanted | desired.contents.keys())

    def _check(self, site: str, spec: ContainerSpec) -> None:
        """Once more: a link on the host may lead elsewhere now than when the file was read. And a volume that another site's containers
        keep, or only somebody else's have, is theirs: the files do not say it of a site whose removal waits."""
        if self._policy is None:
            return
        policy = self._policy.of_site(site)
        try:
            for volume in spec.volumes:
                if volume.kind == "bind":
                    check_bind(volume.source, policy, site)
                elif not matches(volume.source, policy.shared_volumes):
                    self._check_users(volume.source, site)
        except Refusal as refusal:
            raise EngineError(f"cannot start a container of {site}: {refusal.message}") from None

    def _check_users(self, volume: str, site: str) -> None:
        users = self._engine.volume_users(volume)
        keepers = {name: of for name, of, release in users if of not in ("", site) and self._keeps(of, release, volume)}
        check_users(volume, [(name, of) for name, of, _ in users], keepers, site)

    def _keeps(self, site: str, release: str, volume: str) -> bool:
        if self._policy is None or matches(volume, self._policy.of_site(site).shared_volumes):
            return False
        return content_of(self._kept.get(site, release))[0] == content_of(release)[0]

    def _write(self, digest: str, content: Content | None, revision: Revision | None) -> None:
        """By content; what a held release mounts is there already."""
        if self._files.present(digest):
            return
        if content is None or revision is None:
            raise EngineError(
                f"cannot mount {digest}: its content is neither in the repository any more nor in the state folder. Commit it again."
            )
        read = revision.read
        if len(content.files) == 1 and not content.files[0][0]:
            _, source, executable = content.files[0]
            self._files.put_file(digest, read(source), executable)
        else:
            self._files.put_tree(digest, {inside: (read(source), executable) for inside, source, executable in content.files})
