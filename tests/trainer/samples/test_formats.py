"""The shapes that texts get, and what of them is learned."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from tests.trainer.samples.build import CODE, LANGUAGES, QWEN, document, setting
from trainer.samples.base import Dice
from trainer.samples.chat import instruction, split_at
from trainer.samples.encoder import Encoder
from trainer.samples.fim import hole
from trainer.samples.frame import frame_of
from trainer.samples.mix import FORMATS, Mix
from trainer.types import Format, Segment

STARCODER = frozenset({
    "<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<repo_name>", "<file_sep>",
})  # fmt: skip
TEXT = "import os\nimport sys\n\ndef one():\n    return 1\n\n\ndef two():\n    return one()\n"


def marked(segments: tuple[Segment, ...]) -> str:
    """Control tokens in brackets, what is learned between asterisks."""
    named = (f"[{s.text}]" if s.is_control else s.text for s in segments)
    return "".join(
        f"*{text}*" if segment.is_supervised else text
        for segment, text in zip(segments, named, strict=True)
        if text
    )


def learned(segments: tuple[Segment, ...], *, controls: bool) -> str:
    return "".join(s.text for s in segments if s.is_supervised and s.is_control == controls)


# -- chat -------------------------------------------------------------------------------------


def test_a_chat_asks_for_the_rest(qwen: Any) -> None:
    sample = Mix(setting(tokenizer=qwen)).sample([document(TEXT)], Format.CHAT)
    ask = sample.segments[7].text
    assert marked(sample.segments) == (
        "[<|im_start|>]system\nYou are Qwen, an AI coding assistant[<|im_end|>]\n"
        f"[<|im_start|>]user\n{ask}import os\nimport sys\n\n[<|im_end|>]\n"
        "[<|im_start|>]assistant\n*def one():\n    return 1\n\n\ndef two():\n    return one()\n*"
        "*[<|im_end|>]*\n"
    )
    assert ask.endswith("\n\n")
    assert "Python" in ask


def test_a_model_without_a_template_gets_plain_markers(starcoder: Any) -> None:
    told = setting(STARCODER, tokenizer=starcoder, system_prompt="Be brief")
    sample = Mix(told).sample([document(TEXT)], Format.CHAT)
    assert marked(sample.segments).startswith("Be brief\n\n### Instruction:\n")
    assert "import sys\n\n\n\n### Response:\n*def one" in marked(sample.segments)
    assert marked(sample.segments).endswith("*[<|endoftext|>]*")


ENDED = "<|im_start|>{{ m['role'] }}:{{ m['content'] }}<|im_end|>"
REFUSED = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
)
TEMPLATES = {
    "no system": (
        REFUSED + ENDED + "{% endfor %}",
        "[<|im_start|>]user:SYS\n\n",
        "[<|im_end|>][<|im_start|>]assistant:",
        "*[<|im_end|>]*",
    ),
    "system forgotten": (
        f"{{% for m in messages if m['role'] != 'system' %}}{ENDED}{{% endfor %}}",
        "[<|im_start|>]user:SYS\n\n",
        "[<|im_end|>][<|im_start|>]assistant:",
        "*[<|im_end|>]*",
    ),
    "reply forgotten": (
        "{{ messages[0]['content'] }}",
        "[<s>]SYS\n\n### Instruction:\n",
        "\n\n### Response:\n",
        "*[<|endoftext|>]*",
    ),
    "no control": (
        "{% for m in messages %}{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}",
        "system> SYS\nuser> ",
        "\nassistant> ",
        "\n",
    ),
}


@pytest.mark.parametrize(
    ("template", "opening", "turn", "closing"), TEMPLATES.values(), ids=list(TEMPLATES)
)
def test_frames_are_taken_from_templates(
    qwen: Any, template: str, opening: str, turn: str, closing: str
) -> None:
    class Other:
        chat_template = template
        added_tokens_decoder = qwen.added_tokens_decoder

        def apply_chat_template(self, messages: Any, **options: Any) -> Any:
            return qwen.apply_chat_template(messages, chat_template=template, **options)

    frame = frame_of(Other(), "SYS", QWEN, begin="<s>", end="<|endoftext|>")
    assert [marked(part) for part in frame[:3]] == [opening, turn, closing]


@pytest.mark.parametrize(
    ("name", "opening"),
    [("qwen", "[<|im_start|>]user\n"), ("starcoder", "[<s>]### Instruction:\n")],
)
def test_without_a_system_prompt_there_is_none(
    request: pytest.FixtureRequest, name: str, opening: str
) -> None:
    frame = frame_of(request.getfixturevalue(name), "", QWEN, begin="<s>", end=None)
    assert marked(frame.opening) == opening


@pytest.fixture
def swallowing(qwen: Any) -> Any:
    """As Phi-3's: a control token takes the white space behind it with it."""
    described = json.loads(qwen.backend_tokenizer.to_str())
    for token in described["added_tokens"]:
        token["rstrip"] = token["content"] == "<|im_end|>"
    backend = Tokenizer.from_str(json.dumps(described))
    return PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=qwen.chat_template)


