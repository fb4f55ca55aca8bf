"""The grammars of all languages whose definitions are found, one entry each or for a family."""

from __future__ import annotations

from codelupe_daemon.syntax.definitions.grammar import Act, Grammar, Trait


def _words(text: str) -> dict[Act, str]:
    """`ACT: keyword keyword; ACT: keyword`"""
    pairs = (part.split(":") for part in text.split(";"))
    return {Act[act.strip()]: words for act, words in pairs}


def _grammar(languages: str, traits: str, words: str, contextual: str = "") -> Grammar:
    bits = sum(Trait[trait] for trait in traits.split())
    return Grammar(languages.split(), bits, _words(words), _words(contextual) if contextual else {})


_C_TRAITS = "SLASHES PREPROCESSOR SINGLE QUIET HEADS"
_C_CONTROL = """if else for while do switch case default return goto break continue sizeof defined
    _Static_assert static_assert typeof __typeof__ __asm__ asm"""
_C_MODIFIERS = "const static inline extern volatile register restrict __inline __inline__ _Noreturn"
_C_ATTRIBUTES = "__attribute__ __attribute __declspec _Alignas alignas"
_C_TYPES = """int char void long short unsigned signed float double bool _Bool size_t auto wchar_t
    int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t"""
_SCRIPT_TRAITS = "SLASHES SINGLE TEMPLATE REGEX DOLLAR SCRIPT ASSIGNED"
_SCRIPT_WORDS = """FUNCTION: function; TYPE: class; CONST: const; VAR: let var;
    CONTROL: if else for while do switch case return throw break continue new typeof instanceof in
    delete void yield await try catch finally with import extends this super null true false;
    MODIFIER: export default"""

