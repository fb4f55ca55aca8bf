"""The grammars of all languages whose definitions are found, one entry each or for a family."""

from __future__ import annotations

import re

from codelupe_daemon.syntax.definitions.grammar import CONTEXTUAL, Act, Grammar, Trait

_SHARED = {
    "c_control": """if else for while do switch case default return goto break continue sizeof
        defined _Static_assert static_assert typeof __typeof__ __asm__ asm""",
    "c_modifiers": """const static inline extern volatile register restrict __inline __inline__
        _Noreturn""",
    "c_types": """int char void long short unsigned signed float double bool _Bool size_t auto
        wchar_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t""",
    "c_attributes": """__attribute__ __attribute __declspec _Alignas alignas""",
    "script": """FUNCTION function; TYPE class; CONST const; VAR let var; CONTROL if else for while
        do switch case return throw break continue new typeof instanceof in delete void yield
        await try catch finally with import extends this super null true false; MODIFIER
        export default""",
}
# Languages: traits, then acts with their keywords; those of an act with `?` are CONTEXTUAL.
_GRAMMARS = """
Rust: SLASHES RUST QUIET
  FUNCTION fn macro_rules; TYPE struct trait; ENUM enum; MODULE mod; BODY impl; NAME type static
  const; MODIFIER mut unsafe async extern pub; CONTROL if else match for while loop return use let
  in where as dyn; TYPE? union
Go: SLASHES SINGLE BACKTICK QUIET LINES
  FUNCTION func; GROUP type const var; INTERFACE interface; BODY struct; CONTROL import package
  map chan return if for switch range
Python: HASHES SINGLE TRIPLE FLAT CAPITALS
  FUNCTION def; TYPE class; CONTROL if else lambda return import from
JavaScript: SLASHES SINGLE TEMPLATE REGEX DOLLAR SCRIPT ASSIGNED
  {script}; MODIFIER? async static get set
TypeScript TSX Vue Svelte: SLASHES SINGLE TEMPLATE REGEX DOLLAR SCRIPT ASSIGNED TYPES
  {script}; ENUM enum; MODIFIER? async static get set public private protected readonly abstract
  declare override accessor; INTERFACE? interface; NAME? type; MODULE? namespace module
Dart: SLASHES SINGLE TRIPLE HOLES DOLLAR QUIET MEMBERS
  TYPE class; ENUM enum; TYPE_WORD void int double bool dynamic var; MODIFIER const final static;
  CONTROL operator if else for while do switch case return new throw super this import part
  Function assert library; TYPE? mixin extension; USING? typedef; NAME? get; CONTROL? export;
  MODIFIER? set external late abstract base sealed factory
Elixir: HASHES SINGLE TRIPLE HASH_HOLES DOTTED MARKS
  FUNCTION def defp defmacro defmacrop defguard defguardp defdelegate defn defnp; TYPE defmodule
  defprotocol defimpl; AFTER_AT type typep opaque callback macrocallback; CONTROL unquote do end
  fn if case cond with when quote unquote_splicing
Java Groovy: SLASHES SINGLE TRIPLE DOLLAR QUIET MEMBERS CAPITALS
  TYPE class interface; ENUM enum; TYPE_WORD void int long short byte char float double boolean;
  MODIFIER public private protected static final abstract native synchronized default transient
  volatile strictfp sealed; CONTROL if else for while do switch case return new throw super this
  import package throws extends implements; TYPE? record
C Objective-C: SLASHES PREPROCESSOR SINGLE QUIET HEADS
  TYPE struct union enum; TYPEDEF typedef; CONTROL {c_control}; TYPE_WORD {c_types}; MODIFIER
  {c_modifiers}; ATTRIBUTE {c_attributes}
C++ Cuda Objective-C++: SLASHES PREPROCESSOR SINGLE QUIET HEADS
  TYPE struct union enum class; MODULE namespace; TYPEDEF typedef; USING using; CONTROL operator
  {c_control} new delete throw try catch co_return co_await template; TYPE_WORD {c_types} public
  private protected signals slots; MODIFIER {c_modifiers} constexpr virtual explicit friend
  mutable final typename override thread_local consteval constinit; ATTRIBUTE {c_attributes}
  noexcept decltype requires
C#: SLASHES PREPROCESSOR SINGLE TRIPLE QUIET MEMBERS DOTTED
  TYPE class struct interface; ENUM enum; MODULE namespace; CONTROL operator if else for foreach
  while do switch case return new throw base this using lock typeof nameof where; TYPE_WORD void
  int long short byte char float double bool string object decimal uint ulong ushort sbyte var;
  MODIFIER public private protected internal static readonly sealed abstract virtual override
  async partial extern unsafe const ref; TYPE? record
Kotlin: SLASHES SINGLE TRIPLE HOLES DOTTED
  FUNCTION fun; TYPE class interface object; NAME typealias; CONTROL if else for while do when
  return throw import package
Swift: SLASHES TRIPLE
  FUNCTION func; TYPE class struct protocol actor; ENUM enum; NAME typealias associatedtype;
  MODIFIER static final; CONTROL if else for while do switch case return throw import guard let
  var
Scala: SLASHES TRIPLE
  FUNCTION def; TYPE class trait object; NAME type; CONTROL if else for while do match case return
  throw import
Ruby Crystal: HASHES SINGLE REGEX HASH_HOLES CAPITALS DOTTED MARKS
  FUNCTION def; TYPE class; MODULE module; CONTROL if elsif else unless while until case when
  return do and or not then
PHP Hack: SLASHES HASHES SINGLE DOTTED
  FUNCTION function; TYPE class interface trait; ENUM enum; MODULE namespace; NAME const; CONTROL
  if else for foreach while do switch case return new throw use echo
Lua Luau: DASHES SINGLE FLAT ASSIGNED DOTTED
  FUNCTION function; CONTROL if then else elseif for while do end return local in and or not
Shell: HASHES SINGLE FLAT SHELL
  FUNCTION function; CONTROL if then else elif fi for while do done case esac
Zig: SLASHES SINGLE
  FUNCTION fn; NAME const; CONTROL if else for while switch return
Julia: HASHES TRIPLE FLAT DOTTED
  FUNCTION function macro; TYPE struct; MODULE module baremodule; NAME const
"""


def _grammar(entry: str) -> Grammar:
    head, _, body = entry.partition(":")
    traits, _, acts = body.partition("\n")
    words: dict[str, int] = {}
    for act, *keywords in map(str.split, acts.format(**_SHARED).split(";")):
        number = Act[act.rstrip("?")] + (CONTEXTUAL if act.endswith("?") else 0)
        words |= dict.fromkeys(keywords, number)
    return Grammar(head.split(), sum(Trait[trait] for trait in traits.split()), words)


GRAMMARS = [_grammar(entry) for entry in re.split(r"\n(?=\S)", _GRAMMARS.strip())]
