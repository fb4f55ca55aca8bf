-- name: server
select current_setting('server_version_num')::integer, current_setting('server_encoding');

-- name: make_schema
create table if not exists codelupe_schema (
    version    integer primary key,
    applied_at timestamptz not null default now()
);
create table if not exists codelupe_shape (name text primary key, type text not null);

-- name: tables
select relname from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'r';

-- name: shape
select c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod)
from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'v')
  and a.attnum > 0 and not a.attisdropped and not c.relname like 'codelupe%'
union all
select c.relname, c.relkind::text from pg_class c
where c.relnamespace = current_schema()::regnamespace and c.relkind = 'i'
union all
select p.oid::regprocedure::text, md5(p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), ''))
from pg_proc p
where p.pronamespace = current_schema()::regnamespace
  and (p.proname like 'codelupe%' or p.proname = 'repositories_changed')
union all
select tgname || ' on ' || tgrelid::regclass::text, tgenabled::text from pg_trigger
where not tgisinternal and tgrelid = to_regclass('repositories');

-- name: take_result
delete from results where call_id = $1 returning result;

-- name: drop_results
delete from results where created_at < extract(epoch from now()) - $1;

-- name: owners
select distinct lease_owner from repositories where lease_owner is not null;

-- name: repositories
select id, full_name, location, is_local, state, reason, attempts, file_count,
       license, stars, forks, pushed_at, head, visited_at, due_at, changed_at,
       lease_owner is not null and lease_until > codelupe_now()
           and not lease_owner = any ($2::text[])
from repositories
where not $1 or state in ('due', 'incomplete', 'visiting') or due_at <= codelupe_now() order by id;

-- name: repository
select id, full_name, location, is_local, state, reason, attempts, file_count,
       license, stars, forks, pushed_at, head, visited_at, due_at, changed_at
from repositories where id = $1;

-- name: repositories_since
select id, full_name, location, is_local, state, reason, attempts, file_count,
       license, stars, forks, pushed_at, head, visited_at, due_at, changed_at
from repositories where (changed_at, id) > ($1, $2) order by changed_at, id limit $3;

-- name: due
select id from repositories
where due_at <= codelupe_now() and (lease_owner is null or lease_until <= codelupe_now()
                                    or lease_owner = any ($2::text[]))
order by due_at, id limit $1;

-- name: known_paths
select path, oid, path_class, examiner_version, content_hash, reason, measured, language, license,
       own_license
from occurrences where repo_id = $1 and path = any ($2::text[]);

-- name: known_oids
select oid, path_class, examiner_version, content_hash, reason, measured, language, license,
       own_license
from occurrences where oid = any ($1::bytea[]) and examiner_version = $2
  and (reason is null or reason not in ('unreadable', 'changed while read', 'taken down',
                                        'license', 'submodule', 'symlink', 'too deep'));

-- name: reason_counts
select reason, count(*) from occurrences where repo_id = $1 group by reason;

-- name: paths
select path from occurrences where repo_id = $1 and path > $2 order by path limit $3;

-- name: last_id
select coalesce(max(id), 0) from journal;

-- name: entries
select j.id, j.op, j.content_hash, j.content, j.content_chars, j.language, j.quality_score,
       j.signals, j.license, j.repo_id, r.full_name, j.file_path, j."commit", j.oid,
       j.repo_license, j.stars, j.forks, j.pushed_at, j.examiner_version, j.created_at,
       j.fingerprint
from (
    select id, sum(content_chars) over (order by id) as chars_to_here, content_chars
    from (select id, content_chars from journal where id > $1 order by id limit $2) page
) p
join journal j on j.id = p.id
join repositories r on r.id = j.repo_id
where p.chars_to_here <= $3 or p.chars_to_here = p.content_chars order by j.id;

-- name: live
select add_id, newest_id, content_hash, case when $3 then content end, content_chars, language,
       quality_score, signals, license, repo_id, repo, file_path, "commit", oid,
       examiner_version, created_at, fingerprint
from live where add_id > $1 order by add_id limit $2;

-- name: live_by_id
select add_id, newest_id, content_hash, case when $2 then content end, content_chars, language,
       quality_score, signals, license, repo_id, repo, file_path, "commit", oid,
       examiner_version, created_at, fingerprint