GRAMMARS = (
    _grammar(
        "Rust",
        "SLASHES LIFETIMES RUST QUIET",
        """FUNCTION: fn macro_rules; TYPE: struct trait; ENUM: enum; MODULE: mod; BODY: impl;
        NAME: type static const; MODIFIER: mut unsafe async extern pub;
        CONTROL: if else match for while loop return use let in where as dyn""",
        "TYPE: union",
    ),
    _grammar(
        "Go",
        "SLASHES SINGLE BACKTICK QUIET LINES",
        """FUNCTION: func; GROUP: type const var; INTERFACE: interface; BODY: struct;
        CONTROL: import package map chan return if for switch range""",
    ),
    _grammar(
        "Python",
        "HASHES SINGLE TRIPLE FLAT CAPITALS",
        "FUNCTION: def; TYPE: class; CONTROL: if else lambda return import from",
    ),
    _grammar("JavaScript", _SCRIPT_TRAITS, _SCRIPT_WORDS, "MODIFIER: async static get set"),
    _grammar(
        "TypeScript TSX Vue Svelte",
        _SCRIPT_TRAITS + " TYPES",
        _SCRIPT_WORDS + "; ENUM: enum",
        """MODIFIER: async static get set public private protected readonly abstract declare
        override accessor; INTERFACE: interface; NAME: type; MODULE: namespace module""",
    ),
    _grammar(
        "Dart",
        "SLASHES SINGLE TRIPLE HOLES DOLLAR QUIET MEMBERS",
        """TYPE: class; ENUM: enum; TYPE_WORD: void int double bool dynamic var;
        MODIFIER: const final static; OPERATOR: operator;
        CONTROL: if else for while do switch case return new throw super this import part Function
        assert library""",
        """TYPE: mixin extension; USING: typedef; NAME: get; CONTROL: export;
        MODIFIER: set external late abstract base sealed factory""",
    ),
    _grammar(
        "Elixir",
        "HASHES SINGLE TRIPLE HASH_HOLES DOTTED MARKS",
        """FUNCTION: def defp defmacro defmacrop defguard defguardp defdelegate defn defnp;
        TYPE: defmodule defprotocol defimpl;
        AFTER_AT: type typep opaque callback macrocallback;
        CONTROL: unquote do end fn if case cond with when quote unquote_splicing""",
    ),
    _grammar(
        "Java Groovy",
        "SLASHES SINGLE TRIPLE DOLLAR QUIET MEMBERS CAPITALS",
        """TYPE: class interface; ENUM: enum;
        TYPE_WORD: void int long short byte char float double boolean;
        MODIFIER: public private protected static final abstract native synchronized default
        transient volatile strictfp sealed;
        CONTROL: if else for while do switch case return new throw super this import package throws
        extends implements""",
        "TYPE: record",
    ),
    _grammar(
        "C Objective-C",
        _C_TRAITS,
        f"""TYPE: struct union enum; TYPEDEF: typedef; CONTROL: {_C_CONTROL};
        TYPE_WORD: {_C_TYPES}; MODIFIER: {_C_MODIFIERS}; ATTRIBUTE: {_C_ATTRIBUTES}""",
    ),
    _grammar(
        "C++ Cuda Objective-C++",
        _C_TRAITS + " CPP_RAW",
        f"""TYPE: struct union enum class; MODULE: namespace; TYPEDEF: typedef; USING: using;
        OPERATOR: operator; TYPE_WORD: {_C_TYPES} public private protected signals slots;
        CONTROL: {_C_CONTROL} new delete throw try catch co_return co_await template;
        MODIFIER: {_C_MODIFIERS} constexpr virtual explicit friend mutable final typename override
        thread_local consteval constinit; ATTRIBUTE: {_C_ATTRIBUTES} noexcept decltype requires""",
    ),
    _grammar(
        "C#",
        "SLASHES PREPROCESSOR SINGLE TRIPLE QUIET MEMBERS DOTTED",
        """TYPE: class struct interface; ENUM: enum; MODULE: namespace; OPERATOR: operator;
        TYPE_WORD: void int long short byte char float double bool string object decimal uint ulong
        ushort sbyte var;
        MODIFIER: public private protected internal static readonly sealed abstract virtual
        override async partial extern unsafe const ref;
        CONTROL: if else for foreach while do switch case return new throw base this using lock
        typeof nameof where""",
        "TYPE: record",
    ),
    _grammar(
        "Kotlin",
        "SLASHES SINGLE TRIPLE HOLES DOTTED",
        """FUNCTION: fun; TYPE: class interface object; NAME: typealias;
        CONTROL: if else for while do when return throw import package""",
    ),
    _grammar(
        "Swift",
        "SLASHES TRIPLE",
        """FUNCTION: func; TYPE: class struct protocol actor; ENUM: enum;
        NAME: typealias associatedtype; MODIFIER: static final;
        CONTROL: if else for while do switch case return throw import guard let var""",
    ),
    _grammar(
        "Scala",
        "SLASHES LIFETIMES TRIPLE",
        """FUNCTION: def; TYPE: class trait object; NAME: type;
        CONTROL: if else for while do match case return throw import""",
    ),
    _grammar(
        "Ruby Crystal",
        "HASHES SINGLE HASH_HOLES REGEX DOTTED MARKS CAPITALS",
        """FUNCTION: def; TYPE: class; MODULE: module;
        CONTROL: if elsif else unless while until case when return do and or not then""",
    ),
    _grammar(
        "PHP Hack",
        "SLASHES HASHES SINGLE DOTTED",
        """FUNCTION: function; TYPE: class interface trait; ENUM: enum; MODULE: namespace;
        NAME: const;
        CONTROL: if else for foreach while do switch case return new throw use echo""",
    ),
    _grammar(
        "Lua Luau",
        "DASHES SINGLE FLAT DOTTED ASSIGNED",
        """FUNCTION: function;
        CONTROL: if then else elseif for while do end return local in and or not""",
    ),
    _grammar(
        "Shell",
        "HASHES SINGLE FLAT SHELL",
        "FUNCTION: function; CONTROL: if then else elif fi for while do done case esac",
    ),
    _grammar(
        "Zig",
        "SLASHES SINGLE",
        "FUNCTION: fn; NAME: const; CONTROL: if else for while switch return",
    ),
    _grammar(
        "Julia",
        "HASHES TRIPLE FLAT DOTTED",
        "FUNCTION: function macro; TYPE: struct; MODULE: module baremodule; NAME: const",
    ),
)