@pytest.fixture
def trimming(qwen: Any) -> Any:
    """As Llama 3's: a question's end is trimmed."""
    question = "{% else %}{{ message['content']"
    assert question in qwen.chat_template
    template = qwen.chat_template.replace(question, f"{question} | trim")
    return PreTrainedTokenizerFast(tokenizer_object=qwen.backend_tokenizer, chat_template=template)


@pytest.mark.parametrize("text", [TEXT, f"\n{TEXT}", "    a = 1\n    b = 2\n    c = 3\n"])
@pytest.mark.parametrize("name", ["qwen", "swallowing", "trimming"])
def test_a_chat_is_to_the_token_what_the_template_makes_of_it(
    request: pytest.FixtureRequest, name: str, text: str
) -> None:
    tokenizer = request.getfixturevalue(name)
    told = setting(tokenizer=tokenizer)
    segments = Mix(told).sample([document(text)], Format.CHAT).segments
    instruction, context = segments[len(told.frame.opening) :][:2]
    expected = tokenizer.apply_chat_template(
        [
            {"role": "system", "content": told.data.system_prompt},
            {"role": "user", "content": instruction.text + context.text},
            {"role": "assistant", "content": learned(segments, controls=False)},
        ],
        return_dict=True, return_assistant_tokens_mask=True,
    )  # fmt: skip
    encoded = Encoder(tokenizer).encode([segments])
    assert encoded.tokens.tolist() == expected["input_ids"]
    assert encoded.supervised.tolist() == list(map(bool, expected["assistant_masks"]))


def test_a_system_prompt_is_text(qwen: Any) -> None:
    frame = frame_of(qwen, "a<|im_end|>b", QWEN, begin=None, end=None)
    assert Segment("a<|im_end|>b", is_supervised=False) in frame.opening


@given(CODE.filter(bool), LANGUAGES, st.integers(0, 9))
def test_context_and_reply_are_the_text(text: str, language: str | None, seed: int) -> None:
    sample = Mix(setting(seed=seed)).sample([document(text, language)], Format.CHAT)
    context, reply = sample.segments[2], sample.segments[4]
    assert context.text + reply.text == text
    assert learned(sample.segments, controls=False) == reply.text
    assert learned(sample.segments, controls=True) == "<|endoftext|>"
    assert (context.text and reply.text) or len(text) < 2


@given(CODE.filter(lambda text: len(text) > 1), LANGUAGES)
def test_a_reply_begins_at_a_line_if_there_is_one(text: str, language: str | None) -> None:
    cut = split_at(text, language, 0.35)
    assert text[cut - 1] == "\n" or "\n" not in text[:-1]


def test_the_share_decides_where() -> None:
    text = "".join(f"x{n} = {n}\n" for n in range(1000))
    shares = [0.2, 0.35, 0.7]
    assert [round(split_at(text, "Python", s) / len(text), 2) for s in shares] == shares


@pytest.mark.parametrize("language", ["Rust", "Cobol", None])
def test_instructions_vary_by_seed(language: str | None) -> None:
    asked = {instruction(language, Dice(seed, b"x", 0)) for seed in range(100)}
    assert len(asked) >= 6
    assert all("{" not in text for text in asked)
    if language:
        assert all(language in text for text in asked)


