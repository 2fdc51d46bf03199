"""`install` and `uninstall`: what Shipstone is on a host besides its program."""

import os
import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from reconciler.errors import ShipstoneError
from reconciler.settings import DEFAULT, Settings
from reconciler.world import host_setup as setup
from reconciler.world import host_units as units
from reconciler.world.default_certificate import DefaultCertificate
from reconciler.world.files import aside_of
from reconciler.world.systemd import CREDENTIALS

USER = "shipstone"
DOCKER = "docker"
UNITS = Path("/etc/systemd/system")
LINK = Path("/usr/local/bin/shipstone")
STATE = Path("/var/lib/shipstone")
DAEMON = "shipstone.service"
AT_ONCE = ("shipstone-hosts.path", "shipstone-report.timer")
"""Started by the installation itself: they wait for something."""
AT_BOOT = ("shipstone-hosts.service", DAEMON)
TEXTS = ("shipstone.service", "shipstone-hosts.path", "shipstone-hosts.service", "shipstone-report.timer", "shipstone-report.service")
SHUT_AWAY = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  what the units cannot see
SHARED = frozenset(("/", "/etc", "/opt", "/run", "/srv", "/usr", "/usr/local", "/usr/local/etc", "/var", "/var/lib", "/var/cache", "/mnt"))
"""Folders of the whole host."""
PROGRAM = "/opt/shipstone/bin/shipstone"
"""In the units as they are written."""
OLDEST = 252
"""The systemd that the units were tried with first; older ones load no folder of credentials."""
WRITABLE = "ReadWritePaths=-/etc/traefik/dynamic"
HOSTS = Path("/etc/hosts")
STAMP = Path("/var/lib/systemd/timers/stamp-shipstone-report.timer")
"""When the report was made last, as systemd keeps it."""


@dataclass(frozen=True)
class Done:
    """One piece after it was looked at: `due` is what was, or is, to be done for it; empty where it was so already."""

    piece: setup.Piece
    due: str


@dataclass(frozen=True)
class Left:
    """What an uninstallation leaves: what it is, and the command that takes it away too."""

    what: str
    target: str
    command: str


def program() -> Path:
    """The command that runs now, as the units will name it."""
    return Path(sysconfig.get_path("scripts"), "shipstone")


def need_root(what: str, *, dry_run: bool) -> None:
    if not dry_run and os.geteuid() != 0:
        raise ShipstoneError(f"cannot {what}: this needs root. Run it with sudo, or look first with --dry-run.")


def refuse(settings: Settings, command: Path, *, dry_run: bool) -> None:
    """Raises ShipstoneError where this host, or this way of having installed the program, cannot do it."""
    need_root("install", dry_run=dry_run)
    if any(command.is_relative_to(folder) for folder in SHUT_AWAY) or not re.fullmatch(r"/[\w./+-]+", str(command)):
        raise ShipstoneError(
            f"cannot install: the service could not see {command}. Make the virtual environment at /opt/shipstone, and install from there."
        )
    if Path(settings.state.dir) != STATE:
        raise ShipstoneError(f"cannot install: [state] dir is {settings.state.dir}. The units keep state in {STATE}: leave it out.")
    for path in traefik_folders(settings):
        if str(path) in SHARED:
            raise ShipstoneError(
                f"cannot install: {path} would become writable for the service. Choose a folder of its own, as /etc/traefik."
            )
        if not re.fullmatch(r"/[\w./+-]+", str(path)):
            raise ShipstoneError(f"cannot install: a unit cannot name the folder {path}. Choose one with plain letters in [traefik].")
    found = units.systemd_version()
    if found < OLDEST:
        what = f"systemd is {found}" if found else "there is no systemd"
        raise ShipstoneError(f"cannot install: {what}, the units need {OLDEST}. docs/install.md says what to set up by hand.")
    if not setup.group_exists(DOCKER):
        raise ShipstoneError("cannot install: there is no group docker. Install Docker first (apt-get install docker.io).")


def traefik_folders(settings: Settings) -> tuple[Path, ...]:
    """What the daemon must be able to write besides its state."""
    wanted = [Path(settings.traefik.dynamic_dir)] if settings.traefik.dynamic_dir else []
    wanted += [Path(settings.files.traefik).parent] if settings.files.traefik else []
    return tuple(dict.fromkeys(path for path in wanted if not path.is_relative_to(STATE)))


