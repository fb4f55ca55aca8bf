-- The embedded search index: a file of its own, made anew from the journal by `codelupe replay`.

-- Which terms a live content holds; rowid is the id of its add row. The terms come separated and
-- in lower case (syntax/terms.py), so the tokenizer has nothing to decide: `ascii` leaves every
-- byte from 0x80 on as it is.
create virtual table terms using fts5 (
    words, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '_'"
);

-- What a `remove`, which names a content by its hash, must delete.
create table documents (
    content_hash blob primary key,
    add_id       integer not null
) without rowid;

create table watermarks (
    consumer text primary key,
    id       integer not null default 0
) without rowid;

create table leases (
    consumer text primary key,
    owner    text,
    epoch    integer not null default 0,
    until    real not null default 0
) without rowid;

create table dead_letters (
    consumer text not null,
    id       integer not null,
    reason   text not null,
    primary key (consumer, id)
) without rowid;
