"""A byte-level BPE's own tokens of ASCII texts, several times sooner, by tiktoken.

`tokenizers` applies merges in their order; tiktoken joins the two neighbours whose whole is the
earliest entry. Both give the same where merges make entries in the order of their ids, each once,
and where every entry, taken as a text, comes out as itself. For then, let tiktoken join x and y to
the entry t: nothing was ever joined across t's borders, so what stands between them is what t alone
consists of before its last merge, and that is the merge which makes t. Entries that do not come out
as themselves never come out at all, and are left away.

Words are cut by the same regular expressions: of these only ones that are known are taken, and only
for ASCII, in which engines and versions of Unicode agree and which normal forms leave as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from tiktoken import Encoding
from tokenizers import models, pre_tokenizers

from trainer.samples.tokenizer import QWEN2_WORDS

_GPT2_WORDS: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_STARCODER2_WORDS: Final = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"
)
_WORDS: Final = {
    (("Split", QWEN2_WORDS), ("ByteLevel", False)): QWEN2_WORDS,
    (("ByteLevel", True),): _GPT2_WORDS,
    (("Digits", True), ("ByteLevel", True)): _STARCODER2_WORDS,
}


def quick(described: Mapping[str, Any]) -> Encoding | None:
    """From a tokenizer's JSON; None where the same tokens cannot be promised."""
    model, words = described["model"], _words(described["pre_tokenizer"] or {})
    is_plain = (
        model["type"] == "BPE"
        and not any(model[name] for name in ("dropout", "byte_fallback"))
        and not any(model[name] for name in ("continuing_subword_prefix", "end_of_word_suffix"))
        and described["normalizer"] in (None, {"type": "NFC"})
        and all(token["special"] for token in described["added_tokens"])  # is not looked for
    )
    if words is None or not is_plain:
        return None
    vocab: dict[str, int] = model["vocab"]
    made = [vocab[f"{left}{right}"] for left, right in model["merges"]]
    reached = _reached(vocab, [(left, right) for left, right in model["merges"]])
    is_ordered = all(earlier < later for earlier, later in pairwise(made))
    is_whole = len(reached) == len(vocab) or not model["ignore_merges"]
    if not (is_ordered and is_whole and all(bytes([n]) in reached for n in range(256))):
        return None
    return Encoding("quick", pat_str=words, mergeable_ranks=reached, special_tokens={})


def _words(said: Mapping[str, Any]) -> str | None:
    """The expression that cuts a text as these steps do."""
    return _WORDS.get(tuple(map(_step, said.get("pretokenizers", [said]))))


def _step(said: Mapping[str, Any]) -> tuple[str, Any]:
    match said:
        case {
            "type": "Split",
            "pattern": {"Regex": words},
            "behavior": "Isolated",
            "invert": False,
        }:
            return "Split", words
        case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": does_cut}:
            return "ByteLevel", does_cut
        case {"type": "Digits", "individual_digits": True}:
            return "Digits", True
    return "", None


def _reached(vocab: dict[str, int], merges: list[tuple[str, str]]) -> dict[bytes, int]:
    """The entries that merges lead to, as bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    as_they_are = {ord(letter) for letter in letters if ord(letter) < 256}
    others = iter(sorted(set(range(256)) - as_they_are))  # written as letters from U+0100 on
    byte_of = {one: ord(one) if ord(one) < 256 else next(others) for one in letters}
    model = models.BPE(vocab, merges)
    return {
        bytes(byte_of[letter] for letter in entry): number
        for entry, number in vocab.items()
        if byte_of.keys() >= set(entry)
        and [token.value for token in model.tokenize(entry)] == [entry]
    }
