"""What closes is told from what does not, in each language's own way of strings and comments."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import pytest

from codelupe_daemon.examine import features
from codelupe_daemon.examine.languages import KIND_OF_LANGUAGE
from tests.examine.test_kernel import measure

SOUND = {
    "Python": [
        "x = [1, {2: (3)}]\n",
        "x = f(')', \"]\", r'\\\\')  # :(\n",
        'x = f("""\n(\n[\n""")\n',
        "def f(\n    a,\n):\n    return a\n",
        'def f():\n    """Says ( why: """\n\n\ndef g():\n    pass\n',
        "if a and \\\n   b:\n    c = 1\n",
        "class A:\n    x: int\n\n    def f(self):  # it's\n        return 1\nx = A()\n",
        "x = 'don\\'t ('\n",
    ],
    "Rust": [
        "fn f<'a>(x: &'a str) -> char { '{' }\n",
        'let s = r#"{"a": [1}"#;\n',
        'let s = "a\n  ( b";\n',
        "let c = '\\''; let d = '\\u{1F600}'; // (\n",
        "/* ( */ f(); /* [ */\n",
    ],
    "Go": ["s := `(\n{`\n", "r := '{'\n", 'f("\\"(") // it\'s {\n'],
    "JavaScript": [
        "const a = /[\"'(]\\/(/.test(b) ? `${c} (` : 4 / 2;\n",
        "const s = `\n // ) {\n`;\n",
        "const jsx = <p>Don't</p>;\n",
    ],
    "TypeScript": ["const f = (a: 'x' | \"}\"): void => {};\n"],
    "Java": ['String s = """\n  { "a"\n  """;\n', "char c = '\\'', d = '(';\n"],
    "C": [
        "#if A\nint f(int a) {\n#else\nint f(void) {\n#endif\n}\n",
        '#include "a.h"\n#error don\'t (\n#define X(a) ((a))\n',
        "char q[] = {'\"', '{', '\\\\'}; int x; /* ( */\n",
    ],
    "C++": [
        'auto s = R"({"(})";\n',
        'f(R"cc(\n  { "(" ]\n)cc");\n',
        "int n = 1'000'000;\n",
        "f(/*a=*/1,\n  /*b=*/2);\n",
    ],
    "Elixir": ['@doc """\n( says\n"""\ndef f(a), do: [a]\n'],
    "Dart": ["var a = '''\n( it's\n''';\n"],
}
BROKEN = {
    "Python": [
        "x = [1, 2\n",
        "def f():\nreturn 1\n",
        "x = 1\n    y = 2\n",
        "def f():\n",
        "x = 'abc\n",
        'x = """abc\n',
    ],
    "Rust": ["fn f() {\n", 'let s = "abc;\n', "f());\n"],
    "Go": ["s := `abc\n", 'f("a)\n'],
    "JavaScript": ["const s = `a\n", "f(() => {\n)};}\n", 'x = "a;\n'],
    "TypeScript": ["interface A {\n"],
    "Java": ["class A { void f() { }\n", '  s = "a;\n'],
    "C": ["int f(void) {\n", "#if A\nint x;\n", '#include "a.h\n', "/* open\n"],
    "C++": ["namespace a { class B {};\n"],
}


def broken(language: str, code: str) -> int:
    return measure(code.encode(), KIND_OF_LANGUAGE[language])[features.BROKEN]


@pytest.mark.parametrize("language", SOUND)
def test_what_closes_is_sound(language: str) -> None:
    assert [code for code in SOUND[language] if broken(language, code) > 0] == []


@pytest.mark.parametrize("language", BROKEN)
def test_what_stays_open_is_broken(language: str) -> None:
    assert [code for code in BROKEN[language] if broken(language, code) == 0] == []


def test_a_bracket_that_is_lost_is_noticed() -> None:
    chance = random.Random(1)
    for module in (argparse, random):
        assert module.__file__
        code = Path(module.__file__).read_text("utf-8")
        assert broken("Python", code) == 0
        heads = [at for at in range(len(code)) if code.startswith("):\n", at)]
        for at in chance.sample(heads, 20):
            assert broken("Python", code[:at] + code[at + 1 :]) > 0


@pytest.mark.parametrize(
    ("language", "code", "swallowed"),
    [
        ("Python", "try:\n    f()\nexcept E:\n    pass\n", 1),
        ("Python", "try:\n    f()\nexcept E:\n    # it may be gone\n    pass\n", 0),
        ("Python", "try:\n    f()\nexcept E: pass\n", 1),
        ("Python", "try:\n    f()\nexcept E:\n    log(1)\n", 0),
        ("Java", "try {\n  f();\n} catch (E e) {\n}\n", 1),
        ("Java", "try { f(); } catch (E e) { }\n", 1),
        ("Java", "try {\n  f();\n} catch (E e) {\n  throw e;\n}\n", 0),
        ("JavaScript", "f().catch(() => {});\n", 1),
        ("Go", "if err != nil {\n}\n_ = f()\nfor _, x := range y {\n}\n", 2),
        ("Rust", "let _ = f();\nmatch g() {\n    Ok(x) => x,\n    Err(_) => {}\n}\n", 2),
        ("Rust", 'return Err(format!("{}", x));\n', 0),
        ("C", "(void)close(fd);\n(void)argc;\n", 1),
    ],
)
def test_errors_that_end_unheard_are_counted(language: str, code: str, swallowed: int) -> None:
    assert measure(code.encode(), KIND_OF_LANGUAGE[language])[features.SWALLOWED] == swallowed
