"""Secrets beside gitleaks: in real code with secrets planted by rule, and in real code alone.

    python -m benchmarks.measures.secrets [--show]

prints what either missed and what either found besides. A finding is right if it overlaps a plant
(never a real secret: a seed makes them), if it is a private key whose body is base64 of 48 bytes
and more, or if the manifest names it: a random value that code gives to a name that says secret,
also in tests. All else is wrong: words, hashes, public keys, identifiers, base64 of words.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import resource
import string
import subprocess
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import typer

from benchmarks.corpus import archive_of, default_cache, files_of, read_manifest
from benchmarks.measures.base import Row
from codelupe_daemon.examine.language import by_name, is_programming
from codelupe_daemon.examine.secrets import Kind, SecretPolicies, Secrets
from codelupe_daemon.syntax.blocks import PADDING

MANIFEST = Path(__file__).with_suffix(".toml")
GITLEAKS = "github.com/zricethezav/gitleaks/v8@v8.30.1"
MAX_FILE_BYTES = 1 << 20
HOST_BYTES = range(2_000, 30_000)
"""The size of files that something is planted into."""
BATCH = 500
KEY_HEADS = ("RSA ", "EC ", "OPENSSH ", "")
ALPHABETS = {
    "x": "0123456789abcdef",
    "w": string.ascii_letters + string.digits,
    "l": string.ascii_lowercase + string.digits,
    "v": string.ascii_uppercase + string.digits,
    "u": string.ascii_uppercase + "234567",
    "a": string.ascii_letters,
    "d": string.digits,
    "b": string.ascii_letters + string.digits + "-_",
    "s": string.ascii_letters + string.digits + "+/",
}
_SLOT = re.compile(r"\{([a-z])(\d+)\}")


class Text(NamedTuple):
    """A file and what is planted in it: the secret's kind and its place; `kind` "" for nothing."""

    language: str
    suffix: str
    data: bytes
    kind: str = ""
    start: int = 0
    end: int = 0


class Found(NamedTuple):
    """The number of the text, and the bytes that were found there."""

    text: int
    kind: str
    value: bytes
    is_at_plant: bool


# -- the labelled set -------------------------------------------------------------------------


def real_files(cache: Path) -> Iterator[Text]:
    """Every file of the corpus in a programming language."""
    for origin in read_manifest():
        for package in origin.packages:
            for path, data in files_of(package, archive_of(package, cache)):
                name = PurePosixPath(path)
                language = by_name(name.name).language
                is_code = language is not None and is_programming(language)
                if language and is_code and len(data) <= MAX_FILE_BYTES and b"\0" not in data:
                    yield Text(language, name.suffix, data)


