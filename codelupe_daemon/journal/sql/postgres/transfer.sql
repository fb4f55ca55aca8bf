-- name: lock
select pg_advisory_xact_lock(19276114465);

-- name: leases
select lease_owner, lease_until from repositories where lease_owner is not null
union select lease_owner, lease_until from watermarks where lease_owner is not null;

-- name: is_copying
select to_regclass('codelupe_copying')::text;

-- name: make_marker
create table codelupe_copying (
    source text not null,
    state  text,
    owner  text,
    until  double precision
);

-- name: page_rows
select count(*)
from (select sum(content_chars) over (order by id) as chars_to_here, content_chars
      from (select id, content_chars from journal where id > $1 order by id limit $2) page) p
where chars_to_here <= $3 or chars_to_here = content_chars;

-- name: date_repositories
update repositories r set changed_at = c.changed_at
from unnest($1::bigint[], $2::double precision[]) as c (id, changed_at) where r.id = c.id;

-- name: finish
select setval(pg_get_serial_sequence('repositories', 'id'), max(id)) from repositories;
select setval(pg_get_serial_sequence('takedowns', 'id'), max(id)) from takedowns;
drop table codelupe_copying;
analyze journal, repositories, occurrences, contents, verdicts, clusters
