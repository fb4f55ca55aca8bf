-- A place's licence: that of the file's own header, else of the folder it stands in.
alter table occurrences add column license text;
alter table occurrences add column own_license text;

-- Texts that stand under names of several languages: the verdict of each that is not the newest.
create table verdicts (
    content_hash  blob not null,
    language      text not null,
    quality_score real not null,
    signals       text not null,
    fingerprint   blob,
    examiner_version text not null,
    primary key (content_hash, language)
) without rowid;

-- A text that a new verdict replaced by its redacted form is blanked; it bars nothing (`is_open`).
alter table takedowns add column is_open integer not null default 0;

-- The journal with `fingerprint` before `content`, which stands last.
drop view processed_files;
drop view live;
create table journal_new (
    id            integer primary key,
    op            text not null,
    content_hash  blob not null,
    content_chars integer not null,
    language      text,
    quality_score real,
    signals       text,
    license       text,
    fingerprint   blob,
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
insert into journal_new
select id, op, content_hash, content_chars, language, quality_score, signals, license, null,
       repo_id, file_path, "commit", oid, stars, forks, repo_license, pushed_at,
       examiner_version, created_at, content
from journal;
drop table journal;
alter table journal_new rename to journal;
-- Texts of contents that died, for the day they return; and every row a takedown must blank.
create index journal_hashes on journal (content_hash);

-- Every live content: text and beginning from its add row, place and verdict from its newest one.
create view live as
select a.id as add_id, n.id as newest_id, c.content_hash, a.content, a.content_chars, n.language,
       n.quality_score, n.signals, coalesce(o.license, r.license) as license, n.fingerprint,
       n.repo_id, r.full_name as repo, n.file_path, n."commit", n.oid, n.examiner_version,
       a.created_at
from contents c
join journal a on a.id = c.add_id and a.content_hash = c.content_hash and a.op = 'add'
join journal n on n.id = c.newest_id
join repositories r on r.id = c.repo_id
left join occurrences o on o.repo_id = c.repo_id and o.path = c.path;

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
