"""A process that may write nowhere but where it is told: Linux's Landlock, which needs no privileges and cannot be undone.

It covers what files hold and which there are, not whose they are: modes, owners, times and extended attributes of the user's own
files can still be changed (landlock(7), "current limitations").
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # of every architecture: asm-generic/unistd.h
_VERSION, _PATH_BENEATH, _PR_SET_NO_NEW_PRIVS = 1, 1, 38  # linux/landlock.h, linux/prctl.h
_WRITE_FILE = 1 << 1
# linux/landlock.h, LANDLOCK_ACCESS_FS_*: remove and make whatever there is; move between folders and truncate in later versions
_CHANGE = sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_LATER = {2: _REFER, 3: _TRUNCATE}


def is_available() -> bool:
    """Whether the kernel has it, and no policy forbids it."""
    return _version() > 0


def forbid_writing_but(folders: Iterable[Path], files: Iterable[Path] = ()) -> bool:
    """From now on this thread, and all it starts, writes, makes and removes nothing but what lies in `folders`, or is one of `files`.

    One of `files` may be a folder: what is in it can be written, and nothing in it made or removed. What does not exist is left
    out. What is open already stays so. False where the system does not offer it, and nothing is forbidden.
    """
    version = _version()
    every = _WRITE_FILE | _CHANGE | sum(access for since, access in _LATER.items() if version >= since)
    allowed = {**dict.fromkeys(files, _WRITE_FILE | every & _TRUNCATE), **dict.fromkeys(folders, every)}
    return version > 0 and _restrict(every, allowed)


def _version() -> int:
    """Of the kernel's interface; 0 or less where there is none."""
    with contextlib.suppress(AttributeError):  # not Linux
        return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _VERSION))
    return 0


def _restrict(every: int, allowed: Mapping[Path, int]) -> bool:
    system = ctypes.CDLL(None)
    handled = struct.pack("Q", every)
    rules = system.syscall(_CREATE_RULESET, handled, len(handled), 0)
    if rules < 0:
        return False
    try:
        for path, access in allowed.items():
            with contextlib.suppress(OSError):
                place = os.open(path, os.O_PATH)
                system.syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", access, place), 0)
                os.close(place)
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(system.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)
