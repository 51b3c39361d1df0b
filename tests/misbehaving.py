"""Objectives whose exceptions and results are as unhelpful as those of users can be."""

from __future__ import annotations

import threading

from objectives import TwoArgumentError

LONG = 30_000_000


class UnprintableError(Exception):
    """Raises when it is asked what happened."""

    def __str__(self):
        raise RuntimeError("no words")

    __repr__ = __str__


class RenamingError(Exception):
    """Would change its message each time it is built from its arguments."""

    def __init__(self, code):
        super().__init__(f"code {code}")


class HoldingError(ValueError):
    """Holds what cannot be pickled."""

    def __init__(self, *, lock):
        super().__init__("held", lock)
        self.lock = lock
        self.kept = 3


class RefusingError(LookupError):
    """Refuses to be pickled."""

    def __reduce_ex__(self, protocol):
        raise RuntimeError("not this way")


class MissingError(OSError):
    """Has its own arguments and the interpreter's fields."""

    def __init__(self, path):
        super().__init__(2, "no such thing", path)


class Outer:
    class NestedError(Exception):
        def __init__(self, a, *, b):
            super().__init__(a, b)


class Bad:
    """A result that raises whatever one does with it."""

    def __init__(self, error):
        self.error = error

    def raises(self, *_):
        raise self.error

    __float__ = __repr__ = __str__ = __len__ = __index__ = raises


class BadArray(Bad):
    __array__ = item = tolist = Bad.raises
    size = 1


def raiser(make):
    def misbehave(trial):
        raise make()

    return misbehave


def make_group():
    return ExceptionGroup("two", [UnprintableError(), HoldingError(lock=threading.Lock())])


def endless(trial):
    return endless(trial)


# By what the reason says, the name of a type mostly.
RAISING = {
    "UnprintableError": raiser(UnprintableError),
    "RenamingError": raiser(lambda: RenamingError(3)),
    "HoldingError": raiser(lambda: HoldingError(lock=threading.Lock())),
    "RefusingError": raiser(lambda: RefusingError("key")),
    "MissingError": raiser(lambda: MissingError("/x")),
    "NestedError": raiser(lambda: Outer.NestedError(1, b=2)),
    "TwoArgumentError": raiser(lambda: TwoArgumentError(7, "no way home")),
    "ExceptionGroup": raiser(
        lambda: ExceptionGroup("two", [UnprintableError(), HoldingError(lock=threading.Lock())])
    ),
    "ArithmeticError": raiser(lambda: ArithmeticError("x" * LONG)),
    "RecursionError": endless,
    "UnicodeError": raiser(lambda: UnicodeError("half \ud83d of a character, and \0")),
}
RETURNING = {
    "RuntimeError": lambda trial: Bad(RuntimeError("no number")),
    "OverflowError": lambda trial: BadArray(OverflowError("no array")),
    "UnprintableError": lambda trial: BadArray(UnprintableError()),
    "got [0.0, 0.0": lambda trial: [0.0] * 20_000_000,
    "got 'xxx": lambda trial: "x" * LONG,
    "_thread.lock": lambda trial: threading.Lock(),
}
CASES = [*RAISING.values(), *RETURNING.values()]


def in_turn(trial):
    """Misbehave in another way in each trial, and behave in the last."""
    return CASES[trial.number](trial) if trial.number < len(CASES) else 0.0


class Noting:
    """Notes what is no JSON."""

    def __init__(self, what):
        self.what = what

    def __call__(self, trial):
        trial.note(fine=1, **{self.what: threading.Lock()})
        return 0.0
