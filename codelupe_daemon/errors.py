"""The three fates of an error.

`Transient` is retried with back-off and an end, `Rejected` is recorded under its reason and the
work goes on, and everything else ends the process. `Fatal` is of that last kind with a message
written for the person at the terminal: it names what to do, so no traceback is shown for it.
"""


class CodeLupeError(Exception):
    """Whatever this project raises on purpose."""


class Transient(CodeLupeError):
    """It may work in a moment: a busy store, a network that broke off."""


class Rejected(CodeLupeError):
    """This input will not do; `reason` is recorded and shown, and the next input is taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StaleVisit(Rejected):
    """Another process took the repository over: what this visit still holds must not be written."""

    def __init__(self, full_name: str) -> None:
        super().__init__(f"another process took over {full_name} in the middle of this visit")


class TextsMissing(CodeLupeError):
    """Texts were said to be recorded and are not: append the same again with all of them."""


class Fatal(CodeLupeError):
    """The process cannot go on; the message says why and names the way out."""


class UsageError(CodeLupeError):
    """The command was called wrongly (exit code 2)."""
