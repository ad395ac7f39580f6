"""What ends a command, and the exit code that a script can rely on.

0: done, or all is well. 1: the answer is no: nothing found, something to mend, something without an outcome.
2: the command line is wrong (click's own). 3: AWS refused or did not answer; nothing is known.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """An exit code."""

    OK = 0
    NO = 1
    USAGE = 2
    AWS = 3


class OperatorError(Exception):
    """What an operator is told instead of an answer: what went wrong, and the next step."""

    exit = Exit.AWS


class Denied(OperatorError):
    """The caller's policies do not allow it."""


class NotFound(OperatorError):
    """What was asked for does not exist."""

    exit = Exit.NO


class Refused(OperatorError):
    """It would be wrong to do this, such as to send a mail anew of which nobody has heard."""

    exit = Exit.NO