class Planter:
    """Makes secrets by rule and puts them where code would have them."""

    def __init__(self, manifest: dict[str, Any], files: Sequence[Text]) -> None:
        self._random = random.Random(manifest["seed"])
        self._manifest = manifest
        self._languages: dict[str, dict[str, Any]] = manifest["languages"]
        hosts: dict[str, list[Text]] = defaultdict(list)
        for file in files:
            if file.language in self._languages and len(file.data) in HOST_BYTES:
                hosts[file.language].append(file)
        self._hosts = {name: hosts[name] for name in self._languages if len(hosts[name]) >= 5}

    def secrets(self) -> Iterator[Text]:
        """What gitleaks has rules for as well."""
        names = self._manifest["assignments"]["names"]
        for _ in range(self._manifest["plants_each"]):
            for name, shape in self._manifest["tokens"].items():
                yield self._line(f"token {name}", self._pick(names), self._made(shape))
            for name, shape in self._manifest["named_tokens"].items():
                yield self._line(f"token {name}", f"{name}_api_token", self._made(shape))
        for _ in range(self._manifest["assignments"]["plants"]):
            shape = self._pick(self._manifest["assignments"]["shapes"])
            yield self._line(f"secret {shape}", self._pick(names), self._made(shape))
        for _ in range(self._manifest["private_keys"]["plants"]):
            yield self._line("private_key", self._pick(names), self._private_key())

    def decoys(self) -> Iterator[Text]:
        for _ in range(self._manifest["decoys"]["plants"]):
            value = self._made(self._pick(self._manifest["decoys"]["values"]))
            yield self._line("", self._pick(self._manifest["assignments"]["names"]), value)

    def urls(self) -> Iterator[Text]:
        for _ in range(self._manifest["urls"]["plants"]):
            password = self._made(self._pick(self._manifest["urls"]["passwords"]))
            scheme = self._pick(self._manifest["urls"]["schemes"])
            host = f"{self._word()}.{self._word()}.io"
            before = f"{scheme}://{self._word()}:"
            text = self._line("url_password", "url", f"{before}{password}@{host}/main")
            start = text.start + len(before)
            yield text._replace(start=start, end=start + len(password))

    def emails(self) -> Iterator[Text]:
        """Addresses in comments, which are to be found, and in code, which are not."""
        for number in range(self._manifest["emails"]["plants"]):
            address = f"{self._word()}.{self._word()}@{self._word()}{self._word()}.org"
            language = self._pick(list(self._hosts))
            if number % 2:
                yield self._line("", "recipient", address)
                yield self._comment("", language, self._pick(self._manifest["emails"]["nobody"]))
            else:
                says = self._pick(["Author: {}", "Ask {} about it.", "(c) 2019 <{}>", "mail {}"])
                text = self._comment("email", language, says.format(address))
                start = text.data.index(address.encode(), text.start)
                yield text._replace(start=start, end=start + len(address))

    def _pick(self, among: Sequence[str]) -> str:
        return self._random.choice(among)

    def _made(self, shape: str) -> str:
        def draw(slot: re.Match[str]) -> str:
            return "".join(self._random.choices(ALPHABETS[slot[1]], k=int(slot[2])))

        return _SLOT.sub(draw, shape)

    def _word(self) -> str:
        pairs = (self._pick("bdfgklmnprstvz") + self._pick("aeiou") for _ in range(3))
        return "".join(pairs) + self._pick("nrst")

    def _private_key(self) -> str:
        head = self._pick(KEY_HEADS)
        body = base64.b64encode(
            b"\x30\x82" + self._random.randbytes(self._random.choice((118, 1190)))
        )
        lines = [body[i : i + 64].decode() for i in range(0, len(body), 64)]
        marks = f"-----BEGIN {head}PRIVATE KEY-----", f"-----END {head}PRIVATE KEY-----"
        return "\\n".join((marks[0], *lines, marks[1], ""))

    def _line(self, kind: str, name: str, value: str) -> Text:
        language = self._pick(list(self._hosts))
        words = name.split("_")
        line = self._pick(self._languages[language]["lines"]).format(
            name=name,
            NAME=name.upper(),
            camel=words[0] + "".join(word.title() for word in words[1:]),
            value=value,
        )
        return self._planted(kind, language, line, value)

    def _comment(self, kind: str, language: str, text: str) -> Text:
        return self._planted(
            kind, language, self._languages[language]["comment"].format(text), text
        )

    def _planted(self, kind: str, language: str, line: str, value: str) -> Text:
        """The line after a blank line of a real file, indented as the code that follows.

        What must stand in code, not in a docstring, is at the file's end.
        """
        host = self._random.choice(self._hosts[language])
        places = [found.end() for found in re.finditer(rb"\n\r?\n(?=[ \t]*\w)", host.data)]
        at = self._random.choice(places or [0]) if kind else len(host.data)
        indent = re.match(rb"[ \t]*", host.data[at:])
        before = b"" if kind else b"\n"
        planted = before + (indent[0] if indent else b"") + line.encode() + b"\n"
        data = host.data[:at] + planted + host.data[at:]
        start = data.index(value.encode(), at)
        return Text(language, host.suffix, data, kind, start, start + len(value))


# -- the two finders --------------------------------------------------------------------------


def ours(texts: Sequence[Text], policies: SecretPolicies) -> tuple[list[Found], float]:
    """The findings and the CPU seconds."""
    secrets = Secrets(policies)
    found: list[Found] = []
    cpu_s = 0.0
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        buffer = memoryview(b"".join(text.data for text in batch) + bytes(PADDING))
        sizes = np.array([len(text.data) for text in batch], np.int64)
        offsets = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        languages = [text.language for text in batch]
        begun = time.process_time()
        findings = secrets.find(buffer, offsets, sizes, languages)
        cpu_s += time.process_time() - begun
        for i, here in findings.items():
            text = batch[i]
            for kind, start, end in here:
                at_plant = bool(text.kind) and start < text.end and text.start < end
                found.append(Found(first + i, kind, text.data[start:end], at_plant))
    return found, cpu_s


def build_gitleaks(cache: Path) -> Path:
    folder = cache / "peers" / "gitleaks-v8.30.1"
    if not (folder / "gitleaks").exists():
        folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"GOBIN": str(folder)}
        subprocess.run(["go", "install", GITLEAKS], env=environment, check=True)
    return folder / "gitleaks"


