"""The family of errors of the engine. An error's class decides what happens next; its sentence says what to do.

    OutreachError
    ├── BadInput          what a person wrote is wrong; carries every Problem found         exit 2
    │   └── Refused       the command itself is refused (a wrong count, an unknown name)    exit 2
    └── Unfit             the surroundings do not allow it (disk, database, port, lock)     exit 3
        ├── Busy          another daemon holds this database                               exit 3
        └── ClockInDoubt  the clock jumped, and nobody has said yet that it is right       exit 3

Expected outcomes (a cap was full, a provider refused) are values, not errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.journey.problems import Problem


class OutreachError(Exception):
    """Something outreach can explain. `str(error)` is a whole sentence for a person."""

    exit_code = 1


class BadInput(OutreachError):
    """What a person wrote cannot be used; `problems` holds every finding, each with its place and cure."""

    exit_code = 2

    def __init__(self, sentence: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(sentence)
        self.problems: tuple[Problem, ...] = tuple(problems)


class Refused(BadInput):
    """The command was understood and is refused; nothing was changed."""


class Renamed(OutreachError):
    """A journey was given another name meanwhile; nothing was written under the old one."""


class Unfit(OutreachError):
    """The surroundings do not allow it: a disk, a database, a port, a missing secret."""

    exit_code = 3


class Busy(Unfit):
    """Another process is the one writer of this database."""


class ClockInDoubt(Unfit):
    """The clock was set while work was done: nothing is decided and nothing leaves by it until somebody says so."""
