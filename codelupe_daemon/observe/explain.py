"""What reasons and signals mean, in one line each; `docs/examine.md` says it at length."""

from __future__ import annotations

from typing import Final

from codelupe_daemon.model import Reason

_ATTRIBUTE: Final = "wrong? in .gitattributes: {path} -linguist-{attribute}"

MEASURED: Final = {
    Reason.TOO_DEEP: "folders",
    Reason.TOO_LARGE: "bytes",
    Reason.TOO_SMALL: "characters",
    Reason.BINARY: "bytes before the first NUL",
    Reason.NOT_TEXT: "bytes before the first that is not UTF-8",
    Reason.GENERATED: "the line that says so",
    Reason.MINIFIED: "characters a line, of the longest or in the mean",
    Reason.DATA: "what of the limits below it breaks",
    Reason.TOO_FEW_LINES: "lines",
    Reason.TOO_MANY_LINES: "lines",
    Reason.SHORT_LINES: "characters a line, in the mean",
    Reason.FEW_LETTERS: "of all that is not blank are letters",
    Reason.MANY_DIGITS: "of all that is not blank are digits",
    Reason.MOSTLY_BLANK: "of the text is blank",
    Reason.MOSTLY_COMMENTS: "of the bytes are lines of comments",
    Reason.MOSTLY_STUBS: "of the lines of code are `pass`",
    Reason.MOSTLY_IMPORTS: "of the lines of code are imports",
    Reason.MOSTLY_PRINTS: "of the lines of code are prints",
    Reason.REPETITIVE: "of the lines of code stand there more than once",
    Reason.UNFINISHED: "of the lines leave something to do",
    Reason.SECRET: "secrets",
}
"""What the number beside a reason counts."""

CHANGE: Final = {
    Reason.SUBMODULE: "its own repository can be a source of its own",
    Reason.SYMLINK: "the file that it points to is judged where it lies",
    Reason.LFS_POINTER: "the content lies elsewhere and is never fetched",
    Reason.VENDORED: _ATTRIBUTE.replace("{attribute}", "vendored"),
    Reason.GENERATED: _ATTRIBUTE.replace("{attribute}", "generated"),
    Reason.DOCUMENTATION: _ATTRIBUTE.replace("{attribute}", "documentation"),
    Reason.NOT_CODE: "wrong? in .gitattributes: {path} linguist-language=NAME",
    Reason.LICENSE: "a licence file in its folder, or a line SPDX-License-Identifier in it",
    Reason.SECRET: "set the policy of its kind to `redact`, or take the secret out",
    Reason.TAKEN_DOWN: "`codelupe forget` named it, and no visit brings it back",
    Reason.UNREADABLE: "the next visit tries again",
    Reason.CHANGED_WHILE_READ: "the next visit tries again",
}
"""What its owner can do, where no setting is the answer."""

SIGNALS: Final = {
    "structure": "functions of a size that can be read, few long lines, some air",
    "documentation": "comments in measure, definitions that are explained, no dead code",
    "complexity": "few decisions a function and little nesting; 1 is simple",
    "naming": "names that say something, in one style",
    "security": "how rarely it reaches for what is dangerous in its language",
    "validity": "brackets, strings and blocks close, as in what a parser accepts",
    "robustness": "errors are handled, not swallowed",
    "repetition": "few lines of code that stand in it more than once",
    "idiom": "how much of its language's own means it uses",
}
"""Each 0..1, 1 being the best."""


def change(reason: str, path: str) -> str:
    """A hint for the owner of the file; empty where there is none."""
    return CHANGE.get(Reason(reason), "").replace("{path}", path)


def measured(reason: str) -> str:
    return MEASURED.get(Reason(reason), "")
