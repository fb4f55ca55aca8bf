-- What every store is asked in the same words.

-- name: owners
select owner from training_leases where profile = $1 and owner is not null;

-- name: renew
update training_leases set until = training_now() + $2 where profile = $1;

-- name: release
update training_leases set owner = null, until = null where profile = $1;

-- name: watermark
select id from training_watermarks where profile = $1 and source = $2;

-- name: last_taken
select journal_id, content_hash from training_examples
where training_session_id = (
    select id from training_sessions
    where profile = $1 and source = $2 and samples > 0
      and ended_at is not null and status <> 'withdrawn'
    order by to_id desc limit 1
) and side = 'train' and origin = 'new' order by journal_id desc limit 1;

-- name: make_watermark
insert into training_watermarks (profile, source, id) values ($1, $2, 0)
on conflict (profile, source) do nothing;

-- name: advance
update training_watermarks set id = $3 where profile = $1 and source = $2 and id < $3;

-- name: add_session
insert into training_sessions (id, name, profile, source, status, from_id, to_id, samples, manifest,
                               digest, started_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, training_now());

-- name: add_example
insert into training_examples (training_session_id, ordinal, journal_id, content_hash, repo,
                               file_path, language, license, quality_score, content_chars,
                               created_at, side, origin)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: add_side
insert into training_sides (profile, key, side, training_session_id) values ($1, $2, $3, $4);

-- name: session
select id, name, profile, source, status, from_id, to_id, samples, reason, detail, started_at,
       ended_at
from training_sessions where id = $1;

-- name: open_session
select id, name, profile, source, status, from_id, to_id, samples, reason, detail, started_at,
       ended_at
from training_sessions where profile = $1 and ended_at is null;

-- name: sessions
select id, name, profile, source, status, from_id, to_id, samples, reason, detail, started_at,
       ended_at
from training_sessions where cast($1 as text) is null or profile = $1
order by started_at desc, id limit $2;

-- name: manifest
select manifest, digest from training_sessions where id = $1;

-- name: examples
select journal_id, content_hash, repo, file_path, language, license, quality_score, content_chars,
       created_at, side, origin
from training_examples where training_session_id = $1 order by ordinal;

-- name: mark
update training_sessions set status = $2, detail = $3 where id = $1;

-- name: end_session
update training_sessions set status = $2, reason = $3, ended_at = training_now() where id = $1;

-- name: totals
select count(*), coalesce(sum(samples), 0), max(ended_at)
from training_sessions where profile = $1 and status in ('completed', 'not_promoted');

-- name: ended
select id from training_sessions where profile = $1 and ended_at is not null
order by started_at desc, id;

-- name: ended_trained
select id from training_sessions where profile = $1 and status in ('completed', 'not_promoted')
order by started_at desc, id;

-- name: seen
select journal_id, content_hash, repo, file_path, language, license, quality_score, content_chars,
       created_at, side, origin
from training_examples where training_session_id = $1 and side = $2 and origin = 'new'
order by journal_id desc limit $3;

-- name: repository_sides
select key, side from training_sides where profile = $1 and key >= 'repo:' and key < 'repo;';

-- name: add_version
insert into model_versions (id, training_session_id, profile, version, path, base_model, parent,
                            digest, is_active, created_at, performance_metrics, evaluation_results)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: versions
select id, training_session_id, profile, version, path, base_model, parent, digest, is_active,
       created_at, performance_metrics, evaluation_results
from model_versions where cast($1 as text) is null or profile = $1
order by inserted_at desc, id desc;

-- name: version_named
select id from model_versions where profile = $1 and version = $2;

-- name: deactivate
update model_versions set is_active = false where profile = $1 and is_active;

-- name: activate
update model_versions set is_active = true where profile = $1 and version = $2 returning id;

-- name: add_progress
insert into training_progress (id, training_session_id, step, steps, epoch, loss, eval_loss,
                               learning_rate, grad_norm, tokens, tokens_per_s,
                               training_time_seconds, packing_fill, speed_of_light)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (id) do update set steps = excluded.steps, epoch = excluded.epoch,
    loss = excluded.loss, eval_loss = excluded.eval_loss, learning_rate = excluded.learning_rate,
    grad_norm = excluded.grad_norm, tokens = excluded.tokens,
    tokens_per_s = excluded.tokens_per_s,
    training_time_seconds = excluded.training_time_seconds,
    packing_fill = excluded.packing_fill, speed_of_light = excluded.speed_of_light,
    inserted_at = excluded.inserted_at;

-- name: add_result
insert into evaluation_results (id, training_session_id, version, name, value)
values ($1, $2, $3, $4, $5)
on conflict (id) do update set version = excluded.version, value = excluded.value,
    inserted_at = excluded.inserted_at;
