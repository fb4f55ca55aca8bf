-- What is asked of a server alone.

-- name: limits
-- Whoever is stopped in the middle of a write is no hindrance for longer than this.
set local idle_in_transaction_session_timeout = '60s';
set local lock_timeout = '30s';

-- name: has_schema
-- Not `to_regclass`: whoever has waited for the lock might be told what held before.
select exists (
    select from pg_class
    where relname = 'training_schema' and relnamespace = current_schema()::regnamespace);

-- name: hold
select 1 from training_leases where profile = $1 and owner = $2 and epoch = $3 for update;

-- name: claim
insert into training_leases as l (profile, owner, epoch, until)
values ($1, $2, 1, training_now() + $3)
on conflict (profile) do update set owner = excluded.owner, epoch = l.epoch + 1,
    until = excluded.until
where l.owner is null or l.until <= training_now() or l.owner = any ($4::text[])
returning epoch;

-- name: alone
select 1 from training_leases where profile = $1 for update;

-- name: trained
select distinct e.content_hash
from training_examples e join training_sessions s on s.id = e.training_session_id
where e.side = 'train' and e.content_hash = any ($2::text[]) and s.profile = $1
  and s.status in ('completed', 'not_promoted');

-- name: sides
select key, side from training_sides where profile = $1 and key = any ($2::text[]);
