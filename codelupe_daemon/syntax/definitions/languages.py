"""The grammars of all languages whose definitions are found, one entry each or for a family."""

from __future__ import annotations

from codelupe_daemon.syntax.definitions.grammar import Act, Grammar, Trait

_C_TYPES = (
    "int char void long short unsigned signed float double bool _Bool size_t auto wchar_t "
    "int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t"
)
_C_CONTROL = (
    "if else for while do switch case default return goto break continue sizeof defined "
    "_Static_assert static_assert typeof __typeof__ __asm__ asm"
)
_C_MODIFIERS = "const static inline extern volatile register restrict __inline __inline__ _Noreturn"
_C_ATTRIBUTES = "__attribute__ __attribute __declspec _Alignas alignas"
_C_TRAITS = (
    Trait.SLASHES | Trait.PREPROCESSOR | Trait.SINGLE | Trait.QUIET | Trait.HEADS | Trait.DEFERRED
)
_SCRIPT_TRAITS = (
    Trait.SLASHES
    | Trait.SINGLE
    | Trait.TEMPLATE
    | Trait.REGEX
    | Trait.DOLLAR
    | Trait.SCRIPT
    | Trait.ASSIGNED
)
_SCRIPT_WORDS = {
    Act.FUNCTION: "function",
    Act.TYPE: "class",
    Act.CONST: "const",
    Act.VAR: "let var",
    Act.CONTROL: "if else for while do switch case return throw break continue new typeof "
    "instanceof in delete void yield await try catch finally with import extends this super "
    "null true false",
    Act.MODIFIER: "export default",
}
_SCRIPT_MODIFIERS = "async static get set"

