"""Settings of tools, also where they are written in a programming language."""

from __future__ import annotations

import re

from codelupe_daemon.examine.rules.base import PathRule
from codelupe_daemon.model import Reason

RULE = PathRule(
    Reason.CONFIGURATION,
    folders=frozenset(
        {".github", ".gitlab", ".circleci", ".vscode", ".idea", ".teamcity", ".devcontainer"}
        | {".husky", ".obsidian", ".storybook", ".changeset", ".yarn"}
    ),
    names=frozenset(
        {"gruntfile.js", "gulpfile.js", "package.json", "tsconfig.json", "composer.json"}
        | {"jenkinsfile", "vagrantfile", "podfile", "fastfile", "brewfile", "gemfile"}
        | {"settings.gradle", "settings.gradle.kts", ".pryrc", ".irbrc", ".editorconfig"}
        | {".pnp.cjs", ".pnp.js", "pyproject.toml", "cargo.toml", "setup.cfg", "tox.ini"}
        | {".gitattributes", ".gitignore", ".gitmodules", ".formatter.exs", ".credo.exs"}
        | {"proguard.pro", "proguard-rules.pro", ".indent.pro", ".gitpod.dockerfile"}
    ),
    pattern=re.compile(
        r"[\w.-]*\.(?:config|conf)(?:\.(?:base|common|dev|prod|test|development|production))?"
        r"\.(?:[cm]?[jt]s|exs)$|\.[\w-]+rc\.(?:py|rb)$|\.[\w-]+\.[cm]?js$"
    ),
)
