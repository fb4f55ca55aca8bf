"""Rust: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

ANALYSER = Analyser(
    languages=("Rust",),
    words={
        Word.DEFINITION: "fn struct enum trait impl macro_rules union",
        Word.BRANCH: "if else match",
        Word.LOOP: "for while loop",
        Word.JUMP: "return break continue",
        Word.ERROR: "Err Result Option unwrap_or ok_or map_err anyhow thiserror expect",
        Word.IMPORT: "use mod extern crate",
        Word.OTHER: "let mut pub self Self const static ref move async await dyn where as in type "
        "true false super usize u8 u32 u64 i32 i64 bool str",
        Word.DANGER: "unsafe transmute",
        Word.DANGER_CALL: "unwrap panic",
    },
)
