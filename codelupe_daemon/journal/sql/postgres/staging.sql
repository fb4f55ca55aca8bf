-- What a call brings with it, and what it decides: gone with the end of its transaction. Names
-- hold the number of their shape: a bouncer's connection outlives the program that made them.
set local client_min_messages = warning;  -- they mostly exist
create temporary table if not exists staged_occurrences (
    repo_id bigint, path text collate "C", oid bytea, path_class text, language text,
    content_hash bytea, reason text, measured double precision, license text,
    license_rank smallint, own_license text, examiner_version text, "commit" bytea,
    is_passing boolean
) on commit delete rows;
create temporary table if not exists staged_contents (
    content_hash bytea, language text, has_text boolean, content_chars integer,
    quality_score double precision, signals text, fingerprint bytea, examiner_version text,
    primary key (content_hash, language)
) on commit delete rows;
create temporary table if not exists staged_texts (
    content_hash bytea, content text compression lz4
) with (toast_tuple_target = 8160) on commit delete rows;
create temporary table if not exists staged_verdicts (
    content_hash bytea, path_class text, new_hash bytea, reason text, measured double precision,
    language text, license text, license_rank smallint, primary key (content_hash, path_class)
) on commit delete rows;
create temporary table if not exists candidates (
    content_hash bytea primary key, repo_id bigint, path text collate "C", "commit" bytea,
    oid bytea, license text, license_rank smallint, language text
) on commit delete rows;
create temporary table if not exists decisions (
    content_hash bytea primary key, op text, base_id bigint, repo_id bigint,
    path text collate "C", "commit" bytea, oid bytea, license text, language text,
    has_text boolean
) on commit delete rows;
create temporary table if not exists places (
    repo_id bigint, path text collate "C", content_hash bytea, path_class text, oid bytea,
    new_hash bytea, language text, license text, license_rank smallint, own_license text,
    reason text, measured double precision, is_judged boolean, head bytea,
    primary key (repo_id, path)
) on commit delete rows;