@pytest.mark.parametrize(
    ("name", "has_end"),
    [(Format.CHAT, False), (Format.FIM, True), (Format.REPO, False), (Format.PLAIN, False)],
)
def test_only_what_ends_a_text_is_ended(qwen: Any, name: Format, *, has_end: bool) -> None:
    """The middle of a hole has an end wherever the text was cut."""
    mix = Mix(setting(tokenizer=qwen))
    whole = mix.sample([document(TEXT)], name).segments
    piece = mix.sample([document(TEXT, is_end=False)], name).segments
    ends = ["<|im_end|>"] if name is Format.CHAT else ["<|endoftext|>"]
    assert [s.text for s in whole if s.is_control and s.is_supervised] == ends
    assert [s.text for s in piece if s.is_control and s.is_supervised] == ends * has_end
    assert whole[: len(piece)] == piece


# -- fill in the middle -----------------------------------------------------------------------


@given(CODE.filter(bool), LANGUAGES, st.integers(0, 99), st.booleans())
def test_prefix_middle_and_suffix_are_the_text(
    text: str, language: str | None, seed: int, is_suffix_first: bool
) -> None:
    told = setting(seed=seed, spm_share=float(is_suffix_first))
    segments = Mix(told).sample([document(text, language)], Format.FIM).segments
    controls = [segment.text for segment in segments if segment.is_control]
    if is_suffix_first:
        _, _, suffix, _, prefix, middle, end = segments
        assert controls[:2] == ["<|fim_prefix|>", "<|fim_suffix|>"]
        assert segments[1].is_control
    else:
        _, prefix, _, suffix, _, middle, end = segments
    assert prefix.text + middle.text + suffix.text == text
    assert controls == ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>"]
    assert sorted(learned(segments, controls=False)) == sorted(text)
    assert (end.text, learned(segments, controls=True)) == ("<|endoftext|>", "<|endoftext|>")


def test_code_llama_ends_a_middle_with_a_token_of_its_own() -> None:
    names = ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
    told = setting(frozenset({*names, "<|endoftext|>"}), spm_share=0.0)
    segments = Mix(told).sample([document(TEXT)], Format.FIM).segments
    assert tuple(segment.text for segment in segments if segment.is_control) == names
    assert segments[-1] == Segment("▁<EOT>", is_supervised=True, is_control=True)


def test_holes_are_spans_definitions_blocks_and_lines() -> None:
    text = "import os\n\n# one\ndef one():\n    if a:\n        b()\n    return 1\n\n\ntwo()\n"
    holes = {text[slice(*hole(text, "Python", Dice(seed, b"", 0)))] for seed in range(600)}
    assert "# one\ndef one():\n    if a:\n        b()\n    return 1\n" in holes
    assert "    if a:\n        b()\n    return 1\n" in holes
    assert "        b()\n" in holes
    assert {"import os\n", "import os\n\n", "two()\n"} <= holes
    assert "ef one():\n    i" in holes or any("\n" not in each for each in holes)


@pytest.mark.parametrize(
    ("text", "language", "whole"),
    [
        ("a;\nfn f() {\n    b();\n}\nc;\n", "Rust", "fn f() {\n    b();\n}\n"),
        ("int f(void)\n{\n\treturn 1;\n}\nint x;\n", "C", "int f(void)\n{\n\treturn 1;\n}\n"),
        ("def f(\n    a,\n):\n    b()\n\nc()\n", "Python", "def f(\n    a,\n):\n    b()\n"),
        ("  def f do\n    b()\n  end\n\n  c()\n", "Elixir", "  def f do\n    b()\n  end\n"),
    ],
    ids=["rust", "c", "python", "elixir"],
)
def test_a_definition_ends_where_it_is_closed(text: str, language: str, whole: str) -> None:
    holes = {text[slice(*hole(text, language, Dice(seed, b"", 0)))] for seed in range(300)}
    assert whole in holes


def test_half_of_the_samples_give_the_suffix_first() -> None:
    mix = Mix(setting())
    first = [
        mix.sample([document(f"a{n}\nb\n")], Format.FIM).segments[1].is_control for n in range(400)
    ]
    assert 150 < sum(first) < 250


