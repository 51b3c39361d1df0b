"""Exception types. Every message names the argument, what came and what is allowed."""


class HpoError(Exception):
    """Base of every exception that hpo_core raises on purpose."""


class ArgumentError(HpoError, ValueError):
    """A public function got an argument outside what it allows."""


class SpaceError(ArgumentError):
    """A search space that cannot exist, or a configuration that is not in it."""


class InfeasibleSpaceError(SpaceError):
    """The constraints rejected every one of a long run of draws."""


class SpaceExhausted(HpoError):  # noqa: N818 - a state of the search, like StopIteration
    """Every configuration of a finite space has been used."""


class StudyError(ArgumentError):
    """A study that cannot be created, resumed or asked as requested."""


class TrialError(ArgumentError):
    """A result for a trial that is unknown, finished or foreign, or of the wrong shape."""


class StorageError(ArgumentError):
    """A storage that cannot be opened, read or written; what was acknowledged before is untouched."""


class StorageRefusedError(StorageError):
    """A storage that takes nothing for now: locked, full or away. The same may be written later."""


class NotPositiveDefiniteError(HpoError, ArithmeticError):
    """A covariance matrix has no Cholesky factor; the message names the pivot that failed."""


class BackendError(HpoError, RuntimeError):
    """No usable compiled or JIT backend; the message says what to install."""


class TrialStopped(HpoError):  # noqa: N818 - raised by objectives to end a trial early
    """Raise inside an objective: the trial ends as ``stopped`` with its last reported value.

    The objective of a batch returns one in the place of a value.
    """


class TrialFailed(HpoError):  # noqa: N818 - raised by objectives, carries the reason
    """Raise inside an objective: the trial ends as ``failed`` with this reason.

    The objective of a batch returns one in the place of a value.
    """
