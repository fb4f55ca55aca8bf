"""A tokenizer trained for a model from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.trainer.samples.conftest import sources
from trainer.samples.tokenizer import CONTROLS, train_tokenizer


@pytest.fixture(scope="module")
def loaded(qwen_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(qwen_folder)


def test_it_loads_as_any_tokenizer(loaded: Any) -> None:
    assert loaded.is_fast
    assert len(loaded) == 600
    assert (loaded.eos_token, loaded.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert [len(loaded.encode(name)) for name in CONTROLS] == [1] * len(CONTROLS)
    said = "def f(a):\n\treturn 'é漢😀\0'\r\n"
    assert loaded.decode(loaded.encode(said)) == said


def test_the_reply_is_marked(loaded: Any) -> None:
    messages = [
        {"role": "user", "content": "ask"},
        {"role": "assistant", "content": "reply"},
    ]
    told = loaded.apply_chat_template(
        messages, return_dict=True, return_assistant_tokens_mask=True, tokenize=True
    )
    pairs = zip(told["input_ids"], told["assistant_masks"], strict=True)
    assert loaded.decode([number for number, mask in pairs if mask]) == "reply<|im_end|>"
    prompt = loaded.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert prompt == "<|im_start|>user\nask<|im_end|>\n<|im_start|>assistant\n"


def test_training_it_twice_gives_the_same(qwen_folder: Path, tmp_path: Path) -> None:
    train_tokenizer(iter(sources()), 600, tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / name).read_bytes() == (qwen_folder / name).read_bytes()


def test_it_can_say_everything_though_it_has_seen_nothing(tmp_path: Path) -> None:
    train_tokenizer([], 265, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.decode(tokenizer.encode("fn é 😀")) == "fn é 😀"