from live where add_id = any ($1::bigint[]);

-- name: live_by_hashes
select add_id, newest_id, content_hash, case when $2 then content end, content_chars, language,
       quality_score, signals, license, repo_id, repo, file_path, "commit", oid,
       examiner_version, created_at, fingerprint
from live where content_hash = any ($1::bytea[]);

-- name: blanked
select distinct content_hash from journal
where content_hash = any ($1::bytea[]) and op = 'add' and content is null;

-- name: live_by_hash
select add_id, newest_id, content_hash, content, content_chars, language,
       quality_score, signals, license, repo_id, repo, file_path, "commit", oid,
       examiner_version, created_at, fingerprint
from live where content_hash between $1 and $2 order by content_hash limit 10;

-- name: hashes
select distinct content_hash from journal where id = any ($1::bigint[]);

-- name: find
select o.repo_id, r.full_name, o.path, o.oid, o.path_class, o.language, o.content_hash, o.reason,
       o.measured, o.license, o.own_license, o.examiner_version
from occurrences o join repositories r on r.id = o.repo_id
where r.full_name = $1 and o.path = $2;

-- name: occurrences
select o.repo_id, r.full_name, o.path, o.oid, o.path_class, o.language, o.content_hash, o.reason,
       o.measured, o.license, o.own_license, o.examiner_version
from occurrences o join repositories r on r.id = o.repo_id
where o.content_hash = $1 order by r.full_name, o.path limit $2;

-- name: count_states
select state, count(*) from repositories group by state;

-- name: count_reasons
select reason, count(*) from occurrences group by reason;

-- name: count_contents
select count(*) from contents;

-- name: judged_by_others
select distinct content_hash from occurrences
where content_hash > $1 and examiner_version <> $2 order by content_hash limit $3;

-- name: path_classes
select content_hash, path_class, min(path) from occurrences where content_hash = any ($1::bytea[])
group by content_hash, path_class;

-- name: licenses_of
select distinct license from occurrences where content_hash = any ($1::bytea[]);

-- name: left_out_by_others
select repo_id, count(*) from occurrences
where content_hash is null and examiner_version <> $1
  and reason not in ('submodule', 'symlink', 'taken down')
group by repo_id;

-- name: make_due
update repositories set state = 'due', due_at = codelupe_now()
where id = any ($1::bigint[]) and state <> 'visiting';

-- name: put_export
insert into exports (path, format, watermark, options, written_at) values ($1, $2, $3, $4, $5)
on conflict (path) do update set format = excluded.format, watermark = excluded.watermark,
    options = excluded.options, written_at = excluded.written_at;

-- name: exports
select path, format, watermark, options, written_at from exports order by path;

-- name: verify_rows
select j.id, j.op, j.content_hash, j.content, t.content_hash is not null
from journal j left join takedowns t on t.content_hash = j.content_hash
where j.id > $1 order by j.id limit $2;

-- name: verify_contents
select content_hash from contents;

-- name: verify_occurrences
select count(*) from occurrences;

-- name: verify_unresolved
select r.full_name, o.path from occurrences o
join repositories r on r.id = o.repo_id
left join contents c on c.content_hash = o.content_hash
where o.content_hash is not null and c.content_hash is null limit 100;

-- name: verify_undecided
select r.full_name, o.path from occurrences o join repositories r on r.id = o.repo_id
where (o.content_hash is null) = (o.reason is null) limit 100;

-- name: verify_places
select c.content_hash, c.repo_id, c.path, n.repo_id, n.file_path, a.op,
       exists (select from displaced d where d.content_hash = c.content_hash),
       b.repo_id, b.path
from (select * from contents where content_hash > $1 order by content_hash limit $2) c
left join journal a on a.id = c.add_id and a.content_hash = c.content_hash
left join journal n on n.id = c.newest_id and n.content_hash = c.content_hash
left join lateral (
    select o.repo_id, o.path from occurrences o join repositories p on p.id = o.repo_id
    where o.content_hash = c.content_hash
    order by coalesce(o.license_rank, p.license_rank), -coalesce(p.stars, -1),
             -coalesce(p.forks, -1), -coalesce(p.pushed_at, -1), p.full_name, o.path limit 1
) b on true
order by c.content_hash;
