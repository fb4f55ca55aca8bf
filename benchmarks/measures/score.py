"""Whether the score means something: twins made worse by rule, poor code, and the length of a text.

Weights and ramps were chosen on the `develop` packages alone; every figure is of the others.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import Package, archive_of, files_of
from benchmarks.degrade import DEGRADATIONS, LANGUAGES, break_syntax
from benchmarks.measures.base import Row
from benchmarks.poor import SIZES, environment, poor_texts
from codelupe_daemon.examine import Examiner, ExamineSettings
from codelupe_daemon.model import Verdict

REVIEWED = {
    "develop": {
        "Python": "pypi:django@5.1.4 pypi:sympy@1.13.3",
        "Rust": "cargo:tokio@1.42.0 cargo:cranelift-codegen@0.115.0 cargo:diesel@2.2.6",
        "Go": "go:k8s.io/kubernetes@v1.32.0",
        "JavaScript": "npm:lodash@4.17.21 npm:webpack@5.97.1",
        "TypeScript": "npm:rxjs@7.8.1 npm:effect@3.11.9",
        "Java": "maven:org.elasticsearch:elasticsearch@8.17.0",
        "C": "cargo:openssl-src@300.4.1+3.4.0",
        "C++": "cargo:librocksdb-sys@0.17.1+9.9.3",
    },
    "held-out": {
        "Python": "pypi:twisted@24.11.0 pypi:networkx@3.4.2 pypi:nltk@3.9.1",
        "Rust": "cargo:rustix@0.38.42 cargo:syn@2.0.90 cargo:naga@23.1.0 "
        "cargo:nu-command@0.100.0 cargo:clap_builder@4.5.23",
        "Go": "go:golang.org/x/tools@v0.28.0 go:github.com/gohugoio/hugo@v0.140.0",
        "JavaScript": "npm:eslint@9.17.0 npm:three@0.171.0 npm:express@5.3.0 npm:mocha@12.0.3",
        "TypeScript": "npm:viem@2.21.55 npm:ethers@6.13.4",
        "Java": "maven:org.apache.lucene:lucene-core@10.0.0 "
        "maven:org.hibernate.orm:hibernate-core@6.6.4.Final "
        "maven:org.springframework:spring-core@6.2.1 maven:com.google.guava:guava@33.3.1-jre",
        "C": "cargo:curl-sys@0.4.91+curl-8.22.0 cargo:libgit2-sys@0.18.8+1.9.7 "
        "cargo:lua-src@551.1.0 cargo:libssh2-sys@0.3.4",
        "C++": "cargo:protobuf-src@2.1.1+27.1 cargo:leveldb-sys@2.0.9",
    },
}
ENDINGS = {
    "Python": (".py",),
    "Rust": (".rs",),
    "Go": (".go",),
    "JavaScript": (".js", ".mjs", ".cjs"),
    "TypeScript": (".ts", ".tsx"),
    "Java": (".java",),
    "C": (".c",),
    "C++": (".cc", ".cpp"),
}
FILES_OF_LANGUAGE = 130
THRESHOLD = 0.7
_PACKED = b""
PARSED_OF = 3
"""Every so many files are parsed."""
GRAMMARS = {
    "Python": "python",
    "Rust": "rust",
    "Go": "go",
    "JavaScript": "javascript",
    "Java": "java",
    "C": "c",
    "C++": "cpp",
}
PARSERS = ("tree-sitter==0.26.1", *(f"tree-sitter-{name}" for name in GRAMMARS.values()))
_PARSE = """
import importlib, json, sys
from tree_sitter import Language, Parser
parsers = {
    language: Parser(Language(importlib.import_module("tree_sitter_" + name).language()))
    for language, name in GRAMMARS.items()
}
texts = json.load(sys.stdin)
print(json.dumps([parsers[k].parse(text.encode()).root_node.has_error for k, text in texts]))
"""


class Sample(NamedTuple):
    """A text with its language."""

    path: str
    language: str
    text: str


def examiner() -> Examiner:
    return Examiner(ExamineSettings(), lambda _buffer, offsets, _sizes: [_PACKED] * len(offsets))


def verdict_of(judge: Examiner, sample: Sample) -> Verdict:
    """By the name alone: that a package lies in a folder of its origin is no verdict on it."""
    return judge.examine_text(Path(sample.path).name, sample.text.encode()).verdict


def reviewed(split: str, cache: Path, judge: Examiner) -> list[Sample]:
    """Files of well-reviewed projects that pass the rules, as many of each language."""
    samples: list[Sample] = []
    for language, specs in REVIEWED[split].items():
        found = [s for spec in specs.split() for s in _package_files(spec, language, cache)]
        random.Random(split).shuffle(found)
        kept = (s for s in found if _is_kept(verdict_of(judge, s), language))
        samples += islice(kept, FILES_OF_LANGUAGE)
    return samples


def _is_kept(verdict: Verdict, language: str) -> bool:
    return verdict.reason is None and verdict.language == language


def _package_files(spec: str, language: str, cache: Path) -> list[Sample]:
    registry, _, rest = spec.partition(":")
    name, _, version = rest.rpartition("@")
    package = Package(registry, name, version)
    return [
        Sample(path, language, data.decode())
        for path, data in files_of(package, archive_of(package, cache))
        if path.endswith(ENDINGS[language])
        and not path.endswith((".d.ts", ".min.js"))
        and len(data) in SIZES
        and _is_utf8(data)
    ]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# -- figures ------------------------------------------------------------------------------------


def auc(better: Sequence[float], worse: Sequence[float]) -> float:
    """How often one of the better ones scores higher than one of the worse; a tie is a half."""
    high, low = np.asarray(better)[:, None], np.asarray(worse)[None, :]
    return float(np.mean((high > low) + 0.5 * (high == low)))


def correlations(scores: Sequence[float], sizes: Sequence[float]) -> tuple[float, float]:
    """Spearman's, and Pearson's with the logarithm."""
    spearman = np.corrcoef(_ranks(np.asarray(scores)), _ranks(np.asarray(sizes)))[0, 1]
    pearson = np.corrcoef(scores, np.log(sizes))[0, 1]
    return float(spearman), float(pearson)


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def pairs(samples: Sequence[Sample], judge: Examiner) -> list[tuple[str, str, bool]]:
    """For each text and each degradation that applies: both names, and whether it was noticed."""
    found = []
    for sample in samples:
        score = verdict_of(judge, sample).score
        for degrade in DEGRADATIONS:
            chance = random.Random(f"{sample.path} {degrade.__name__}")
            worse = degrade(sample.text, sample.language, chance)
            if worse is None or worse == sample.text:
                continue
            twin = verdict_of(judge, sample._replace(text=worse))
            noticed = twin.reason is not None or twin.score < score
            found.append((degrade.__name__, sample.language, noticed))
    return found


def measure(cache: Path) -> list[Row]:
    return measure_split("held-out", cache)


def measure_split(split: str, cache: Path) -> list[Row]:
    judge = examiner()
    samples = reviewed(split, cache, judge)
    scores = [verdict_of(judge, s).score for s in samples]
    rows = _pair_rows(pairs(samples, judge))
    rows.append(_validity_row(samples, cache, judge))
    rows += _poor_rows(split, samples, scores, cache, judge)
    for name, sizes in (
        ("lines", [s.text.count("\n") + 1 for s in samples]),
        ("bytes", [len(s.text.encode()) for s in samples]),
    ):
        spearman, pearson = correlations(scores, sizes)
        detail = f"Spearman {spearman:.2f}, Pearson with the logarithm {pearson:.2f}"
        figure = max(abs(spearman), abs(pearson))
        rows.append(
            Row(f"score: correlation with {name}", figure, 0.5, detail, is_upper_limit=True)
        )
    shares = {
        language: np.mean(
            [s >= THRESHOLD for s, f in zip(scores, samples, strict=True) if f.language == language]
        )
        for language in LANGUAGES
    }
    detail = ", ".join(f"{language} {share:.2f}" for language, share in shares.items())
    quantiles = np.quantile(scores, [0.1, 0.5, 0.9]).round(2).tolist()
    share = float(np.mean([s >= THRESHOLD for s in scores]))
    rows.append(Row("score: kept at 0.7", share, None, f"{detail}; tenths {quantiles}"))
    return rows


def _pair_rows(found: Sequence[tuple[str, str, bool]]) -> list[Row]:
    detail = f"{len(found)} pairs, {len({language for _, language, _ in found})} languages"
    rows = [Row("score: twins told apart", np.mean([n for *_, n in found]).item(), 0.95, detail)]
    for degrade in DEGRADATIONS:
        name = degrade.__name__
        of_kind = [(language, noticed) for kind, language, noticed in found if kind == name]
        each = ", ".join(
            f"{language} {np.mean(noticed):.2f} of {len(noticed)}"
            for language in LANGUAGES
            if (noticed := [n for other, n in of_kind if other == language])
        )
        share = np.mean([n for _, n in of_kind]).item()
        rows.append(Row(f"score: {name.replace('_', ' ')}", share, None, each))
    return rows


def _validity_row(samples: Sequence[Sample], cache: Path, judge: Examiner) -> Row:
    """Files and their broken twins: does `validity` say what tree-sitter says?"""
    chosen = [s for s in samples if s.language in GRAMMARS][::PARSED_OF]
    twins = [
        s._replace(text=worse)
        for s in chosen
        if (worse := break_syntax(s.text, s.language, random.Random(s.path))) is not None
    ]
    texts = [s for s in (*chosen, *twins) if verdict_of(judge, s).reason is None]
    sound = [b'"validity":1,' in verdict_of(judge, s).signals for s in texts]
    parsed = [not has_error for has_error in _errors(texts, cache)]
    both = list(zip(parsed, sound, strict=True))
    detail = (
        f"of {len(both)} files and twins; sound among what parses "
        f"{np.mean([s for p, s in both if p]):.3f}, broken among what does not "
        f"{np.mean([not s for p, s in both if not p]):.3f}"
    )
    agreement = np.mean([p == s for p, s in both]).item()
    return Row("score: validity as tree-sitter sees it", agreement, None, detail)


def _errors(samples: Sequence[Sample], cache: Path) -> list[bool]:
    python = environment(cache / "peers" / "parsers", PARSERS)
    texts = json.dumps([[s.language, s.text] for s in samples])
    script = f"GRAMMARS = {GRAMMARS!r}\n{_PARSE}"
    command = [str(python), "-c", script]
    done = subprocess.run(command, input=texts.encode(), capture_output=True, check=True)
    found: list[bool] = json.loads(done.stdout)
    return found


def _poor_rows(
    split: str, samples: Sequence[Sample], scores: Sequence[float], cache: Path, judge: Examiner
) -> list[Row]:
    """Poor files against reviewed ones of the same language, each language with its weight."""
    poor: dict[str, list[float]] = {}
    rules: dict[str, list[float]] = {}
    for entry, text in poor_texts(cache):
        path = entry.path.replace(".min.", ".")  # it is no longer
        verdict = verdict_of(judge, Sample(path, entry.language, text))
        if entry.split == split and _is_kept(verdict, entry.language):
            poor.setdefault(entry.language, []).append(verdict.score)
            rules.setdefault(entry.rule, []).append(verdict.score)
    good = {
        language: [v for v, s in zip(scores, samples, strict=True) if s.language == language]
        for language in poor
    }
    of_language = {language: auc(good[language], poor[language]) for language in poor}
    count = {language: len(found) for language, found in poor.items()}
    total = sum(count.values())
    # Of all pairs within a language, weighted by the poor ones: no language stands for quality.
    figure = sum(of_language[language] * count[language] for language in poor) / max(total, 1)
    each = ", ".join(f"{k} {of_language[k]:.2f} of {count[k]}" for k in sorted(poor))
    mixed = auc(*([v for found in of.values() for v in found] for of in (good, poor)))
    medians = ", ".join(f"{rule} {np.median(found):.2f}" for rule, found in sorted(rules.items()))
    return [
        Row("score: reviewed above poor, AUC", figure, 0.85, f"{total} poor files; {each}"),
        Row("score: the same, languages mixed", mixed, None, f"medians: {medians}"),
    ]
