-- The journal of an embedded store. `content` stands last: what follows a long value in a row is
-- reached only by walking its overflow pages.
create table journal (
    id            integer primary key,
    op            text not null,
    content_hash  blob not null,
    content_chars integer not null,
    language      text,
    quality_score real,
    signals       text,
    license       text,
    repo_id       integer not null,
    file_path     text not null,
    "commit"      blob,
    oid           blob,
    stars         integer,
    forks         integer,
    repo_license  text,
    pushed_at     integer,
    examiner_version text,
    created_at    integer not null,
    content       blob
);
-- Texts of contents that died, for the day they return; and every row a takedown must blank.
create index journal_adds on journal (content_hash) where op = 'add';

create table contents (
    content_hash blob primary key,
    add_id       integer not null,
    newest_id    integer not null,
    repo_id      integer not null,
    path         text not null
) without rowid;

create table occurrences (
    repo_id      integer not null,
    path         text not null,
    oid          blob,
    path_class   text not null,
    language     text,
    content_hash blob,
    reason       text,
    measured     real,
    examiner_version text not null,
    unique (repo_id, path)
);  -- with rowids: without, each index below would repeat the path, and cost twice the time
create index occurrences_content on occurrences (content_hash) where content_hash is not null;
create index occurrences_oid on occurrences (oid) where oid is not null;

-- Contents that may have lost a place in a visit that has not completed yet.
create table displaced (
    repo_id      integer not null,
    content_hash blob not null,
    primary key (repo_id, content_hash)
) without rowid;

create table repositories (
    id          integer primary key,
    full_name   text not null unique,
    location    text not null,
    is_local    integer not null,
    license     text,
    stars       integer,
    forks       integer,
    pushed_at   integer,
    file_count  integer not null default 0,
    head        blob,
    examined_by text,  -- the version that judged all of `head`; null from a claim until a visit ends
    state       text not null,
    reason      text,
    attempts    integer not null default 0,
    lease_owner text,
    lease_epoch integer not null default 0,
    lease_until real,
    visited_at  integer,
    due_at      integer
);

create table takedowns (
    id           integer primary key,
    repo         text,
    pattern      text,
    content_hash blob unique,
    why          text not null,
    created_at   integer not null
);

create table exports (
    path       text primary key,
    format     text not null,
    watermark  integer not null,
    options    text not null,
    written_at integer not null
);

-- Every live content: text and beginning from its add row, place and verdict from its newest one.
create view live as
select a.id as add_id, n.id as newest_id, c.content_hash, a.content, a.content_chars, n.language,
       n.quality_score, n.signals, r.license, n.repo_id, r.full_name as repo, n.file_path,
       n."commit", n.oid, n.examiner_version, a.created_at
from contents c
join journal a on a.id = c.add_id and a.content_hash = c.content_hash and a.op = 'add'
join journal n on n.id = c.newest_id
join repositories r on r.id = c.repo_id;

-- The same under the names of the first CodeLupe's table.
create view processed_files as
select add_id                              as id,
       file_path,
       codelupe_text(content)              as content,
       language,
       quality_score,
       datetime(created_at, 'unixepoch')   as created_at,
       lower(hex(content_hash))            as content_hash,
       content_chars,
       repo,
       license,
       signals
from live;
