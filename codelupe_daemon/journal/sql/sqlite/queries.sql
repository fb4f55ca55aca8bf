-- What is not here is the served store's: its text serves both.

-- name: insert_journal
insert into journal (id, op, content_hash, content_chars, language, quality_score, signals, license,
                     fingerprint, repo_id, file_path, "commit", oid, stars, forks, repo_license,
                     pushed_at, examiner_version, created_at, content)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: put_verdict
insert or replace into verdicts (content_hash, language, quality_score, signals, fingerprint,
                                 examiner_version)
values (?, ?, ?, ?, ?, ?);

-- name: verdict_of
select language, quality_score, signals, fingerprint, examiner_version
from verdicts where content_hash = ? and language = ?;

-- name: drop_verdicts
delete from verdicts where content_hash = ?;

-- name: put_added
insert or replace into contents (content_hash, add_id, newest_id, repo_id, path)
select content_hash, id, id, repo_id, file_path from journal where id > ? and op = 'add';

-- name: put_content
insert or replace into contents (content_hash, add_id, newest_id, repo_id, path)
values (?, ?, ?, ?, ?);

-- name: put_occurrence
insert into occurrences (repo_id, path, oid, path_class, language, content_hash, reason,
                         measured, license, own_license, examiner_version)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (repo_id, path) do update set
    oid = excluded.oid, path_class = excluded.path_class, language = excluded.language,
    content_hash = excluded.content_hash, reason = excluded.reason,
    measured = excluded.measured, license = excluded.license,
    own_license = excluded.own_license, examiner_version = excluded.examiner_version;

-- name: live_contents
select c.content_hash, c.add_id, c.newest_id, c.repo_id, c.path, n.language, n.license, o.license
from contents c
join journal n on n.id = c.newest_id
left join occurrences o on o.repo_id = c.repo_id and o.path = c.path
where c.content_hash in (select value from carray(?));

-- name: newest_verdict
select content_chars, language, quality_score, signals, fingerprint, examiner_version
from journal where id = ?;

-- name: older_text
select content, content_chars, language, quality_score, signals, fingerprint, examiner_version
from journal where content_hash = ? and op = 'add' and content is not null
order by id desc limit 1;

-- name: recorded_hashes
select path, content_hash, license from occurrences
where repo_id = ? and path in (select value from carray(?)) and content_hash is not null;

-- name: displace
insert or ignore into displaced (repo_id, content_hash) values (?, ?);

-- name: displace_shared
insert or ignore into displaced (repo_id, content_hash)
select :repo_id, o.content_hash from occurrences o
where o.repo_id = :repo_id and o.content_hash is not null
  and exists (select 1 from occurrences other
              where other.content_hash = o.content_hash and other.repo_id <> :repo_id);

-- name: displaced_of
select content_hash from displaced where repo_id = ? order by content_hash limit ?;

-- name: undisplace
delete from displaced where repo_id = ? and content_hash = ?;

-- name: places_of
select o.repo_id, o.path, o.oid, o.language, o.license, r.head from occurrences o
join repositories r on r.id = o.repo_id where o.content_hash = ?;

-- name: standing_of
select full_name, license, stars, forks, pushed_at from repositories where id = ?;

-- name: upsert_repository
insert into repositories (full_name, location, is_local, license, stars, forks, pushed_at, state, due_at)
values (:full_name, :location, :is_local, :license, :stars, :forks, :pushed_at, 'due', :now)
on conflict (full_name) do update set
    location = excluded.location, is_local = excluded.is_local, due_at = excluded.due_at,
    state = case when state = 'visiting' then state else 'due' end
returning id;

-- name: restate_unvisited
update repositories set license = :license, stars = :stars, forks = :forks, pushed_at = :pushed_at
where id = :id and not exists (select 1 from occurrences where repo_id = :id);

-- name: lease_of
select full_name, attempts, lease_owner, lease_epoch, lease_until, head, examined_by, license
from repositories where id = ?;

-- name: visit_of
select lease_owner is null from repositories
where id = ? and lease_epoch = ? and (lease_owner is not null or state <> 'visiting');

-- name: take_lease
update repositories set state = 'visiting', attempts = attempts + 1, lease_owner = ?,
    lease_epoch = lease_epoch + 1, lease_until = ?, examined_by = null where id = ?;

-- name: renew_lease
update repositories set lease_until = ? where id = ? and lease_epoch = ?;

-- name: release_lease
update repositories set state = ?, reason = ?, attempts = 0, lease_owner = null, lease_until = null,
    due_at = ? where id = ?;

-- name: complete_visit
update repositories set state = 'done', reason = null, attempts = 0, lease_owner = null,
    lease_until = null, due_at = :due_at, visited_at = :now, examined_by = :version,
    file_count = (select count(*) from occurrences where repo_id = :id) where id = :id;

