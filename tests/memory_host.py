"""A host in memory: the real passes over the engine and Traefik in memory; time moves only with each pass."""

from collections.abc import Collection
from pathlib import Path

from reconciler.apply import Apply
from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired
from reconciler.desired.policy import Policy
from reconciler.desired.revision import Revision
from reconciler.planning.guard import Guard
from reconciler.planning.observed import ProxyState, TraefikView
from reconciler.planning.plan import Plan
from reconciler.planning.seen import Names
from reconciler.reconcile import Reconciler, World
from reconciler.world.files import FileStore
from reconciler.world.generated import GeneratedFiles
from reconciler.world.memory import MemoryEngine
from reconciler.world.memory_traefik import MemoryTraefik
from reconciler.world.pins import PinFile
from reconciler.world.readiness import Readiness
from reconciler.world.store import Store

NAMES = Names("t", "t_net", "web")
STEP = 1.0
"""Seconds from one pass to the next."""
MOST = 200
"""Passes until it is at rest."""


class PromptTraefik(MemoryTraefik):
    """Takes up what runs and what is pinned as soon as it is asked."""

    def __init__(self, engine: MemoryEngine, file: PinFile) -> None:
        super().__init__(engine, {})
        self._file = file

    def view(self, moving: Collection[str]) -> TraefikView:
        self._pins = self._file.read()
        self.refresh()
        return super().view(moving)

    def pins_digest(self) -> str:
        return self._file.digest()


class Runs:
    """Traefik itself, as far as a pass asks."""

    def state(self) -> ProxyState:
        return "running"

    def start(self) -> None:
        raise AssertionError("it runs")


class MemoryHost:
    def __init__(self, folder: Path, policy: Policy, guard: Guard | None = None) -> None:
        self.now = 1000.0
        self.engine = MemoryEngine(NAMES.instance, NAMES.network, lambda: self.now)
        self.pins = PinFile(folder / "dynamic", NAMES.instance, ("web",))
        traefik = PromptTraefik(self.engine, self.pins)
        self._apply = Apply(self.engine, self.pins, FileStore(folder / "files"), parallel=4, clock=lambda: self.now, wall=lambda: self.now)
        readiness, generated = Readiness(self.engine.answers), GeneratedFiles((), folder / "written")
        self._world = World(self.engine, self.pins, traefik, Store(folder / "s.db"), readiness, Runs(), generated)  # type: ignore[arg-type]
        self._policy, self._guard = policy, guard or Guard(0, 0.0)
        self.start()

    def start(self) -> None:
        """A process of Shipstone that knows what the world and the store tell it, and nothing else."""
        self._reconciler = Reconciler(self._world, Compiler(self._policy), NAMES, self._apply, self._guard, clock=lambda: self.now)

    def take(self, revision: Revision) -> Desired:
        return self._reconciler.take(revision)

    def hosts(self) -> tuple[str, ...]:
        return self._reconciler.hosts()

    def until_quiet(self) -> Plan:
        """Passes until nothing is left to do; the plan of the last one."""
        for _ in range(MOST):
            plan = self._reconciler.once()
            if plan.quiet and not self._apply.at_work:
                return plan
            if self._apply.at_work:
                self._reconciler.rest(5.0)
            self.now += STEP
        raise AssertionError(f"it does not end: {plan}")

    def close(self) -> None:
        self._reconciler.close(5.0)
