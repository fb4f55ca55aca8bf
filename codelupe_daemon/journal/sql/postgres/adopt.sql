-- The first CodeLupe's tables become a journal: `old_files` and `old_repositories` are views of them
-- under the names that are used here (codelupe_daemon/journal/adopt.py).

-- name: columns
select a.attname, format_type(a.atttypid, null), t.typcategory::text
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
where c.relnamespace = current_schema()::regnamespace and c.relname = $1 and c.relkind = 'r'
  and a.attnum > 0 and not a.attisdropped;

-- name: dependents
select distinct v.oid::regclass::text
from pg_depend d join pg_rewrite w on w.oid = d.objid join pg_class v on v.oid = w.ev_class
where d.classid = 'pg_rewrite'::regclass and d.refobjid = any ($1::text[]::regclass[])
union
select conrelid::regclass::text from pg_constraint
where contype = 'f' and confrelid = any ($1::text[]::regclass[])
  and not conrelid = any ($1::text[]::regclass[])
order by 1;

-- name: ids
select count(*), count(*) - count(id), count(id) - count(distinct id), coalesce(min(id), 1),
       coalesce(max(id), 0), min(quality), max(quality)
from old_files;

-- name: newest_id
select coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, 'id')::regclass), 0);

-- name: make_tables
create temporary table adopted_repositories (
    old_id bigint primary key, id bigint, full_name text collate "C", location text,
    is_local boolean, license text, license_rank smallint, stars bigint, forks bigint,
    pushed_at bigint, is_due boolean
) on commit drop;
create temporary table adopted_names (name text collate "C", repo_id bigint) on commit drop;
-- Not later: one that is made over updated rows is of no use to the transaction that made it.
create index on adopted_names (name);
create temporary table adopted_files (
    id bigint primary key, content_hash bytea, content_chars integer, language text,
    repo_id bigint, path text collate "C", path_class text
) on commit drop;

-- name: read_repositories
declare codelupe_repositories no scroll cursor for
select id, document from old_repositories order by id;

-- name: read_names
declare codelupe_names no scroll cursor for
select distinct repo from old_files
where repo <> '' and repo not in (select name from adopted_names);

-- name: one_for_each_name
update adopted_repositories r set id = f.id
from (select full_name, min(old_id) as id from adopted_repositories group by full_name) f
where f.full_name = r.full_name;
update adopted_names n set repo_id = r.id from adopted_repositories r where r.old_id = n.repo_id;
delete from adopted_names n using adopted_names f
where f.name = n.name and (f.repo_id, f.ctid) < (n.repo_id, n.ctid);
analyze adopted_names, adopted_repositories;

-- name: read_files
declare codelupe_files no scroll cursor for
select f.id, f.content, f.language, f.path,
       coalesce(r.id, n.repo_id, k.repo_id) as repo_id, k.repo_id as folder_repo_id,
       k.name as folder
from old_files f
left join adopted_repositories r on r.old_id = f.repo_id
left join adopted_names n on n.name = f.repo
left join lateral (
    select name, repo_id from adopted_names
    where name = any (array(
        select array_to_string(parts[:depth], '/')
        from (select string_to_array(f.path, '/') as parts) cut,
             generate_series(1, least(cardinality(parts) - 1, 12)) as depth
    ))
    order by length(name) desc limit 1
) k on true
order by f.id;

-- name: renamings
select format('alter %s %I rename to %I',
              case relkind when 'S' then 'sequence' when 'i' then 'index' else 'table' end,
              relname, left(relname, 47) || '_before_codelupe')
from pg_class c
where oid = any ($1::text[]::regclass[])
   or oid in (select indexrelid from pg_index where indrelid = any ($1::text[]::regclass[]))
   or relkind = 'S' and oid in (
       select objid from pg_depend
       where classid = 'pg_class'::regclass and refobjid = any ($1::text[]::regclass[])
   );

-- name: grants
select format('grant select on %I to %s', c.relname,
              case a.grantee when 0 then 'public' else a.grantee::regrole::text end)
from pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
where c.oid = any ($1::text[]::regclass[]) and a.privilege_type = 'SELECT'
    and a.grantee <> current_user::regrole;

-- name: drop_doubles
delete from adopted_files n using adopted_files f
where f.repo_id = n.repo_id and f.path = n.path and f.content_hash = n.content_hash
    and f.id < n.id;