-- name: restate
update repositories set license = ?, stars = ?, forks = ?, pushed_at = ? where id = ?;

-- name: repositories
select id, full_name, location, is_local, state, reason, attempts, file_count,
       license, stars, forks, pushed_at, head, visited_at, due_at, changed_at,
       lease_owner, lease_until
from repositories
where not :due_only or state in ('due', 'incomplete', 'visiting') or due_at <= :now order by id;

-- name: due
select id, lease_owner, lease_until from repositories where due_at <= ? order by due_at, id;

-- name: known_paths
select path, oid, path_class, examiner_version, content_hash, reason, measured, language, license,
       own_license
from occurrences where repo_id = ? and path in (select value from carray(?));

-- name: known_oids
select oid, path_class, examiner_version, content_hash, reason, measured, language, license,
       own_license
from occurrences where oid in (select value from carray(?)) and examiner_version = ?
  and (reason is null or reason not in ('unreadable', 'changed while read', 'taken down',
                                        'license', 'submodule', 'symlink', 'too deep'));

-- name: retire
delete from occurrences where repo_id = ? and path in (select value from carray(?));

-- name: entries
select j.id, j.op, j.content_hash, j.content, j.content_chars, j.language, j.quality_score,
       j.signals, j.license, j.repo_id, r.full_name, j.file_path, j."commit", j.oid,
       j.repo_license, j.stars, j.forks, j.pushed_at, j.examiner_version, j.created_at,
       j.fingerprint
from journal j join repositories r on r.id = j.repo_id
where j.id > ? order by j.id limit ?;

-- name: live_by_id
select add_id, newest_id, content_hash, case when ?2 then content end, content_chars, language,
       quality_score, signals, license, repo_id, repo, file_path, "commit", oid,
       examiner_version, created_at, fingerprint
from live where add_id in (select value from carray(?1));

-- name: live_by_hashes
select add_id, newest_id, content_hash, case when ?2 then content end, content_chars, language,
       quality_score, signals, license, repo_id, repo, file_path, "commit", oid,
       examiner_version, created_at, fingerprint
from live where content_hash in (select value from carray(?1));

-- name: blanked
select distinct content_hash from journal
where content_hash in (select value from carray(?)) and op = 'add' and content is null;

-- name: hashes
select distinct content_hash from journal where id in (select value from carray(?));

-- name: takedowns
select repo, pattern, content_hash from takedowns where not is_open;

-- name: take_down
insert into takedowns (repo, pattern, content_hash, why, created_at) values (?, ?, ?, ?, ?)
on conflict (content_hash) do update set is_open = 0;

-- name: blank_replaced
insert or ignore into takedowns (content_hash, why, created_at, is_open)
values (?, 'replaced by its redacted form', ?, 1);

-- name: taken_places
select path, content_hash from occurrences where repo_id = ? and path > ? order by path limit ?;

-- name: ever_recorded
select distinct content_hash, file_path from journal where repo_id = ?;

-- name: leave_out
update occurrences set content_hash = null, reason = ?, measured = ?, language = ?,
    examiner_version = ? where repo_id = ? and path = ?;

-- name: taken_down_place
update occurrences set content_hash = null, reason = 'taken down', measured = null
where repo_id = ? and path = ?;

-- name: taken_down_content
update occurrences set content_hash = null, reason = 'taken down', measured = null
where content_hash = ?;

-- name: blank
update journal set content = null, signals = '{}', fingerprint = null
where content_hash = ? returning id, op;

-- name: drop_content
delete from contents where content_hash = ?;

-- name: path_classes
select path_class, min(path) from occurrences where content_hash = ? group by path_class;

-- name: places_with_class
select o.repo_id, o.path, o.path_class, o.oid, o.language, o.license, o.own_license, r.head
from occurrences o
join repositories r on r.id = o.repo_id where o.content_hash = ?;

-- name: keep_place
update occurrences set language = ?, content_hash = ?, license = ?, own_license = ?,
    examiner_version = ? where repo_id = ? and path = ?;

-- name: doubt_visits
update repositories set examined_by = null where examined_by <> ?;

-- name: make_due
update repositories set state = 'due', due_at = ? where id = ? and state <> 'visiting';

-- name: verify_places
select c.content_hash, c.repo_id, c.path, n.repo_id, n.file_path, a.op,
       exists (select 1 from displaced d where d.content_hash = c.content_hash)
from contents c
left join journal a on a.id = c.add_id and a.content_hash = c.content_hash
left join journal n on n.id = c.newest_id and n.content_hash = c.content_hash
where c.content_hash > ? order by c.content_hash limit ?;
