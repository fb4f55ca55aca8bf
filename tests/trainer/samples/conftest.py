"""Tokenizers of the kinds that models have, each trained on the spot; nothing here needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from trainer.samples.tokenizer import train_tokenizer

ROOT = Path(__file__).parents[3]


def sources() -> list[str]:
    """Real code to learn words from, always the same."""
    return [path.read_text("utf-8") for path in sorted((ROOT / "codelupe_daemon").glob("*.py"))]


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    train_tokenizer(sources(), 600, folder)
    return folder


@pytest.fixture(scope="session")
def qwen(qwen_folder: Path) -> Any:
    """As Qwen2.5-Coder's: its tokens for filling in and tools are added, but not special."""
    described = json.loads((qwen_folder / "tokenizer.json").read_text("utf-8"))
    for token in described["added_tokens"]:
        token["special"] = "fim" not in token["content"]
    backend = Tokenizer.from_str(json.dumps(described))
    backend.add_tokens([AddedToken("<tool_call>", special=False), AddedToken("</tool_call>")])
    template = json.loads((qwen_folder / "tokenizer_config.json").read_text("utf-8"))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", chat_template=template["chat_template"]
    )


def trained(specials: list[str]) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        sources(),
        trainers.BpeTrainer(
            vocab_size=500, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return backend


@pytest.fixture(scope="session")
def starcoder() -> Any:
    """As StarCoder2's: no chat template."""
    names = ["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<repo_name>", "<file_sep>"]
    return PreTrainedTokenizerFast(
        tokenizer_object=trained(["<|endoftext|>", *names]), eos_token="<|endoftext|>"
    )


@pytest.fixture(scope="session")
def codegen() -> Any:
    """As CodeGen's and Phi's: runs of spaces are added tokens, and there is only an end."""
    backend = trained(["<|endoftext|>"])
    backend.add_tokens([AddedToken(" " * n, special=False, normalized=True) for n in (2, 4, 8)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def pieced() -> Any:
    """One that has its control token among the ordinary pieces, reachable by merging."""
    pieces = ["<", "/", "s", ">", "a", "</", "</s", "</s>", "<unk>"]
    merges = [("<", "/"), ("</", "s"), ("</s", ">")]
    model = models.BPE({piece: n for n, piece in enumerate(pieces)}, merges, unk_token="<unk>")
    backend = Tokenizer(model)
    backend.add_special_tokens([AddedToken("</s>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
