"""A person who is root does a command's work as the owner of the state folder: else files appear that the service cannot use."""

import os
import pwd
from pathlib import Path

from reconciler.errors import ShipstoneError

PERSON = "SUDO_USER"
"""The variable that names who is behind root; sudo sets it."""


def become_owner(state: Path) -> None:
    """For good, with all groups of that user. Nothing where we are not root, or the folder is root's or not there.

    Raises ShipstoneError where the owner has no name on this host.
    """
    if os.geteuid() != 0 or not state.is_dir() or (uid := state.stat().st_uid) == 0:
        return
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        raise ShipstoneError(f"cannot use {state}: it belongs to user {uid}, who has no name here. Run `shipstone install`.") from None
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(uid)
    os.environ.setdefault(PERSON, pwd.getpwuid(0).pw_name)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)


def give_to_owner(path: Path, state: Path) -> None:
    """A file that root made for the service becomes that of the state folder's owner. Nothing where we are not root, or the folder is not
    there."""
    if os.geteuid() == 0 and state.is_dir():
        status = state.stat()
        os.chown(path, status.st_uid, status.st_gid)