GRAMMARS = (
    Grammar(
        ("Rust",),
        Trait.SLASHES
        | Trait.NESTED
        | Trait.LONG_DOUBLE
        | Trait.LIFETIMES
        | Trait.RUST_RAW
        | Trait.QUIET,
        {
            Act.FUNCTION: "fn",
            Act.TYPE: "struct trait",
            Act.ENUM: "enum",
            Act.MODULE: "mod",
            Act.NAME: "type static const macro_rules",
            Act.BODY: "impl",
            Act.MODIFIER: "mut unsafe async extern pub",
            Act.CONTROL: "if else match for while loop return use let in where as dyn",
        },
        {Act.TYPE: "union"},
    ),
    Grammar(
        ("Go",),
        Trait.SLASHES | Trait.SINGLE | Trait.RAW_BACKTICK | Trait.QUIET | Trait.LINES,
        {
            Act.FUNCTION: "func",
            Act.GROUP: "type const var",
            Act.INTERFACE: "interface",
            Act.BODY: "struct",
            Act.CONTROL: "import package map chan return if for switch range",
        },
    ),
    Grammar(
        ("Python",),
        Trait.HASHES
        | Trait.SINGLE
        | Trait.TRIPLE_DOUBLE
        | Trait.TRIPLE_SINGLE
        | Trait.FLAT
        | Trait.CAPITALS
        | Trait.COLUMN_0,
        {Act.FUNCTION: "def", Act.TYPE: "class", Act.CONTROL: "if else lambda return import from"},
    ),
    Grammar(
        ("JavaScript",),
        _SCRIPT_TRAITS,
        _SCRIPT_WORDS,
        {Act.MODIFIER: _SCRIPT_MODIFIERS},
    ),
    Grammar(
        ("TypeScript", "TSX", "Vue", "Svelte"),
        _SCRIPT_TRAITS | Trait.TYPES,
        _SCRIPT_WORDS | {Act.ENUM: "enum"},
        {
            Act.MODIFIER: _SCRIPT_MODIFIERS
            + " public private protected readonly abstract declare override accessor",
            Act.INTERFACE: "interface",
            Act.NAME: "type",
            Act.MODULE: "namespace module",
        },
    ),
    Grammar(
        ("Dart",),
        Trait.SLASHES
        | Trait.NESTED
        | Trait.SINGLE
        | Trait.TRIPLE_DOUBLE
        | Trait.TRIPLE_SINGLE
        | Trait.R_RAW
        | Trait.HOLES
        | Trait.DOLLAR
        | Trait.QUIET
        | Trait.MEMBERS
        | Trait.TOP_MEMBERS
        | Trait.ARROWS,
        {
            Act.TYPE: "class",
            Act.ENUM: "enum",
            Act.CONTROL: "if else for while do switch case return new throw super this import "
            "part Function assert library",
            Act.TYPE_WORD: "void int double bool dynamic var",
            Act.MODIFIER: "const final static",
            Act.OPERATOR: "operator",
        },
        {
            Act.TYPE: "mixin extension",
            Act.USING: "typedef",
            Act.NAME: "get",
            Act.MODIFIER: "set external late abstract base sealed factory",
            Act.CONTROL: "export",
        },
    ),
    Grammar(
        ("Elixir",),
        Trait.HASHES
        | Trait.LONG_DOUBLE
        | Trait.LONG_SINGLE
        | Trait.TRIPLE_DOUBLE
        | Trait.TRIPLE_SINGLE
        | Trait.HASH_HOLES
        | Trait.SIGILS
        | Trait.DOTTED
        | Trait.MARKS,
        {
            Act.FUNCTION: "def defp defmacro defmacrop defguard defguardp defdelegate defn defnp",
            Act.TYPE: "defmodule defprotocol defimpl",
            Act.AFTER_AT: "type typep opaque callback macrocallback",
            Act.CONTROL: "unquote do end fn if case cond with when quote unquote_splicing",
        },
    ),
    Grammar(
        ("Java", "Groovy"),
        Trait.SLASHES
        | Trait.SINGLE
        | Trait.TRIPLE_DOUBLE
        | Trait.DOLLAR
        | Trait.QUIET
        | Trait.MEMBERS
        | Trait.CAPITALS,
        {
            Act.TYPE: "class interface",
            Act.ENUM: "enum",
            Act.CONTROL: "if else for while do switch case return new throw super this import "
            "package throws extends implements",
            Act.TYPE_WORD: "void int long short byte char float double boolean",
            Act.MODIFIER: "public private protected static final abstract native synchronized "
            "default transient volatile strictfp sealed",
        },
        {Act.TYPE: "record"},
    ),
    Grammar(
        ("C", "Objective-C"),
        _C_TRAITS,
        {
            Act.TYPE: "struct union enum",
            Act.TYPEDEF: "typedef",
            Act.CONTROL: _C_CONTROL,
            Act.TYPE_WORD: _C_TYPES,
            Act.MODIFIER: _C_MODIFIERS,
            Act.ATTRIBUTE: _C_ATTRIBUTES,
        },
    ),
    Grammar(
        ("C++", "Cuda", "Objective-C++"),
        _C_TRAITS | Trait.CPP_RAW,
        {
            Act.TYPE: "struct union enum class",
            Act.MODULE: "namespace",
            Act.TYPEDEF: "typedef",
            Act.USING: "using",
            Act.OPERATOR: "operator",
            Act.CONTROL: _C_CONTROL + " new delete throw try catch co_return co_await template",
            Act.TYPE_WORD: _C_TYPES + " public private protected signals slots",
            Act.MODIFIER: _C_MODIFIERS + " constexpr virtual explicit friend mutable final "
            "typename override thread_local consteval constinit",
            Act.ATTRIBUTE: _C_ATTRIBUTES + " noexcept decltype requires",
        },
    ),
    Grammar(
        ("C#",),
        Trait.SLASHES
        | Trait.PREPROCESSOR
        | Trait.SINGLE
        | Trait.TRIPLE_DOUBLE
        | Trait.AT_RAW
        | Trait.QUIET
        | Trait.MEMBERS
        | Trait.DOTTED,
        {
            Act.TYPE: "class struct interface",
            Act.ENUM: "enum",
            Act.MODULE: "namespace",
            Act.OPERATOR: "operator",
            Act.CONTROL: "if else for foreach while do switch case return new throw base this "
            "using lock typeof nameof where",
            Act.TYPE_WORD: "void int long short byte char float double bool string object decimal "
            "uint ulong ushort sbyte var",
            Act.MODIFIER: "public private protected internal static readonly sealed abstract "
            "virtual override async partial extern unsafe const ref",
        },
        {Act.TYPE: "record"},
    ),
    Grammar(
        ("Kotlin",),
        Trait.SLASHES
        | Trait.NESTED
        | Trait.SINGLE
        | Trait.TRIPLE_DOUBLE
        | Trait.HOLES
        | Trait.DOTTED,
        {
            Act.FUNCTION: "fun",
            Act.TYPE: "class interface object",
            Act.NAME: "typealias",
            Act.CONTROL: "if else for while do when return throw import package",
        },
    ),
    Grammar(
        ("Swift",),
        Trait.SLASHES | Trait.NESTED | Trait.TRIPLE_DOUBLE,
        {
            Act.FUNCTION: "func",
            Act.TYPE: "class struct protocol actor",
            Act.ENUM: "enum",
            Act.NAME: "typealias associatedtype",
            Act.MODIFIER: "func static final",
            Act.CONTROL: "if else for while do switch case return throw import guard let var",
        },
    ),
    Grammar(
        ("Scala",),
        Trait.SLASHES | Trait.NESTED | Trait.LIFETIMES | Trait.TRIPLE_DOUBLE,
        {
            Act.FUNCTION: "def",
            Act.TYPE: "class trait object",
            Act.NAME: "type",
            Act.CONTROL: "if else for while do match case return throw import",
        },
    ),
    Grammar(
        ("Ruby", "Crystal"),
        Trait.HASHES
        | Trait.LONG_DOUBLE
        | Trait.LONG_SINGLE
        | Trait.HASH_HOLES
        | Trait.REGEX
        | Trait.HEREDOC
        | Trait.DOTTED
        | Trait.MARKS
        | Trait.CAPITALS,
        {
            Act.FUNCTION: "def",
            Act.TYPE: "class",
            Act.MODULE: "module",
            Act.CONTROL: "if elsif else unless while until case when return do and or not then",
        },
    ),
    Grammar(
        ("PHP", "Hack"),
        Trait.SLASHES
        | Trait.HASHES
        | Trait.LONG_DOUBLE
        | Trait.LONG_SINGLE
        | Trait.HEREDOC
        | Trait.DOTTED
        | Trait.PHP,
        {
            Act.FUNCTION: "function",
            Act.TYPE: "class interface trait",
            Act.ENUM: "enum",
            Act.MODULE: "namespace",
            Act.NAME: "const",
            Act.CONTROL: "if else for foreach while do switch case return new throw use echo",
        },
    ),
    Grammar(
        ("Lua", "Luau"),
        Trait.DASHES | Trait.SINGLE | Trait.FLAT | Trait.DOTTED | Trait.ASSIGNED,
        {
            Act.FUNCTION: "function",
            Act.CONTROL: "if then else elseif for while do end return local in and or not",
        },
    ),
    Grammar(
        ("Shell",),
        Trait.HASHES
        | Trait.LONG_DOUBLE
        | Trait.LONG_SINGLE
        | Trait.HEREDOC
        | Trait.FLAT
        | Trait.SHELL,
        {Act.FUNCTION: "function", Act.CONTROL: "if then else elif fi for while do done case esac"},
    ),
    Grammar(
        ("Zig",),
        Trait.SLASHES | Trait.SINGLE,
        {
            Act.FUNCTION: "fn",
            Act.NAME: "const",
            Act.CONTROL: "if else for while switch return",
        },
    ),
    Grammar(
        ("Julia",),
        Trait.HASHES | Trait.LONG_DOUBLE | Trait.TRIPLE_DOUBLE | Trait.FLAT | Trait.DOTTED,
        {
            Act.FUNCTION: "function macro",
            Act.TYPE: "struct",
            Act.MODULE: "module baremodule",
            Act.NAME: "const",
        },
    ),
)
