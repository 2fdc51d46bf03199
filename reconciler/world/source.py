"""Where the desired state comes from: git.py or directory.py."""

from collections.abc import Callable
from typing import Protocol

from reconciler.desired.revision import Revision


class Source(Protocol):
    def fetch(self) -> Revision:
        """The newest revision. Blocking, with a deadline of its own. Raises SourceError."""

    def last(self) -> Revision | None:
        """What was taken last, also by an earlier process, where it is at hand without asking anyone. Raises nothing."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` from a daemon thread when something may have changed; returns what stops it. Git sources are polled."""
