"""One rule a file; the first that holds gives the reason.

A new rule is a new file and its name in one of the lists below.
"""

from __future__ import annotations

from codelupe_daemon.examine.rules import (
    binary,
    configuration,
    data,
    documentation,
    generated,
    limits,
    minified,
    test_fixture,
    vendored,
)

PATH_RULES = (
    vendored.RULE,
    test_fixture.RULE,
    generated.BY_PATH,
    minified.BY_PATH,
    documentation.RULE,
    configuration.RULE,
    binary.RULE,
)
CONTENT_RULES = (generated.RULE, minified.RULE, data.RULE, *limits.RULES)