-- name: rename_places
update adopted_files f set path = regexp_replace(f.path, '(\.[^./]*)?$', '~' || f.id || '\1')
from (
    select id, row_number() over (partition by repo_id, path order by id) as number
    from adopted_files
) n
where n.id = f.id and n.number > 1;

-- name: fill_repositories
insert into repositories (id, full_name, location, is_local, license, license_rank, stars, forks,
                          pushed_at, state, due_at)
select id, full_name, location, is_local, license, license_rank, stars, forks, pushed_at,
       case when is_due then 'due' else 'done' end, case when is_due then codelupe_now() end
from adopted_repositories where old_id = id order by id;

-- name: fill_places
insert into occurrences (repo_id, path, path_class, language, content_hash, examiner_version)
select repo_id, path, path_class, language, content_hash, $1 from adopted_files
order by repo_id, path;

-- name: fill_contents
insert into contents
select content_hash, first_id, first_id, repo_id, path
from (
    select distinct on (a.content_hash) a.content_hash, a.repo_id, a.path,
           min(a.id) over (partition by a.content_hash) as first_id
    from adopted_files a join repositories r on r.id = a.repo_id
    order by a.content_hash, r.license_rank, -coalesce(r.stars, -1), -coalesce(r.forks, -1),
             -coalesce(r.pushed_at, -1), r.full_name, a.path
) best;

-- name: make_verdicts
create temporary table adopted_verdicts on commit drop as
select distinct on (a.content_hash, a.language) a.content_hash, a.language, f.quality
from adopted_files a join old_files f on f.id = a.id
order by a.content_hash, a.language, a.id;
analyze adopted_verdicts, contents, repositories;

-- name: fill_journal
insert into journal (id, op, content_hash, content_chars, language, quality_score, signals, license,
                     repo_id, file_path, stars, forks, repo_license, pushed_at, examiner_version,
                     created_at, content)
select a.id, 'add', a.content_hash, a.content_chars, b.language,
       coalesce(case when $2 then round((v.quality * 100)::numeric, 6)::double precision
                     else v.quality end, 0),
       '{}', r.license, c.repo_id, c.path, r.stars, r.forks, r.license, r.pushed_at, $1,
       coalesce(f.created_at, floor(codelupe_now())), f.content
from contents c
join adopted_files a on a.id = c.add_id
join old_files f on f.id = c.add_id
join adopted_files b on b.repo_id = c.repo_id and b.path = c.path
join adopted_verdicts v on v.content_hash = c.content_hash and v.language = b.language
join repositories r on r.id = c.repo_id
order by a.id;

-- name: fill_verdicts
insert into verdicts
select v.content_hash, v.language,
       coalesce(case when $2 then round((v.quality * 100)::numeric, 6)::double precision
                     else v.quality end, 0),
       '{}', null, $1
from adopted_verdicts v join contents c on c.content_hash = v.content_hash
join journal j on j.id = c.newest_id
where v.language <> j.language;

-- name: fill_newest
-- Ids go on behind the highest that the old table ever gave, though its last rows hold no text.
with last as (
    insert into journal (id, op, content_hash, content_chars, language, quality_score, signals,
                         license, repo_id, file_path, stars, forks, repo_license, pushed_at,
                         examiner_version, created_at)
    select $1, 'revise', content_hash, content_chars, language, quality_score, signals, license,
           repo_id, file_path, stars, forks, repo_license, pushed_at, examiner_version, created_at
    from journal where id = (select max(id) from journal) and id < $1
    returning id, content_hash
)
update contents c set newest_id = last.id from last where c.content_hash = last.content_hash;

-- name: counted
select (select count(*) from repositories), (select count(*) from contents),
       (select count(*) from old_files f join contents c on c.add_id = f.id
        where f.created_at is null),
       (select count(*) from old_files f join contents c on c.add_id = f.id
        where f.quality is null),
       (select coalesce(max(id), 0) from journal);

-- name: end_adoption
select setval(pg_get_serial_sequence('repositories', 'id'), max(id)) from repositories;
drop view old_files, old_repositories;
analyze journal, contents, occurrences, verdicts, repositories;

-- name: kept_tables
select relname from pg_class
where relnamespace = current_schema()::regnamespace and relkind = 'r'
  and relname in ('processed_files_before_codelupe', 'repositories_before_codelupe')
order by relname;
