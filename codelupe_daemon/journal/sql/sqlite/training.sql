-- name: training_watermarks
select profile, id from training_watermarks where source = 'journal' order by profile;

-- name: versions_that_saw
with recursive saw (id, profile, version) as (
    select id, profile, version from model_versions
    where training_session_id in (
        select training_session_id from training_examples
        where side = 'train' and content_hash in (select value from json_each(?)))
    union
    select v.id, v.profile, v.version
    from model_versions v join saw s on v.profile = s.profile and v.parent = s.version
)
select v.id, v.profile, v.version, v.path, v.is_active
from model_versions v join saw using (id) order by v.profile, v.inserted_at desc, v.id;
