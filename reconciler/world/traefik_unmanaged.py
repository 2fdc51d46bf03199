"""A Traefik that someone else runs, with a traefik.toml that Shipstone writes: is it the present one that it has read?"""

from collections.abc import Callable
from pathlib import Path

from reconciler.errors import TraefikError
from reconciler.planning.observed import ProxyState


class UnmanagedTraefik:
    """`static_file` is the traefik.toml that it was started with, None where Shipstone writes none; `started_at` asks when that was."""

    def __init__(self, static_file: Path | None, started_at: Callable[[], float]) -> None:
        self._static_file, self._started_at = static_file, started_at
        self._started = 0.0

    def state(self) -> ProxyState:
        """Traefik reads its static configuration only when it starts. Its API is asked only after the file changed."""
        try:
            changed = self._static_file.stat().st_mtime if self._static_file else 0.0
        except OSError:
            return "running"
        if changed > self._started:
            try:
                self._started = self._started_at()
            except TraefikError:
                return "running"
        return "restart needed" if changed > self._started else "running"

    def start(self) -> None:
        """Not ours to start."""
