"""Copies of other projects: they are ingested where they are at home.

The patterns are linguist's, with three differences. Names that are also plain words count only
with a version, or for the library's own file: `effects.js` and `prototype_pollution.js` are code.
So are folders named `cache` or `env`, and type declarations (`*.d.ts`). What linguist calls
vendored but is a test's data or a tool's settings has those reasons.
"""

from __future__ import annotations

import re

from codelupe_daemon.examine.rules.base import PathRule
from codelupe_daemon.model import Reason

_DOCS = [f"{docs}/{mark}{kind}" for docs in ("doc", "docs") for mark in ("", "_")
         for kind in ("build", "theme", "themes", "template", "templates", "static")]  # fmt: skip

RULE = PathRule(
    Reason.VENDORED,
    folders=frozenset(
        {"vendor", "vendors", "node_modules", "bower_components", "third_party", "third-party"}
        | {"thirdparty", "3rdparty", "3rd_party", "3rd-party", "_vendor", "_vendored", "pods"}
        | {"site-packages", "carthage", "external", "externals", "extern", "ace-builds", "dist"}
        | {"mathjax", "flow-typed", "puphpet", "inst/extdata", "godeps", "_esy", "extjs"}
        | {".yarn/releases", ".yarn/plugins", ".yarn/sdks", ".yarn/versions", ".yarn/unplugged"}
        | {"gradle/wrapper", ".mvn/wrapper", ".google_apis", "bootstrap-datepicker", "select2"}
        | {"admin_media", "xvba_modules", "sparkle", "font-awesome", "fontawesome", "tiny_mce"}
        | {"codemirror/lib", "codemirror/mode", "codemirror/theme", "codemirror/addon"}
        | {"codemirror/keymap", "codemirror/demo"}
        | set(_DOCS)
    ),
    top_folders=frozenset({"deps", "dependencies", "debian"}),
    folder_pattern=re.compile(
        r"(?:3rd|third)[-_]?party(?:/|$)"
        r"|(?:^|/)packages/[^/]+\.\d+(?:/|$)"  # NuGet's
        r"|\.(?:framework|xctemplate|imageset)(?:/|$)"
    ),
    names=frozenset(
        {"gradlew", "gradlew.bat", "mvnw", "mvnw.cmd", "cpplint.py", "erlang.mk", "waf"}
        | {"config.guess", "config.sub", "aclocal.m4", "libtool.m4", "ltoptions.m4"}
        | {"ltsugar.m4", "ltversion.m4", "lt~obsolete.m4", "dotnet-install.sh", "ltmain.sh"}
        | {"dotnet-install.ps1", "html5shiv.js", "chart.js", "ckeditor.js", "dojo.js"}
        | {"mochikit.js", "pdf.worker.js", "bootbox.js", "install-sh", "depcomp", "missing"}
        | {"shcore.js", "shlegacy.js", "fuelux.js", "materialize.js", "leaflet.draw-src.js"}
        | {"leaflet.spin.js", "wicket-leaflet.js", "control.fullscreen.js", "activator"}
        | {"activator.bat", "mkinstalldirs", "ylwrap", "py-compile"}
    ),
    endings=("-vsdoc.js", ".intellisense.js"),
    pattern=re.compile(
        r"(?:jquery|bootstrap|angular|modernizr|mootools|prototype|cordova|tiny_mce|yui|underscore"
        r"|backbone|ember|knockout|lodash|moment|react|react-dom|d3|foundation|leaflet|zepto|vue)"
        r"(?:[.-]v?\d[\w.]*|[.-](?:min|slim|debug|ui|form|validate|cookie|migrate|fancybox|custom"
        r"|unobtrusive-ajax|fileupload|bundle|core|all|full))*\.(?:js|css)$"
        r"|jquery\.(?:ui|effects|fn|fileupload|datatables|fancybox)[.-][\w.-]*js$"
        r"|(?:yahoo-|shbrush)[^.]*\.js$|slick\.\w+\.js$"
        r"|microsoft(?:mvc)?(?:ajax|validation)(?:\.debug)?\.js$"
    ),
)
