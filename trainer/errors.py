"""What ends a round, beside the daemon's `Transient`, `Rejected` and `Fatal`."""

from codelupe_daemon.errors import CodeLupeError, Fatal


class StaleTrainer(Fatal):
    """Another process took the profile over: what this one still holds must not be written."""

    def __init__(self, profile: str) -> None:
        super().__init__(f"another process took over the training of {profile}: this one ends")


class Diverged(CodeLupeError):
    """The loss is not a number. The last good checkpoint and the active version stay."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss is not a number at step {step}")
        self.step = step


class OutOfMemory(CodeLupeError):
    """The device's memory did not do, also with the micro-batch halved."""
