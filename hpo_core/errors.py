"""Exception types. Every message names the argument, the allowed values and the value given."""


class HpoError(Exception):
    """Base of every exception that hpo_core raises on purpose."""


class ArgumentError(HpoError, ValueError):
    """An argument of a public function has a value that is not allowed."""


class SpaceError(ArgumentError):
    """The search space is not valid, or a configuration does not belong to it."""


class InfeasibleSpaceError(SpaceError):
    """The constraints of the space rejected too many draws in a row."""


class SpaceExhausted(HpoError):  # noqa: N818 - a state of the search, like StopIteration
    """Every configuration of a finite space has been used."""


class StudyError(ArgumentError):
    """The study cannot be created, resumed or asked as requested."""


class TrialError(ArgumentError):
    """The trial is unknown, finished or of another study, or its result has the wrong type or shape."""


class StorageError(ArgumentError):
    """The storage cannot be opened, read or written; changes acknowledged earlier are untouched."""


class StorageRefusedError(StorageError):
    """The storage accepts no changes for now: it is locked, full or unreachable. Retry later."""


class NotPositiveDefiniteError(HpoError, ArithmeticError):
    """A covariance matrix has no Cholesky factor; the message names the pivot that failed."""


class BackendError(HpoError, RuntimeError):
    """No usable compiled or JIT backend; the message says what to install."""


class TrialStopped(HpoError):  # noqa: N818 - raised by objectives to end a trial early
    """Raise this in an objective to end the trial as ``stopped`` with its last reported value.

    A vectorized objective returns an instance in place of a trial's value.
    """


class TrialFailed(HpoError):  # noqa: N818 - raised by objectives, carries the reason
    """Raise this in an objective to end the trial as ``failed``, with the message as its reason.

    A vectorized objective returns an instance in place of a trial's value.
    """
