"""GitPython, with exactly the environment that it is given: nothing of ours reaches git by inheritance."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from git.cmd import Git


class PinnedGit(Git):
    """Starts git in `folder`. Only what this package needs of GitPython: processes, and its persistent `cat-file`."""

    def __init__(self, folder: str, environment: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._pinned = dict(environment)
        self._folder = folder

    def start(self, command: Sequence[str], *, session: bool = True) -> "subprocess.Popen[bytes]":
        """`session`: in a process group of its own, so that git's helpers can be ended with it. Raises OSError."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self._folder, env=self._pinned, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=session
        )

    def execute(self, command: Any, istream: Any = None, **_options: Any) -> Any:  # type: ignore[override]  # one way of its many
        """What GitPython calls for its persistent commands."""
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=self._folder, env=self._pinned, stdin=istream, stdout=pipe, stderr=null)
        return self.AutoInterrupt(process, command)
