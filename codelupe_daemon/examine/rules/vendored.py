"""Copies of other projects: they are ingested where they are at home."""

from __future__ import annotations

import re

from codelupe_daemon.examine.rules.base import PathRule
from codelupe_daemon.model import Reason

RULE = PathRule(
    Reason.VENDORED,
    folders=frozenset(
        {"vendor", "vendors", "node_modules", "bower_components", "third_party", "third-party"}
        | {"thirdparty", "3rdparty", "3rd_party", "3rd-party", "_vendor", "_vendored", "pods"}
        | {"site-packages", "carthage", "external", "externals", "extern", "ace-builds"}
        | {"mathjax", "flow-typed", "puphpet", "inst/extdata", "godeps/_workspace", "_esy"}
        | {".yarn/releases", ".yarn/plugins", ".yarn/sdks", "gradle/wrapper", ".mvn/wrapper"}
        | {"admin_media", "xvba_modules", "sparkle"}
    ),
    names=frozenset(
        {"gradlew", "gradlew.bat", "mvnw", "mvnw.cmd", "cpplint.py", "erlang.mk", "waf"}
        | {"config.guess", "config.sub", "aclocal.m4", "libtool.m4", "ltoptions.m4"}
        | {"ltsugar.m4", "ltversion.m4", "lt~obsolete.m4", "dotnet-install.sh", "ltmain.sh"}
        | {"dotnet-install.ps1", "html5shiv.js", "chart.js", "ckeditor.js", "dojo.js"}
        | {"mochikit.js", "pdf.worker.js", "bootbox.js", "install-sh", "depcomp", "missing"}
    ),
    pattern=re.compile(
        r"(?:jquery|bootstrap|angular|modernizr|mootools|prototype|cordova|tiny_mce|yui|underscore"
        r"|backbone|ember|knockout|lodash|moment|react|react-dom|d3)"
        r"(?:[.-]v?\d[\w.]*|[.-](?:min|slim|debug|ui|form|validate|cookie|migrate))*\.(?:js|css)$"
    ),
)
