"""Manifest rows, texts and profiles for the tests."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from trainer.profile import Profile
from trainer.samples.base import Setting
from trainer.samples.frame import frame_of
from trainer.types import Document, Side, Taken

QWEN = frozenset({
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>",
})  # fmt: skip

CODE = st.lists(
    st.one_of(
        st.sampled_from([
            "def f(a):\n", "    return a\n", "\n", "class A:\n", "{\n", "}\n", "\t", "  ", "\r\n",
            "x = 1\n", "@wraps\n", "# note\n", "fn main() {\n", "end\n", "else:\n", "é", "漢字\n",
            "<|im_end|>", "<|fim_middle|>", "<|endoftext|>", "<tool_call>", "</s>", "😀",
        ]),
        st.text(max_size=12),
    ),
    max_size=40,
).map("".join)  # fmt: skip
"""Texts that look like code of any language, with control tokens' names among it."""

LANGUAGES = st.sampled_from(["Python", "Rust", "Go", "C", "Elixir", "JavaScript", "Cobol", None])


def taken(
    text: str, *, row: int = 0, repo: str = "owner/name", path: str = "src/a.py",
    language: str | None = "Python",
) -> Taken:  # fmt: skip
    return Taken(
        row, hash_of(text), repo, path, language, "MIT", 80.0, len(text), 1_700_000_000, Side.TRAIN
    )


def hash_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def document(text: str, language: str | None = "Python", *, is_end: bool = True) -> Document:
    return Document(taken(text, language=language), text, is_end=is_end)


def profile(max_length: int = 512, **data: Any) -> Profile:
    return Profile.model_validate({
        "name": "test", "model": {"name": "tiny", "max_length": max_length}, "data": data,
    })  # fmt: skip


def setting(
    controls: frozenset[str] = QWEN,
    seed: int = 1,
    tokenizer: Any = None,
    begin: str | None = None,
    **data: Any,
) -> Setting:
    told = profile(**data).data
    end = "<|endoftext|>"
    frame = frame_of(tokenizer, told.system_prompt, controls, begin=begin, end=end)
    return Setting(controls, begin, end, frame, told, seed)


def served(
    texts: Sequence[str],
) -> Callable[[Sequence[bytes]], Awaitable[dict[bytes, str]]]:
    """A source that has these texts."""
    known = {hash_of(text): text for text in texts}

    async def answer(hashes: Sequence[bytes]) -> dict[bytes, str]:
        return {name: known[name] for name in hashes if name in known}

    return answer
