"""Steps: each is one call on the engine, the pins or the files, with the reason for it. A plan is a list of them and prints itself."""

from dataclasses import dataclass
from typing import ClassVar

from reconciler.desired.spec import NewContainer
from reconciler.planning.observed import Pin
from reconciler.planning.question import Question


@dataclass(frozen=True)
class Pull:
    """Resolve an image to a digest for `release`, pulling it when it is absent, before anything of that release is made."""

    step: ClassVar[str] = "pull"
    target: str
    reason: str
    release: str


@dataclass(frozen=True)
class SetPin:
    """Write the site's pin; None removes it. `also`: other sites' pins that change with it, in the same moment."""

    step: ClassVar[str] = "pin"
    target: str
    pin: Pin | None
    reason: str
    also: tuple[tuple[str, Pin], ...] = ()


@dataclass(frozen=True)
class Create:
    """Create a container that is started later: nobody routes to it yet."""

    step: ClassVar[str] = "create"
    new: NewContainer
    reason: str

    @property
    def target(self) -> str:
        return self.new.name


@dataclass(frozen=True)
class Start:
    """Create a container and start it; with `made` only start it: it was created, and has this id."""

    step: ClassVar[str] = "start"
    new: NewContainer
    reason: str
    made: str = ""

    @property
    def target(self) -> str:
        return self.new.name


@dataclass(frozen=True)
class StartAgain:
    """Start a container that was stopped and kept."""

    step: ClassVar[str] = "restart"
    target: str
    container_id: str
    reason: str


@dataclass(frozen=True)
class Stop:
    """Stop a container with its grace, in seconds, and remove it, unless it is to be kept; never its volumes."""

    step: ClassVar[str] = "stop"
    target: str
    container_id: str
    grace: float
    reason: str
    keep: bool = False


@dataclass(frozen=True)
class Remove:
    """Remove a container that does not run."""

    step: ClassVar[str] = "remove"
    target: str
    container_id: str
    reason: str


@dataclass(frozen=True)
class Wait:
    """Nothing after this is done before its condition holds; `until` is a monotonic time in seconds, if it is time that is waited for."""

    step: ClassVar[str] = "wait"
    target: str
    reason: str
    until: float | None = None


@dataclass(frozen=True)
class Ask:
    """Ask once through Traefik by host name, whether the release that it was switched to is reached."""

    step: ClassVar[str] = "ask"
    target: str
    question: Question
    reason: str


@dataclass(frozen=True)
class GiveUp:
    """Remember that a release failed, with the last lines of its containers' logs; it is not tried again until its content changes."""

    step: ClassVar[str] = "give up"
    target: str
    release: str
    containers: tuple[str, ...]
    reason: str


Step = Pull | SetPin | Create | Start | StartAgain | Stop | Remove | Wait | Ask | GiveUp


def due(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps that can be done now: all before the first wait."""
    now: list[Step] = []
    for step in steps:
        if isinstance(step, Wait):
            break
        now.append(step)
    return tuple(now)


def line(step: Step) -> str:
    return f"{step.step:<7} {step.target:<32} {step.reason}".rstrip()