def pieces(settings: Settings, command: Path) -> tuple[setup.Piece, ...]:
    """All of an installation, in the order in which things need each other."""
    return (
        setup.User(USER, DOCKER, STATE),
        setup.Folder(DEFAULT.parent, "root", "root", 0o755),
        setup.Folder(CREDENTIALS, "root", USER, 0o750),
        setup.FirstSettings(DEFAULT, text_of("config.toml"), USER),
        setup.Folder(STATE, USER, USER, 0o750, deep=True),
        *(setup.Folder(path, "root", USER, 0o775) for path in traefik_folders(settings)),
        setup.Link(LINK, command),
        *(units.Unit(UNITS / name, unit_text(name, settings, command)) for name in TEXTS),
        *(units.Enabled(name, now=False) for name in AT_BOOT),
        *(units.Enabled(name, now=True) for name in AT_ONCE),
    )


def removals(command: Path) -> tuple[setup.Piece, ...]:
    """What takes an installation away again, and leaves the data, the settings and the containers."""
    return (
        *(units.Disabled(name) for name in (*AT_ONCE, *AT_BOOT)),
        *(units.NoUnit(UNITS / name) for name in TEXTS),
        setup.NoPath(STAMP),
        setup.NoLink(LINK, command),
        setup.NotInGroup(USER, DOCKER),
    )


def purges(settings: Settings) -> tuple[setup.Piece, ...]:
    """What takes the data and the settings away too, the user last: it owns them."""
    dynamic, name = Path(settings.traefik.dynamic_dir), settings.instance
    generated = [dynamic / f"{name}.toml", DefaultCertificate(dynamic, name).path] if settings.traefik.dynamic_dir else []
    generated += [Path(settings.files.traefik)] if settings.files.traefik else []
    ours = tuple(each for path in generated if not path.is_relative_to(STATE) for each in (path, aside_of(path)))
    return (
        setup.NoHosts(HOSTS, settings.instance),
        *(setup.NoPath(path) for path in ours),
        *(setup.NoFolder(path, ours) for path in traefik_folders(settings)),
        setup.NoPath(STATE),
        setup.NoPath(DEFAULT.parent),
        setup.NoUser(USER),
    )


def refuse_purge(instance: str, there: Sequence[str]) -> None:
    """Raises ShipstoneError where containers, by name, mount what would be removed."""
    if there:
        raise ShipstoneError(
            f"cannot purge: {len(there)} containers mount what is in {STATE}, {there[0]} is one. Leave --purge out, and sites go on. "
            f"To end them too, after that: {_remove_containers(instance)}; then purge."
        )


def left(settings: Settings, command: Path) -> tuple[Left, ...]:
    """What an uninstallation leaves there."""
    found = [row for piece in purges(settings) for row in _left(piece)]
    program = command.parents[1]
    remove = f"rm -r {program}" if str(program) not in SHARED else f"{program}/bin/pip uninstall shipstone"
    sites = Left("sites", "go on running, with their Traefik", _remove_containers(settings.instance))
    return (*found, Left("program", str(program), remove), sites, Left("volumes", "are never removed", "docker volume ls"))


def _left(piece: setup.Piece) -> Iterator[Left]:
    """Nothing where it is not there."""
    try:
        if piece.due():
            yield Left(piece.kind, piece.target, _by_hand(piece))
    except ShipstoneError as error:  # half a block: no command knows where it ends
        yield Left(piece.kind, piece.target, f"# {error}")


def _by_hand(piece: setup.Piece) -> str:
    match piece:
        case setup.NoHosts(path=path, instance=name):
            return f"sed -i '/^# BEGIN shipstone {name} /,/^# END shipstone {name}$/d' {path}"
        case setup.NoUser(target=name):
            return f"userdel {name}"
        case setup.NoFolder(path=path):
            return f"rmdir --parents --ignore-fail-on-non-empty {path}"
        case _:
            return f"rm -r {piece.target}"


def _remove_containers(instance: str) -> str:
    """Of the sites, and Traefik's."""
    found = (f"docker ps --all --quiet --filter label=shipstone.{key}={instance}" for key in ("instance", "traefik"))
    return f"docker rm --force $({'; '.join(found)})"


def carry_out(wanted: Iterable[setup.Piece], *, dry_run: bool) -> Iterator[Done]:
    """Each piece in turn: what is to be done for it, and with `dry_run` that is all."""
    for piece in wanted:
        due = piece.due()
        if due and not dry_run:
            piece.do()
        yield Done(piece, due)


def text_of(name: str) -> str:
    """A file beside this package's units."""
    return files("reconciler").joinpath("systemd", name).read_text(encoding="utf-8")


def unit_text(name: str, settings: Settings, command: Path) -> str:
    """A unit with this host's paths in it."""
    writable = "ReadWritePaths=" + " ".join(f"-{path}" for path in traefik_folders(settings))
    return text_of(name).replace(PROGRAM, str(command)).replace(WRITABLE, writable)
