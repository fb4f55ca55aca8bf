"""Data and sample sources that tests read; the tests themselves are code like any other."""

from __future__ import annotations

from codelupe_daemon.examine.rules.base import PathRule
from codelupe_daemon.model import Reason

_TESTS = ("test", "tests", "spec", "specs", "testing")
_DATA = ("data", "fixture", "files", "resources", "snapshots", "golden", "inputs")

RULE = PathRule(
    Reason.TEST_FIXTURE,
    folders=frozenset(
        {"fixtures", "__fixtures__", "testdata", "test_data", "test-data", "testfiles"}
        | {"__snapshots__", "cassettes", "test-fixtures", "test_fixtures", "test_files"}
        | {f"{tests}/{data}" for tests in _TESTS for data in _DATA}
    ),
    endings=(".snap", ".golden"),
)
