-- What is asked of the embedded store alone; lists come as JSON.

-- name: hold
select 1 from training_leases where profile = $1 and owner = $2 and epoch = $3;

-- name: claim
insert into training_leases as l (profile, owner, epoch, until)
values ($1, $2, 1, training_now() + $3)
on conflict (profile) do update set owner = excluded.owner, epoch = l.epoch + 1,
    until = excluded.until
where l.owner is null or l.until <= training_now() or l.owner in (select value from json_each($4))
returning epoch;

-- name: alone
select 1 from training_leases where profile = $1;

-- name: trained
select distinct e.content_hash
from training_examples e join training_sessions s on s.id = e.training_session_id
where e.side = 'train' and e.content_hash in (select value from json_each($2)) and s.profile = $1
  and s.status in ('completed', 'not_promoted');

-- name: sides
select key, side from training_sides
where profile = $1 and key in (select value from json_each($2));