def gitleaks(program: Path, texts: Sequence[Text]) -> tuple[list[Found], float]:
    """The findings and the CPU seconds, as `gitleaks dir` has them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "files")
        folder.mkdir()
        for i, text in enumerate(texts):
            (folder / f"{i}{text.suffix}").write_bytes(text.data)
        report = Path(scratch, "report.json")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        options = ["--no-banner", "--exit-code", "0", "--log-level", "error", "-f", "json"]
        subprocess.run([program, "dir", folder, *options, "-r", report], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = json.loads(report.read_bytes())
    found = []
    for row in rows:
        i = int(PurePosixPath(row["File"]).stem)
        value, match = row["Secret"].encode(), row["Match"].encode()
        text = texts[i]
        plant = text.data[text.start : text.end]
        at_plant = bool(text.kind) and (value in plant or plant in match)
        found.append(Found(i, row["RuleID"], value, at_plant))
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return found, cpu_s


# -- figures ----------------------------------------------------------------------------------


class Score(NamedTuple):
    recall: float
    right: int
    wrong: list[Found]
    missed: Counter[str]

    @property
    def precision(self) -> float:
        return self.right / (self.right + len(self.wrong))


def score(texts: Sequence[Text], found: Sequence[Found], known: frozenset[str]) -> Score:
    """Each plant once; besides, what is found beside plants, each value of a text once."""
    hit = {one.text for one in found if one.is_at_plant}
    planted = [i for i, text in enumerate(texts) if text.kind]
    beside = {(one.text, one.value): one for one in found if not one.is_at_plant}
    right = [one for one in beside.values() if _is_known(one, known)]
    wrong = [one for one in beside.values() if not _is_known(one, known)]
    missed = Counter(texts[i].kind for i in planted if i not in hit)
    return Score(len(hit) / max(len(planted), 1), len(hit) + len(right), wrong, missed)


def _is_known(found: Found, known: frozenset[str]) -> bool:
    if found.kind in (Kind.PRIVATE_KEY, "private-key"):
        body = b"".join(re.findall(rb"[A-Za-z0-9+/]{16,}", found.value.replace(rb"\n", b"\n")))
        return len(body) >= 64
    return digest(found.value) in known


def digest(value: bytes) -> str:
    """How the manifest names a value without holding it."""
    return hashlib.blake2b(value, digest_size=6).hexdigest()


def measure(cache: Path) -> list[Row]:
    return rows(cache, show=False)


def rows(cache: Path, *, show: bool) -> list[Row]:
    manifest = tomllib.loads(MANIFEST.read_text())
    files = list(real_files(cache))
    planter = Planter(manifest, files)
    planted = [*planter.secrets(), *planter.decoys()]
    alone = files[:: manifest["every_nth_file"]]
    known = frozenset(manifest["secrets_in_real_code"])
    policies = SecretPolicies()
    ours(files[:1], policies)  # compiles the kernels
    texts = [*planted, *alone]
    size_mb = sum(len(text.data) for text in texts) / 1e6
    our_found, our_s = ours(texts, policies)
    our_found = [one for one in our_found if one.kind != Kind.EMAIL]
    their_found, their_s = gitleaks(build_gitleaks(cache), texts)
    us, them = score(texts, our_found, known), score(texts, their_found, known)
    if show:
        _show("ours", texts, us)
        _show("gitleaks", texts, them)
    plants = sum(bool(text.kind) for text in planted)
    languages = len({text.language for text in planted})
    on = f"{plants} plants, {languages} languages; {len(alone)} real files; {size_mb:.0f} MB"
    return [
        Row("secrets: recall", us.recall, 0.95, on),
        Row("secrets: precision", us.precision, 0.9, f"{len(us.wrong)} wrong findings; {on}"),
        Row("secrets: recall of gitleaks", them.recall, None, on),
        Row("secrets: precision of gitleaks", them.precision, None, f"{len(them.wrong)} wrong"),
        Row(
            "secrets: times gitleaks' bytes a CPU second",
            their_s / our_s,
            20,
            f"{size_mb / our_s:.0f} MB/s against {size_mb / their_s:.1f}",
        ),
        *_ours_alone(files, planter, policies, known),
    ]


def _ours_alone(
    files: Sequence[Text], planter: Planter, policies: SecretPolicies, known: frozenset[str]
) -> list[Row]:
    """What gitleaks has no rules for, and all files of the corpus."""
    urls, mails = list(planter.urls()), list(planter.emails())
    url_score = score(urls, [f for f in ours(urls, policies)[0] if f.kind != Kind.EMAIL], known)
    found_mails = [f for f in ours(mails, policies)[0] if f.kind == Kind.EMAIL]
    # Real addresses that stood in the files before are neither right nor wrong.
    before = {one.value for one in ours(files, policies)[0] if one.kind == Kind.EMAIL}
    mail_score = score(mails, [f for f in found_mails if f.value not in before], known)
    all_found, cpu_s = ours(files, policies)
    all_score = score(files, [f for f in all_found if f.kind != Kind.EMAIL], known)
    size_mb = sum(len(file.data) for file in files) / 1e6
    mail_plants = sum(bool(text.kind) for text in mails)
    return [
        Row("secrets: recall of passwords in URLs", url_score.recall, 0.95, f"{len(urls)} plants"),
        Row("e-mail: recall in comments", mail_score.recall, 0.95, f"{mail_plants} plants"),
        Row("e-mail: precision", mail_score.precision, 0.9, f"{len(mails) - mail_plants} decoys"),
        Row(
            "secrets: precision in real code alone",
            all_score.precision,
            0.9,
            f"{len(all_score.wrong)} wrong in {len(files)} files of {size_mb:.0f} MB,"
            f" {size_mb / cpu_s:.0f} MB/s",
        ),
    ]


def _show(who: str, texts: Sequence[Text], scored: Score) -> None:
    print(who, "missed", dict(scored.missed.most_common()))
    for one in scored.wrong:
        print(who, "wrong", one.kind, texts[one.text].kind, digest(one.value), one.value[:100])


def main(*, show: bool = False) -> None:
    for row in rows(default_cache(), show=show):
        print(f"{row.what:45} {row.figure:10.4g}  {row.detail}")


if __name__ == "__main__":
    typer.run(main)