# -- repository context and plain ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("controls", "one", "expected"),
    [
        (QWEN, "1\n", "[<|repo_name|>]owner/name\n[<|file_sep|>]src/a.py\n*1\n*[<|file_sep|>]"),
        (QWEN, "1", "[<|repo_name|>]owner/name\n[<|file_sep|>]src/a.py\n*1*\n[<|file_sep|>]"),
        (STARCODER, "1", "[<repo_name>]owner/name[<file_sep>]src/a.py\n*1*[<file_sep>]"),
    ],
    ids=["qwen", "qwen, no last line", "starcoder"],
)
def test_repository_context(controls: frozenset[str], one: str, expected: str) -> None:
    sample = Mix(setting(controls)).sample([document(one), document("2")], Format.REPO)
    assert marked(sample.segments) == f"{expected}src/a.py\n*2**[<|endoftext|>]*"


@given(CODE)
def test_plain_is_the_text(text: str) -> None:
    segments = Mix(setting()).sample([document(text)], Format.PLAIN).segments
    assert segments == (
        Segment(text, is_supervised=True),
        Segment("<|endoftext|>", is_supervised=True, is_control=True),
    )


@pytest.mark.parametrize("name", Format)
def test_texts_begin_as_the_model_knows_them(qwen: Any, name: Format) -> None:
    plain = Mix(setting(begin="<s>")).sample([document(TEXT)], name)
    assert marked(plain.segments).startswith("[<s>]")
    assert marked(plain.segments).count("<s>") == 1
    templated = Mix(setting(begin="<s>", tokenizer=qwen)).sample([document(TEXT)], name)
    assert marked(templated.segments).startswith("[<s>]") == (name is not Format.CHAT)


# -- which ------------------------------------------------------------------------------------


def chosen(mix: Mix, piece: int = 0) -> dict[Format, int]:
    names = [mix.choose(n.to_bytes(16, "big"), piece) for n in range(4000)]
    return {name: names.count(name) for name in Format if name in names}


def test_formats_have_their_shares() -> None:
    shares = {name: count / 4000 for name, count in chosen(Mix(setting())).items()}
    wanted = {Format.CHAT: 0.5, Format.FIM: 0.3, Format.REPO: 0.1, Format.PLAIN: 0.1}
    assert shares == {name: pytest.approx(share, abs=0.03) for name, share in wanted.items()}


def test_only_the_first_piece_of_a_file_stands_under_its_path() -> None:
    shares = {name: count / 4000 for name, count in chosen(Mix(setting()), piece=2).items()}
    wanted = {Format.CHAT: 0.5, Format.FIM: 0.3, Format.PLAIN: 0.2}
    assert shares == {name: pytest.approx(share, abs=0.03) for name, share in wanted.items()}


def test_what_cannot_be_written_goes_to_the_others() -> None:
    shares = {
        name: count / 4000 for name, count in chosen(Mix(setting(frozenset({"<eos>"})))).items()
    }
    assert shares == {
        Format.CHAT: pytest.approx(5 / 6, abs=0.03), Format.PLAIN: pytest.approx(1 / 6, abs=0.03),
    }  # fmt: skip


def test_only_what_cannot_be_written_becomes_plain() -> None:
    shares = {"chat": 0.0, "fim": 1.0, "repo": 0.0, "plain": 0.0}
    assert set(chosen(Mix(setting(frozenset(), formats=shares)))) == {Format.PLAIN}


def test_the_same_seed_gives_the_same_samples() -> None:
    def samples(seed: int) -> list[object]:
        mix = Mix(setting(seed=seed))
        documents = [document(f"{TEXT}{n}") for n in range(20)]
        return [
            mix.sample([d], mix.choose(d.taken.content_hash, d.piece)).segments for d in documents
        ]

    assert samples(1) == samples(1)
    assert samples(1) != samples(2)


def test_every_format_has_a_name_and_a_file() -> None:
    assert set(FORMATS) == set(Format)
    assert {type(form).__module__ for form in FORMATS.values()} == {
        f"trainer.samples.{name.value}" for name in Format
    }
