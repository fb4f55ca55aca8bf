"""What is encoded sooner has the tokenizer's own tokens; where that is not sure, nothing is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import Encoding
from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers.models import BPE

from tests.trainer.samples.conftest import sources
from trainer.samples.encoder import Encoder
from trainer.samples.quick import quick
from trainer.samples.tokenizer import train_tokenizer
from trainer.types import Segment

VOCABULARY = 2000
STEPS: dict[str, list[pre_tokenizers.PreTokenizer]] = {
    "gpt2": [],
    "starcoder2": [pre_tokenizers.Digits(individual_digits=True)],
}
ASCII = st.lists(
    st.one_of(
        st.text(st.characters(max_codepoint=127), max_size=8),
        st.sampled_from([
            " ", "  ", "\n", "\r\n", "\t", "    return ", "don't", "I'LL", "'s", "_", "0", "1234",
            "def f(a):\n", "//", "#" * 30, "=" * 40, " " * 30, "\n" * 20, "<|endoftext|>", "</s>",
        ]),
    ),
    max_size=30,
).map("".join)  # fmt: skip


def own(kind: str) -> Tokenizer:
    """GPT-2's steps, behind others."""
    tokenizer = Tokenizer(BPE())
    steps = [*STEPS[kind], pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        sources(),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    return tokenizer


@pytest.fixture(scope="module", params=["qwen2", *STEPS])
def slow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    if request.param == "qwen2":
        folder = tmp_path_factory.mktemp("qwen2")
        train_tokenizer(sources(), VOCABULARY, folder)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        tokenizer = own(request.param)
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="module")
def fast(slow: Tokenizer) -> Encoding:
    found = quick(json.loads(slow.to_str()))
    assert found
    return found


@given(text=ASCII)
@settings(deadline=None, max_examples=300)
def test_the_tokens_are_the_tokenizers_own(slow: Tokenizer, fast: Encoding, text: str) -> None:
    assert fast.encode_ordinary(text) == slow.encode(text).ids


def test_so_they_are_of_real_code_and_of_any_characters(slow: Tokenizer, fast: Encoding) -> None:
    draw = random.Random(1)
    texts = [source.encode("ascii", "ignore").decode() for source in sources()]
    texts += ["".join(map(chr, draw.choices(range(128), k=60))) for _ in range(300)]
    assert [fast.encode_ordinary(text) for text in texts] == [
        slow.encode(text).ids for text in texts
    ]


def test_the_encoder_uses_it_for_ascii_alone(qwen: Any, codegen: Any) -> None:
    """CodeGen's runs of spaces are looked for before anything is merged."""
    texts = ["def f():\n", "    return 1\n", "# caf\u00e9\n", "\ufb01\n", ""]
    for tokenizer, is_quick in ((qwen, True), (codegen, False)):
        encoder = Encoder(tokenizer)
        assert (encoder._quick is not None) == is_quick
        tokens = encoder.encode([(Segment(text, is_supervised=True),) for text in texts])
        expected = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        assert tokens.lengths.tolist() == list(map(len, expected))
        assert tokens.tokens.tolist() == [number for ids in expected for number in ids]


def without_order(said: dict[str, Any]) -> None:
    merges = said["model"]["merges"]
    merges[-1], merges[-2] = merges[-2], merges[-1]


def with_entries_that_no_merge_makes(said: dict[str, Any]) -> None:
    said["model"]["vocab"]["zqzq"] = len(said["model"]["vocab"])
    said["model"]["ignore_merges"] = True


def without_a_byte(said: dict[str, Any]) -> None:
    del said["model"]["vocab"]["\u0100"]


def with_other_words(said: dict[str, Any]) -> None:
    said["pre_tokenizer"] = {"type": "Whitespace"}


def with_dropout(said: dict[str, Any]) -> None:
    said["model"]["dropout"] = 0.1


def with_lower_case(said: dict[str, Any]) -> None:
    said["normalizer"] = {"type": "Lowercase"}


def of_another_kind(said: dict[str, Any]) -> None:
    said["model"] = {"type": "WordPiece", "vocab": {}}


@pytest.mark.parametrize(
    "change",
    [
        without_order, with_entries_that_no_merge_makes, without_a_byte, with_other_words,
        with_dropout, with_lower_case, of_another_kind,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_nothing_is_promised(slow: Tokenizer, change: Callable[[dict[str, Any]], None]) -> None:
    said = json.loads(slow.to_str())
    change(said)
    assert quick(said) is None


def test_entries_that_no_merge_makes_do_no_harm(slow: Tokenizer) -> None:
    said = json.loads(slow.to_str())
    said["model"]["vocab"]["retur"] = len(said["model"]["vocab"])
    found = quick(said)
    assert found
    assert found.encode_ordinary("return retur") == slow.encode("return retur").ids
