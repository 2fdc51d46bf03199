"""Commands by which people say what they want of a site. It is written down, and the daemon told; without one the next finds it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.commands.options import Config, Source, settings_of
from reconciler.errors import ShipstoneError

if TYPE_CHECKING:
    from reconciler.planning.intents import Said
    from reconciler.planning.plan import Plan
    from reconciler.settings import Settings
    from reconciler.world.store import Store

intents = typer.Typer()

OneSite = Annotated[str, typer.Argument(help="The site.")]
SiteOrNone = Annotated[str | None, typer.Argument(help="The site; or --all.")]
All = Annotated[bool, typer.Option("--all", help="Every site.")]


@intents.command()
def suspend(site: SiteOrNone = None, every: All = False, config: Config = None) -> None:
    """Leave a site as it runs, until resumed.

    Nothing is deployed, healed or removed meanwhile; a rollout that is under way comes to rest first.
    """
    from reconciler.planning.intents import Said

    name = _one_or_all(site, every)
    with _desk(config) as desk:
        if site is not None:
            desk.known(site)
        desk.say(Said("suspend", name))
    typer.echo(f"{_called(name)}: suspended; `shipstone resume {site or '--all'}` goes on")


@intents.command()
def resume(site: SiteOrNone = None, every: All = False, config: Config = None) -> None:
    """End a suspension or a rollback.

    The repository counts again.
    """
    from reconciler.asking import take_back

    name = _one_or_all(site, every)
    with _desk(config) as desk:
        store = desk.store
        names = {name} if site is not None else {row.site for row in store.said() if row.kind in ("suspend", "rollback")}
        ended = [one for one in sorted(names) if take_back(store, one, _who(), time.time())]
        desk.tell()
        still = site is not None and any(row.kind == "suspend" and row.site == "*" for row in store.said())
    if still:
        typer.echo(f"{site}: every site is suspended; `shipstone resume --all` ends that")
    typer.echo(f"{_called(name)}: the repository counts again" if ended else f"{_called(name)}: was neither suspended nor rolled back")


@intents.command()
def retry(site: OneSite, config: Config = None) -> None:
    """Try a failed release again."""
    from reconciler.planning.intents import Said

    with _desk(config) as desk:
        desk.known(site)
        desk.say(Said("retry", site))
    typer.echo(f"{site}: is tried again")


@intents.command()
def restart(site: OneSite, config: Config = None, source: Source = None) -> None:
    """Replace a site's containers, as a deploy does.

    They get the same content, and no request is lost.
    """
    from reconciler.planning.intents import restart as asked

    with _desk(config, source) as desk:
        plan = desk.look()
        found = plan.sites.get(site)
        if found is None or not found.release:
            raise ShipstoneError(f"cannot restart {site}: nothing of it runs. {_there(plan)}")
        said = asked(site, found.asked or found.release)
        desk.say(said)
    typer.echo(f"{site}: is restarted")


@intents.command()
def rollback(
    site: OneSite,
    release: Annotated[str | None, typer.Argument(help="Which one; left out: the one before.")] = None,
    config: Config = None,
    source: Source = None,
) -> None:
    """Go back to an earlier release of a site, at once.

    It stays there until the repository changes the site, or `shipstone resume`.
    """
    from reconciler.planning.intents import rollback as asked
    from reconciler.planning.past import earlier

    with _desk(config, source) as desk:
        plan = desk.look()
        found = plan.sites.get(site)
        if found is None or site not in desk.contents:
            raise ShipstoneError(f"cannot roll back {site}: there is no such site in the repository. {_there(plan)}")
        to = earlier(site, desk.store.releases().get(site, ()), found.release, release)
        desk.say(asked(site, desk.contents[site], to.site.release))
    typer.echo(f"{site}: goes back to {to.site.release}, of commit {to.site.commit[:12]}; `shipstone resume {site}` goes forward again")


@intents.command()
def approve(config: Config = None, source: Source = None) -> None:
    """Let go what waits: removals, or a replaced branch.

    Exactly what is listed; what a later commit removes is looked at anew.
    """
    from reconciler.planning.intents import ALL, Said

    with _desk(config, source) as desk:
        removed = sorted(desk.look().held_removals)
        said = [Said("approve", name) for name in removed] + ([Said("history", ALL, desk.waits)] if desk.waits else [])
        for one in said:
            desk.say(one)
        waits = desk.waits
    if removed:
        typer.echo(f"approved: the removal of {', '.join(removed)}")
    if waits:
        typer.echo(f"approved: the history of {waits[:12]}")
    if not said:
        typer.echo("nothing waits for an approval")


@dataclass
class _Desk:
    """Where a word of a person is written down. After a look: `contents` is what the repository says of each site (a fingerprint),
    `waits` a commit that needs an approval."""

    settings: "Settings"
    store: "Store"
    contents: dict[str, str]
    waits: str = ""

    def say(self, said: "Said") -> None:
        from reconciler.asking import write_down

        write_down(self.store, said, _who(), time.time())
        self.tell()

    def tell(self) -> None:
        """Wake the daemon, if one runs."""
        from reconciler import wiring
        from reconciler.world.lock import InstanceLock

        if pid := InstanceLock(wiring.paths_of(self.settings).lock, self.settings.instance).holder():
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it looks at the store in its next pass anyway
                os.kill(pid, signal.SIGHUP)

    def look(self) -> "Plan":
        """What would be done now; by the commit that was taken last where the repository cannot be had: a word may be most urgent then."""
        from reconciler import wiring
        from reconciler.errors import SourceError

        with wiring.looking(self.settings) as reconciler:
            source = wiring.source_of(self.settings)
            try:
                revision = source.fetch()
            except SourceError as error:
                if (last := source.last()) is None:
                    raise
                typer.echo(f"{error} Going by {last.id[:12]}, which was taken last.", err=True)
                revision = last
            desired = reconciler.take(revision)
            self.waits = revision.waits
            self.contents = {name: site.release for name, site in desired.sites.items()}
            return reconciler.plan()

    def known(self, site: str) -> None:
        """Refuse a name that is neither written nor runs."""
        plan = self.look()
        if site not in plan.sites:
            raise ShipstoneError(f"cannot find the site {site}. {_there(plan)}")


@contextlib.contextmanager
def _desk(config: Path | None, source: Path | None = None) -> Iterator[_Desk]:
    from reconciler import wiring
    from reconciler.world.store import Store

    settings = settings_of(config, source)
    store = Store(wiring.paths_of(settings).store)
    try:
        yield _Desk(settings, store, {})
    finally:
        store.close()


def _who() -> str:
    """The person behind sudo, else the user, root too before he became the service's."""
    import getpass

    from reconciler.world.owner import PERSON

    try:
        return os.environ.get(PERSON) or getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return f"user {os.getuid()}"


def _one_or_all(site: str | None, every: bool) -> str:
    if (site is None) == (not every):
        raise ShipstoneError("cannot tell which site is meant: name one, or give --all.")
    return site or "*"


def _called(name: str) -> str:
    return "every site" if name == "*" else name


def _there(plan: "Plan") -> str:
    names = sorted(plan.sites)
    return f"There are: {', '.join(names)}." if names else "There are no sites yet."
