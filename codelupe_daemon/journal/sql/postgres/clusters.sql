-- name: claim_consumer
insert into watermarks as w (consumer, lease_owner, lease_epoch, lease_until)
values ($1, $2, 1, codelupe_now() + $3)
on conflict (consumer) do update set lease_owner = excluded.lease_owner,
    lease_epoch = w.lease_epoch + 1, lease_until = excluded.lease_until
where w.lease_owner is null or w.lease_until <= codelupe_now() or w.lease_owner = any ($4::text[])
returning lease_epoch;

-- name: consumer_owners
select lease_owner from watermarks where consumer = $1 and lease_owner is not null;

-- name: hold
select true from watermarks where consumer = $1 and lease_owner = $2 and lease_epoch = $3
for update;

-- name: renew_consumer
update watermarks set lease_until = codelupe_now() + $2 where consumer = $1;

-- name: release_consumer
update watermarks set lease_owner = null, lease_until = null where consumer = $1;

-- name: watermark
select coalesce(max(id), 0) from watermarks where consumer = $1;

-- name: watermarks
select consumer, id from watermarks order by consumer;

-- name: advance
update watermarks set id = greatest(id, $2) where consumer = $1;

-- name: bury
insert into dead_letters (consumer, id, reason) select $1, * from unnest($2::bigint[], $3::text[])
on conflict (consumer, id) do update set reason = excluded.reason;

-- name: dead_letters
select id, reason from dead_letters where consumer = $1 order by id limit $2;

-- name: exhume
delete from dead_letters where consumer = $1 and id = any ($2::bigint[]);

-- name: exhume_all
delete from dead_letters where consumer = $1;

-- name: restart
update watermarks set id = 0 where consumer = $1;

-- name: drop_all_clusters
delete from clusters;

-- name: drop_clusters
delete from clusters where content_hash = any ($1::bytea[]);

-- name: put_clusters
insert into clusters (content_hash, cluster_id, winner, facts_id)
select * from unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[])
on conflict (content_hash) do update set cluster_id = excluded.cluster_id,
    winner = excluded.winner, facts_id = excluded.facts_id;

-- name: clusters_of
select content_hash, cluster_id, winner, facts_id from clusters
where content_hash = any ($1::bytea[]);

-- name: clustered
select a.id, n.fingerprint, k.content_hash is not null, w.add_id
from journal a
join contents c on c.content_hash = a.content_hash and c.add_id = a.id
join journal n on n.id = c.newest_id
left join clusters k on k.content_hash = a.content_hash
left join contents w on w.content_hash = k.winner
where a.op = 'add' and a.id > $1 and a.id <= $2 order by a.id limit $3;

-- name: facts
select a.id, a.content_hash, n.id, n.repo_license, n.stars, n.forks, n.pushed_at, r.full_name,
       n.file_path, n.license, case when $2 then a.content end
from journal a
join contents c on c.content_hash = a.content_hash and c.add_id = a.id
join journal n on n.id = c.newest_id
join repositories r on r.id = n.repo_id
where a.id = any ($1::bigint[]) and a.op = 'add';

-- name: by_index
set local enable_hashjoin = off;
set local enable_mergejoin = off;
set local enable_bitmapscan = off;
set local enable_seqscan = off;
set local jit = off;

-- name: window
select j.id, j.op, j.content_hash, c.content_hash is not null, n.content_chars, n.language,
       n.quality_score, n.license, r.full_name, n.file_path, a.created_at,
       case when strpos(n.signals, '"benchmark":') > 0 then n.signals end,
       k.cluster_id, k.winner, p.quality_score, p.language, p.license,
       case when strpos(p.signals, '"benchmark":') > 0 then p.signals end
from (select id, op, content_hash from journal where id > $1 and id <= $2 order by id limit $3) j
left join contents c on c.content_hash = j.content_hash
join journal n on n.id = coalesce(c.newest_id, j.id)
join journal a on a.id = coalesce(c.add_id, j.id)
join repositories r on r.id = n.repo_id
left join clusters k on k.content_hash = j.content_hash
left join journal p on p.id = case when j.op = 'revise' then (
    select (array_agg(b.id order by b.id desc))[1] from journal b
    where b.content_hash = j.content_hash and b.id < j.id
) end
order by j.id;

-- name: members
select k.content_hash, c.content_hash, r.full_name
from clusters k
join clusters m on m.cluster_id = k.cluster_id
join contents c on c.content_hash = m.content_hash
join repositories r on r.id = c.repo_id
where k.content_hash = any ($1::bytea[]) order by c.add_id;

-- name: before
select (select max(a.id) from journal a
        where a.content_hash = w.content_hash and a.id < w.id and a.op = 'add'),
       n.repo_license, n.stars, n.forks, n.pushed_at, r.full_name, n.file_path, n.license,
       n.fingerprint
from unnest($1::bytea[], $2::bigint[]) with ordinality as w (content_hash, id, at)
join lateral (
    select * from journal j where j.content_hash = w.content_hash and j.id < w.id
    order by j.id desc limit 1
) n on true
join repositories r on r.id = n.repo_id
order by w.at;
