"""Rust: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

ANALYSER = Analyser(
    languages=("Rust",),
    lexis=Lexis.DOUBLE | Lexis.DOUBLE_LINES | Lexis.CHARACTER | Lexis.RAW_HASH,
    ignores=("let _ = ",),
    words={
        Word.DEFINITION: "fn struct enum trait impl macro_rules union",
        Word.BRANCH: "if else match",
        Word.LOOP: "for while loop",
        Word.JUMP: "return break continue",
        Word.ERROR: "Result anyhow thiserror",
        Word.IMPORT: "use mod extern crate",
        Word.OTHER: "let mut pub self Self const static ref move async await dyn where as in type "
        "true false super usize u8 u32 u64 i32 i64 bool str",
        Word.HANDLER: "Err",
        Word.IDIOM: "Ok Some None Option unwrap_or unwrap_or_else ok_or ok_or_else map_err "
        "and_then iter into_iter collect filter_map map derive Default From Into AsRef "
        "Iterator Cow Arc Vec Debug Clone cfg test inline must_use",
        Word.SMELL: "static_mut c_int c_uint c_char c_void c_long c_ulong wrapping_add "
        "wrapping_sub offset goto",
        Word.SMELL_CALL: "unwrap expect panic",
        Word.DANGER: "unsafe transmute",
    },
)
