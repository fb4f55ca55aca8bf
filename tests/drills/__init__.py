"""Drills: `codelupe` as a process, with everything done to it that a machine does to a process."""
