"""The names that texts define: what is a definition in each language, and what only looks like one."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codelupe_daemon.syntax.blocks import PADDING
from codelupe_daemon.syntax.definitions import LANGUAGES, Definition, definitions, find_names
from codelupe_daemon.syntax.definitions.state import MAX_JSON_BYTES, MAX_NAMES

CASES = {
    "Rust": r"""
        pub mod shapes {
            /// fn not_in_a_comment() {}
            pub fn area<'a, T: Into<f64>>(name: &'a str, x: T) -> f64 where T: Copy {
                let text = r#"fn in_a_raw_string() { "#; let c = '"'; let d = '\''; let e = '{';
                fn local() {}
                0.0
            }
        }
        /* a comment fn no() {} */ bitflags! { struct NotInACall; }
        impl<T> Shape for Square<T> { type Output = u8; const SIDES: u8 = 4; fn r#type(&self) {} }
        macro_rules! square { ($x:ident) => { fn $x() {} } }
        #[derive(Debug)] pub(crate) struct Square<T> { side: T }
        enum Kind { A { x: u8 }, B } trait Shape { fn sides(&self) -> [u8; 4]; }
        pub static mut COUNT: u32 = 0; type Alias<T> = Vec<T>; union Bits { a: u32 }
        """,
    "Go": """
        package shapes
        import "fmt"
        const Pi, E = 3.14, 2.7
        const (
        	Red = iota // Green would be a comment
        	Blue
        )
        type Square[T any] struct {
        	side T
        	next func(int) error
        }
        type (
        	Shape interface {
        		Area(x int) (float64, error)
        		fmt.Stringer
        	}
        	Handler func(w int) error
        )
        var ErrNone = func() error { type local struct{}; return nil }()
        func New(x int) *Square { text := `func NotThis() {`; return nil }
        func (s *Square[T]) Area(x int) (float64, error) {
        	func() { fmt.Println("func NotThat() {") }()
        	return 0, nil
        }
        """,
    "Python": '''
import os
LIMIT = 3
NAMES: list[str] = []
limit = 4
LIMIT == 3
@decorated(key="def no(): pass")
class Square(Base, metaclass=type("class No:")):
    """class NotInADocstring: and def no(): pass"""
    INNER = 1
    def area(self, x=(1, 2)) -> "def no()":  # def not_here():
        async def helper(): return r"\\"
        return f"{x} def no"
    async def wait(self): pass
class Last: pass
''',
    "JavaScript": r"""
        import x from 'x'; const fs = require('fs');
        export default function main() { const local = 1; function inner() {} }
        const add = (a, b) => a + b, SIZE = 3; export const later = async x => { await x; };
        let minus = function () {}; var count = 3;
        Square.prototype.area = function () {}; exports.perimeter = () => 4;
        class Square extends Shape {
          #side = 1; static handler = (e) => { if (e) { call(e) } }
          constructor(side) { super(side); } static of(x) { return new Square(x) }
          get side() { return this.#side } async *steps() { for (;;) { yield this.next() } }
        }
        const methods = { draw() { run(1) }, erase: function () {}, move: (x) => x, plain: 1 };
        call({ ignored: () => 1, alsoIgnored() {} });
        const text = `${`function no() {} ${ { a: '}' } }`} function no() {}`;
        const regex = /function no() {["'`/*]/g; a = b / c; function* generate() {}
        const plain = [1].map((x) => /['"{]/)
        bare = async () => 2
        """,
    "TypeScript": r"""
        export interface Shape<T = {}> extends Base<T, U> { area(x: number): void; p: () => void; maybe?(a: T): U }
        type Point = { x: number; move: (by: number) => Point; at(): void };
        export enum Color { Red, Green }
        declare module Outer.Inner { export function helper(): void; }
        export abstract class Square<T extends object> extends Base<T> implements Shape, Other {
          private side: { a: number } = make(1);
          constructor(private readonly x: number) { super() }
          @Input({ a: 1 }) named<K extends keyof T>(key: K): Promise<{ a: string }> { return 1 as any }
          abstract describe(): string; get size(): number { return 1 }
          handler = async (event: Event): Promise<void> => {};
        }
        export const pick: { <A>(a: A): A; (b: string): void } = dual(2, (a) => a);
        const typed: Fn<(x: number) => void> = (x: number): string => `type No = ${x}`;
        function overloaded(x: string): void; function overloaded(x: any): { a: any } { return x }
        const enum Flags { A } const literal = { notAsked() { run() } }; import type { No } from './no'; let type = 3; type = 4;
        """,
    "Dart": r"""
        import 'a.dart'; typedef Compare<T> = int Function(T a, T b); typedef void Old(int a);
        abstract class Square extends Shape with Mixed implements Other {
          final int side = compute(1); Square(this.side) : super(1), assert(side > 0);
          Square.unit() : this(1); factory Square.from(Map json) => Square(json['side']);
          int get area => side * side; set size(int x) { } static const empty = 3;
          @override Future<List<int>> load<T>(T a) async { print('${map['}']} void no() {'); }
          operator ==(Object other) => true; void draw();
        }
        mixin Mixed on Shape {} enum Color { red, green } extension Words on String { int count() => 1; }
        void main() { void local() {} var s = r'\'; }
        """,
    "Elixir": r'''
        defmodule App.Square do
          @moduledoc """
          def not_in_docs(x), do: x
          """
          @type side :: integer
          @callback draw(t) :: :ok
          def area(%{side: s}) when s > 0, do: "#{ "def no" } #{s}"
          defp valid?(x), do: x =~ ~r/"no(/ and ?" != x
          defmacro build!(x) do quote do: unquote(x) end
          @doc "def no" ; defdelegate size(x), to: Enum
        end
        defimpl Drawable, for: App.Square do def draw(x), do: [def: x] end
        ''',
    "Java": r"""
        package a.b; import x.y;
        @Named(value = "class No {") public final class Square<T extends Comparable<T>> extends Shape {
          private static final int MAX_SIDE = compute(1), side = 2; int[] sizes = {1, 2};
          static { load("x"); } Square() { this(1); }
          @Ann(x = {"}"}) public <K> Map<K, List<T>> areas(int a, Foo... b) throws Bad { class L {} call(); }
          abstract int[] describe(); Runnable task = new Runnable() { public void run() {} };
          enum Color { RED(1) { void inner() {} }, GREEN(2); Color(int x) {} int code() { return 1; } }
          interface Visitor { default void visit() {} String name() default ""; } @interface Named { int value(); }
          record Point(int x, int y) { double length() { return '"'; } }
          String text = \"""
            class NotInText { void no() {} " \""";
        }
        """.replace('\\"""', '"""'),
    "C": r"""
        #include <a.h>
        #define SQUARE(x) \
            int no(void) { return x; }
        #  define LIMIT 3 /* goes
          on */
        struct shape { int (*area)(int x); struct inner { int y; } in; };
        typedef struct square { int side; } square_t, *square_ptr; typedef int (*compare_fn)(const void *);
        enum color { RED, GREEN }; union bits; extern int declared(int); typedef unsigned char byte_t;
        static const char *names[] = { "a", "}", "int no() {" }; static struct shape unit = { .x = 1 };
        ITEM(a) = { 1 } ITEM_END(a)
        DEFINE_THING(x)
        static struct shape *
        make(struct shape *base, int (*cb)(int))
        { struct local { int z; }; if (base) { return '}'; } }
        #if A && \
            B /* { */
        int branch(int a) {
        #else
        int branch(long a) {
        #endif
          return 1;
}
        int attributed(void) __attribute__((noreturn)); int last(a >= 1) { }
        """,
    "C++": r"""
        namespace a::b { template <class T, class U = std::vector<int>> class EXPORT Square final : public Shape<T> {
          public: Square() : side{1}, other(2) { init(); } explicit Square(int);
          bool operator==(const Square& o) const { return true; } int operator()(int x) { return x; }
          template <typename K> auto area(K k) const noexcept -> decltype(k) override { return k; }
          enum class Kind : int { A }; int inline_value = 3; void declared() = delete;
        }; }
        struct a::b::Data { }; void a::b::Square<int>::resize(int x) { auto s = "void no() { "; int n = 1'000; }
        using Alias = int; template <> struct hash<Square> { }; extern "C" { int c_function(void) { } }
        Square s{1}; TEST_F(Fixture, Name) { } auto trailing() -> int { return [] { return 1; }(); }
        """,
    "C#": """
        namespace A.B { [Attr("class No")] public partial class Square<T> : Shape where T : new() {
          public int Side { get; set; } = 3; const string Path = "c:}"; Square(int a) : base(a) { }
          public async Task<int> Area<K>(K x) where K : class { var t = $"{x} void No() {"; return 1; }
          int Size() => 1; } interface IShape { void Draw(int a); } enum Color { Red } record Point(int X); }
        """,
    "Kotlin": """
        class Square(val side: Int) { fun area(): Int { fun local() {} ; return "${"}"}".length }
          companion object { const val X = 1 } }
        fun <T : Any> List<T>.second(x: T): T = x
        interface Shape { fun draw() } object Single typealias Alias = Int /* fun no() */
        """,
    "Ruby": """
        module App::Shapes
          LIMIT = 3
          class Square < Shape
            def self.of(x) = new(x)
            def valid?; puts "#{x("def no")} def no"; end
            def text; "class No"; end
            class << self; end
            def divide(a) a / 2; end # def no / x
          end
        end
        """,
    "PHP": """<?php namespace App\\Shapes;
        /** function no() {} */ abstract class Square extends Shape { const SIDES = 4; #[Attr] public
        function &area($x) { $f = function () use ($x) {}; return "function no() {"; } } interface Shape { function draw(); } trait T {} function helper() { echo 'class No'; }
        """,
    "Lua": """
        local function helper() end -- function no()
        function Square.new(x) end function Square:area() return "function no()" end
        M.size = function() end --[[ function
        no() ]] call(function() end)
        """,
    "Shell": """
#!/bin/sh
helper() { echo "no() {"; }
function other { echo 'also_no() {'; }
echo "it's not_here() {"
last () {
}
""",
    "Swift": "class A { func area<T>(x: T) {} ; static func of() {} } struct B {} protocol C { func d() } enum E {}",
    "Scala": 'trait A { def b: Int = 1 } object C { type D = Int; def e(x: Int) = s"def no" } case class F(x: Int)',
    "Zig": 'const std = @import("std"); pub fn main() void {} const Point = struct { fn norm() f32 {} };',
    "Julia": "module A\nfunction f(x) end\nstruct S end\nmacro m() end\n# function no\nconst C = 1\nend",
}  # fmt: skip

EXPECTED = {
    "Rust": "shapes area Output SIDES type square Square Kind Shape sides COUNT Alias Bits",
    "Go": "Pi Red Blue Square Shape Area Handler ErrNone New",
    "Python": "LIMIT NAMES Square area helper wait Last",
    "JavaScript": "main inner add later minus area perimeter Square handler constructor of side "
    "steps methods draw erase move text regex generate plain bare",
    "TypeScript": "Shape area maybe Point at Color Outer helper Square constructor named describe size "
    "handler pick typed overloaded Flags literal",
    "Dart": "Compare Old Square unit from area size load draw Mixed Color Words count main",
    "Elixir": "Square side draw area valid? build! size Drawable",
    "Java": "Square MAX_SIDE areas describe Color code Visitor visit name Named value Point length",
    "C": "SQUARE LIMIT shape inner square square_t square_ptr compare_fn color byte_t make "
    "branch last",
    "C++": "b Square area Kind Data resize Alias hash c_function TEST_F trailing",
    "C#": "B Square Area Size IShape Draw Color Point",
    "Kotlin": "Square area local second Shape draw Single Alias",
    "Ruby": "Shapes LIMIT Square of valid? text divide",
    "PHP": "Shapes Square SIDES area Shape draw T helper",
    "Lua": "helper new area size",
    "Shell": "helper other last",
    "Swift": "A area of B C d E",
    "Scala": "A b C D e F",
    "Zig": "std main Point norm",
    "Julia": "A f S m C",
}


@pytest.mark.parametrize("language", CASES)
def test_names_of_a_language(language: str) -> None:
    found = [definition.name for definition in definitions(CASES[language], language)]
    assert " ".join(found) == EXPECTED[language]


def test_every_grammar_has_a_case() -> None:
    assert len({LANGUAGES[language] for language in CASES}) == len(set(LANGUAGES.values()))


def test_a_definition_says_where_its_name_stands() -> None:
    assert definitions("# ä\ndef größe(): pass\n", "Python") == [Definition("größe", 9)]


def test_a_language_without_grammar_has_no_names() -> None:
    assert names(["fn main() {}", "fn main() {}"], ["Brainfuck", None]) == [b"[]", b"[]"]


def test_texts_of_a_batch_do_not_touch_each_other() -> None:
    texts = ["fn one() { /*", "fn two", "", "*/ fn three(", '"', "fn four"] * 100
    assert names(texts, ["Rust"] * 600)[:6] == [
        b'["one"]', b'["two"]', b"[]", b'["three"]', b"[]", b'["four"]'
    ]  # fmt: skip


def test_no_more_names_than_fit() -> None:
    many = names(["".join(f"def f{k}(): pass\n" for k in range(500))], ["Python"])[0]
    assert len(json.loads(many)) == MAX_NAMES
    long = names(["".join(f"def {'f' * 200}{k}(): pass\n" for k in range(500))], ["Python"])[0]
    assert MAX_JSON_BYTES - 210 < len(long) <= MAX_JSON_BYTES


def test_each_name_once() -> None:
    assert names(["def a(): pass\n" * 50 + "def b(): pass"], ["Python"]) == [b'["a","b"]']


def names(texts: list[str], languages: list[str | None] | list[str]) -> list[bytes]:
    raw = [text.encode() for text in texts]
    sizes = np.array([len(text) for text in raw], np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    data = np.frombuffer(b"".join(raw) + bytes(PADDING), np.uint8)
    return find_names(data, offsets, sizes, languages)


_PIECES = st.sampled_from(
    [
        "class",
        "struct",
        "def",
        "fn",
        "func",
        "function",
        "type",
        "const",
        "enum",
        "interface",
        "typedef",
        "using",
        "operator",
        "template",
        "macro_rules",
        "impl",
        "get",
        "set",
        "static",
        "async",
        "export",
        "default",
        "case",
        "<<EOF",
        "EOF",
        "#if",
        "#else",
        "#endif",
        "#define",
        "name",
        "Other",
        "x1",
        "größe",
        "$v",
        "${",
        "#{",
        "}",
        "{",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        "<T>",
        ";",
        ":",
        "::",
        ",",
        ".",
        "=",
        "==",
        "=>",
        "->",
        "*",
        "&",
        "!",
        "?",
        "~",
        "~r/",
        "@",
        "#",
        "//",
        "/*",
        "*/",
        "--",
        "--[[",
        "]]",
        '"',
        "'",
        "`",
        '"""',
        "'''",
        'r#"',
        '"#',
        'R"(',
        ')"',
        "\\",
        "/",
        "%",
        "0",
        "1'000",
        "\n",
        "\n",
        "\t",
    ]
)
_LANGUAGES = st.sampled_from(sorted(LANGUAGES))
_TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(_PIECES, max_size=120).map(" ".join),
    st.lists(_PIECES, max_size=120).map("".join),
)


@settings(max_examples=600)
@given(_TEXTS, _LANGUAGES)
def test_names_stand_in_the_text(text: str, language: str) -> None:
    raw = text.encode()
    for name, start in definitions(text, language):
        assert raw[start:].startswith(name.encode())
        assert json.loads(f'"{name}"') == name


@settings(max_examples=300)
@given(st.lists(_TEXTS, min_size=1, max_size=5), _LANGUAGES, _TEXTS)
def test_names_depend_on_nothing_but_the_text(
    texts: list[str], language: str, neighbour: str
) -> None:
    alone = [names([text], [language])[0] for text in texts]
    assert names([*texts, neighbour], [language] * (len(texts) + 1))[:-1] == alone
    for text, found in zip(texts, alone, strict=True):
        assert json.loads(found) == [name for name, _ in definitions(text, language)]


@pytest.mark.parametrize("language", sorted({"Rust", "C", "JavaScript", "TypeScript", "PHP"}))
@pytest.mark.parametrize(
    "piece",
    ["/*", "/[", "a<", "((", "(]", "{", "`${", "'", '"', "#if 0\n", "#define a \\\n", "<<A\n", 'r#"',
     "r" * 99, "a.", "get ", " ", "class ", "a=(", "x{}"],
)  # fmt: skip
def test_time_is_linear(language: str, piece: str) -> None:
    before = time.thread_time()
    definitions(piece * (1_000_000 // len(piece)), language)
    assert time.thread_time() - before < 1.0


def test_what_follows_an_ellipsis_on_a_new_line_is_no_member() -> None:
    stubs = "class A:\n    def f(self): ...\n\n    def g(self): ...\n\nx = ...\ndef h(): pass\n"
    assert [found.name for found in definitions(stubs, "Python")] == ["A", "f", "g", "h"]
