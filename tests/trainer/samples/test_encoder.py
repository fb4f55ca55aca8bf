"""Samples into tokens: nothing that a text says becomes a control token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from codelupe_daemon.errors import Fatal
from tests.trainer.samples.build import CODE
from trainer.samples.encoder import Encoder
from trainer.types import Segment

CONTROLS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|file_sep|>", "<tool_call>",
    "</tool_call>",
]  # fmt: skip
SEGMENTS = st.lists(
    st.one_of(
        st.builds(Segment, CODE, st.booleans(), is_control=st.just(value=False)),
        st.builds(Segment, st.sampled_from(CONTROLS), st.booleans(), is_control=st.just(True)),
    ),
    max_size=8,
).map(tuple)
ANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def text(content: str, *, is_supervised: bool = True) -> Segment:
    return Segment(content, is_supervised)


@pytest.fixture(scope="module")
def encoder(qwen: Any) -> Encoder:
    return Encoder(qwen)


@given(samples=st.lists(SEGMENTS, max_size=6))
@ANY
def test_samples_come_back_from_their_tokens(
    encoder: Encoder, qwen: Any, samples: list[tuple[Segment, ...]]
) -> None:
    encoded = encoder.encode(samples)
    assert len(encoded.lengths) == len(samples)
    assert encoded.lengths.sum() == len(encoded.tokens) == len(encoded.supervised)
    borders = np.cumsum(encoded.lengths)[:-1]
    for sample, ids, flags in zip(
        samples, np.split(encoded.tokens, borders), np.split(encoded.supervised, borders),
        strict=False,
    ):  # fmt: skip
        assert qwen.decode(ids.tolist()) == "".join(part.text for part in sample)
        learned = "".join(part.text for part in sample if part.is_supervised)
        assert qwen.decode(ids[flags].tolist()) == learned
        controls = [encoder.controls[part.text] for part in sample if part.is_control]
        assert [n for n in ids.tolist() if n in encoder.controls.values()] == controls


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("around", ["{}", "a {} b", "{}{}", "\n{}\n", "<{}>"])
def test_no_text_becomes_a_control_token(
    encoder: Encoder, qwen: Any, name: str, around: str
) -> None:
    said = around.replace("{}", name)
    tokens = encoder.encode([(text(said),)]).tokens.tolist()
    assert qwen.convert_tokens_to_ids(name) in qwen.encode(said, add_special_tokens=False)
    assert not set(tokens) & set(encoder.controls.values())
    assert qwen.decode(tokens) == said


def test_text_is_encoded_as_the_model_knows_it(encoder: Encoder, qwen: Any) -> None:
    said = "def f(a):\n    return a  # é 漢字\n"
    expected = qwen.encode(said, add_special_tokens=False)
    assert encoder.encode([(text(said),)]).tokens.tolist() == expected


def test_the_tokenizer_is_left_as_it_is(qwen: Any) -> None:
    before = qwen.backend_tokenizer.to_str()
    Encoder(qwen).encode([(text("<|im_end|>"),)])
    assert qwen.backend_tokenizer.to_str() == before
    assert len(qwen.encode("<|im_end|>")) == 1


def test_indentation_tokens_are_text(codegen: Any) -> None:
    encoder = Encoder(codegen)
    assert list(encoder.controls) == ["<|endoftext|>"]
    said = "if a:\n        b<|endoftext|>\n"
    tokens = encoder.encode([(text(said),)]).tokens.tolist()
    assert codegen.convert_tokens_to_ids(" " * 8) in tokens
    assert encoder.controls["<|endoftext|>"] not in tokens
    assert codegen.decode(tokens) == said


@pytest.mark.parametrize("said", ["</s>", "a</s>a", "</s></s>", "<</s>>"])
def test_a_control_token_among_the_pieces_is_left_out(pieced: Any, said: str) -> None:
    encoder = Encoder(pieced)
    found = [token.id for token in pieced.backend_tokenizer.model.tokenize(said)]
    assert encoder.controls["</s>"] in found
    encoded = encoder.encode([(text("a"), text(said)), (text("a/"),)])
    assert encoder.controls["</s>"] not in encoded.tokens
    kept = said.replace("</s>", "")
    assert "".join(pieced.convert_ids_to_tokens(encoded.tokens.tolist())) == f"a{kept}a/"
    assert encoded.lengths.tolist() == [len(encoded.tokens) - 2, 2]


def test_what_is_learned_and_what_is_given(encoder: Encoder, qwen: Any) -> None:
    sample = (
        Segment("<|im_start|>", is_supervised=False, is_control=True),
        text("given ", is_supervised=False),
        text("learned"),
        Segment("<|im_end|>", is_supervised=True, is_control=True),
    )
    encoded = encoder.encode([sample, (text("x"),)])
    first = slice(0, int(encoded.lengths[0]))
    learned = encoded.tokens[first][encoded.supervised[first]].tolist()
    assert qwen.decode(learned) == "learned<|im_end|>"


def test_nothing_is_encoded_to_nothing(encoder: Encoder) -> None:
    assert encoder.encode([]).lengths.tolist() == []
    assert encoder.encode([(text(""),), ()]).lengths.tolist() == [0, 0]


def test_what_texts_begin_with_is_what_the_tokenizer_puts_there(qwen: Any) -> None:
    backend = Tokenizer.from_str(qwen.backend_tokenizer.to_str())
    pairs = [("<|im_start|>", 1)]
    backend.post_processor = processors.TemplateProcessing("<|im_start|> $A", None, pairs)
    begun = Encoder(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert (Encoder(qwen).begin, begun.begin) == (None, "<|im_start|>")
    assert begun.encode([(text("a"),)]).lengths.tolist() == [1]


PREFIXED: dict[str, tuple[Any, Any]] = {
    "Llama before": (
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None,
    ),
    "Llama": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "bytes": (
        None, pre_tokenizers.Sequence([
            pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=True),
        ]),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("normalizer", "words"), PREFIXED.values(), ids=list(PREFIXED))
def test_no_space_comes_between_what_stands_together(normalizer: Any, words: Any) -> None:
    said = "def foo():\n"
    backend = Tokenizer(models.BPE({char: n for n, char in enumerate("▁ĠĊ\ndefo():")}, []))
    if normalizer:
        backend.normalizer = normalizer
    if words:
        backend.pre_tokenizer = words
    assert backend.encode(said).tokens[0] in "▁Ġ"
    ids = Encoder(PreTrainedTokenizerFast(tokenizer_object=backend)).encode([
        (text(said[:5]), text(said[5:]))
    ]).tokens  # fmt: skip
    found = "".join(filter(None, map(backend.id_to_token, ids.tolist())))
    assert found.translate({ord("▁"): " ", ord("Ġ"): " ", ord("Ċ"): "\n"}) == said


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(Fatal, match="no fast tokenizer"):
        Encoder(object())
