"""Imported by the server that makers are forked from: what each would load again at its start."""

from codelupe_daemon.syntax.definitions import definitions
from trainer.samples import makers  # noqa: F401 (to be there is all that is wanted of it)

definitions("def name(): pass\n", "Python")  # its machine code takes a third of a second
