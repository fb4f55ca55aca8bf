-- What is not here is the served store's: its text serves both.

-- name: make_watermark
insert or ignore into watermarks (consumer) values (?);

-- name: holder
select lease_owner, lease_epoch, lease_until from watermarks where consumer = ?;

-- name: claim
update watermarks set lease_owner = ?, lease_epoch = ?, lease_until = ? where consumer = ?;

-- name: renew
update watermarks set lease_until = ? where consumer = ?;

-- name: release
update watermarks set lease_owner = null, lease_until = null where consumer = ?;

-- name: advance
update watermarks set id = max(id, ?) where consumer = ?;

-- name: bury
insert or replace into dead_letters (consumer, id, reason) values (?, ?, ?);

-- name: exhume
delete from dead_letters where consumer = ? and id = ?;

-- name: put_cluster
insert or replace into clusters (content_hash, cluster_id, winner, facts_id) values (?, ?, ?, ?);

-- name: drop_cluster
delete from clusters where content_hash = ?;

-- name: clusters_of
select content_hash, cluster_id, winner, facts_id from clusters
where content_hash in (select value from carray(?));

-- name: facts
select a.id, a.content_hash, n.id, n.repo_license, n.stars, n.forks, n.pushed_at, r.full_name,
       n.file_path, n.license, case when :text then a.content end
from journal a
join contents c on c.content_hash = a.content_hash and c.add_id = a.id
join journal n on n.id = c.newest_id
join repositories r on r.id = n.repo_id
where a.id in (select value from carray(:ids)) and a.op = 'add';

-- name: window
select j.id, j.op, j.content_hash, c.content_hash is not null, n.content_chars, n.language,
       n.quality_score, n.license, r.full_name, n.file_path, a.created_at,
       case when instr(n.signals, '"benchmark":') > 0 then n.signals end,
       k.cluster_id, k.winner, p.quality_score, p.language, p.license,
       case when instr(p.signals, '"benchmark":') > 0 then p.signals end
from journal j
left join contents c on c.content_hash = j.content_hash
join journal n on n.id = coalesce(c.newest_id, j.id)
join journal a on a.id = coalesce(c.add_id, j.id)
join repositories r on r.id = n.repo_id
left join clusters k on k.content_hash = j.content_hash
left join journal p on p.id = case when j.op = 'revise' then (
    select max(id) from journal where content_hash = j.content_hash and id < j.id
) end
where j.id > ? and j.id <= ? order by j.id limit ?;

-- name: members
select k.content_hash, c.content_hash, r.full_name
from clusters k
join clusters m on m.cluster_id = k.cluster_id
join contents c on c.content_hash = m.content_hash
join repositories r on r.id = c.repo_id
where k.content_hash in (select value from carray(?)) order by c.add_id;

-- name: added_before
select max(id) from journal where content_hash = ? and id < ? and op = 'add';

-- name: row_before
select n.repo_license, n.stars, n.forks, n.pushed_at, r.full_name, n.file_path, n.license,
       n.fingerprint
from journal n join repositories r on r.id = n.repo_id
where n.content_hash = ? and n.id < ? order by n.id desc limit 1;
