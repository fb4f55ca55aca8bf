-- What decides, all of it inside one call on the server: no client ever sits inside the lock.
--
-- The caller copies what it has into temporary tables (staging.sql) in a transaction of its own,
-- then sends `select codelupe_call(...); commit` as one message.

create function codelupe_now() returns double precision language sql volatile
return extract(epoch from clock_timestamp());

create function repositories_changed() returns trigger language plpgsql as $$
begin
    new.changed_at := codelupe_now();
    return new;
end $$;
create trigger repositories_added before insert on repositories
for each row execute function repositories_changed();
create trigger repositories_changed before update of
    full_name, location, is_local, license, stars, forks, pushed_at, file_count, head, state, reason
on repositories for each row execute function repositories_changed();

-- Whether a takedown's pattern names a path: the path itself, a folder above it, or a glob.
create function codelupe_names(pattern text, expression text, path text) returns boolean
language sql immutable
return pattern is null or path = pattern or starts_with(path, rtrim(pattern, '/') || '/')
    or path ~ expression;

create function codelupe_check_lease(arguments jsonb) returns void language plpgsql as $$
declare
    stale text;
begin
    select visit ->> 'full_name' into stale
    from jsonb_array_elements(arguments -> 'visits') visit
    left join repositories r on r.id = (visit ->> 'repo_id')::bigint
        and r.lease_epoch = (visit ->> 'epoch')::bigint and r.lease_owner is not null
    where r.id is null limit 1;
    if found then
        raise exception 'stale visit' using errcode = 'CL001', detail = stale;
    end if;
end $$;

-- Whether a visit has ended: ended again, because the answer was lost, it changes nothing. Only a
-- claim raises the epoch; in a copy of the store it neither lasts nor has it ended.
create function codelupe_is_over(arguments jsonb) returns boolean language plpgsql as $$
declare
    ended boolean;
begin
    select lease_owner is null into ended from repositories
    where id = (arguments #>> '{visits,0,repo_id}')::bigint
        and lease_epoch = (arguments #>> '{visits,0,epoch}')::bigint
        and (lease_owner is not null or state <> 'visiting')
    for update;
    if not found then
        raise exception 'stale visit'
        using errcode = 'CL001', detail = arguments #>> '{visits,0,full_name}';
    end if;
    return ended;
end $$;

-- Write what `decisions` says: rows of the journal in the order of the hashes, and `contents`.
-- A decision without an op changes nothing: it only tells the language its content stands under.
create function codelupe_write(now_s bigint) returns jsonb language plpgsql
set plan_cache_mode = force_custom_plan as $$
declare
    base bigint;
    missing bytea;
    ops jsonb;
begin
    -- A content that lived before: its blob was known, so its text was not read again.
    update decisions d set base_id = (
        select max(j.id) from journal j
        where j.content_hash = d.content_hash and j.op = 'add' and j.content is not null
    )
    where now_s > 0 and d.op = 'add' and not d.has_text;
    select content_hash into missing from decisions
    where op = 'add' and not has_text and base_id is null limit 1;
    if found then
        raise exception 'text missing' using errcode = 'CL002', detail = encode(missing, 'hex');
    end if;

    -- For the day the text's best place is one of the language it stood under until now.
    insert into verdicts
    select d.content_hash, m.language, m.quality_score, m.signals, m.fingerprint,
           m.examiner_version
    from decisions d join journal m on m.id = d.base_id
    where now_s > 0 and d.op in ('move', 'revise') and m.language is distinct from d.language
    on conflict (content_hash, language) do update set
        quality_score = excluded.quality_score, signals = excluded.signals,
        fingerprint = excluded.fingerprint, examiner_version = excluded.examiner_version;

    select coalesce(max(id), 0) into base from journal;
    insert into journal
    select base + row_number() over (order by d.content_hash), d.op, d.content_hash,
           case when d.op = 'remove' then 0 else coalesce(s.content_chars, m.content_chars) end,
           d.language,
           case when s.content_hash is not null then s.quality_score
                when v.content_hash is not null then v.quality_score
                else m.quality_score end,
           case when s.content_hash is not null then s.signals
                when v.content_hash is not null then v.signals else m.signals end,
           d.license,
           case when s.content_hash is not null then s.fingerprint
                when v.content_hash is not null then v.fingerprint else m.fingerprint end,
           d.repo_id, d.path, d."commit", d.oid, r.stars, r.forks, r.license, r.pushed_at,
           case when s.content_hash is not null then s.examiner_version
                when v.content_hash is not null then v.examiner_version
                else m.examiner_version end,
           now_s,
           case when d.op = 'add' then coalesce(t.content, m.content) end
    from decisions d
    join repositories r on r.id = d.repo_id
    left join staged_texts t on t.content_hash = d.content_hash and d.op = 'add'
    left join staged_contents s on s.content_hash = d.content_hash and s.language = d.language
        and d.op <> 'remove'
    left join journal m on m.id = d.base_id and d.op <> 'remove'
    left join verdicts v on v.content_hash = d.content_hash and v.language = d.language
        and m.language is distinct from d.language and d.op <> 'remove'
    where d.op is not null;

    insert into contents
    select content_hash, id, id, repo_id, file_path from journal where id > base and op = 'add'
    order by content_hash;
    update contents c set newest_id = j.id, repo_id = j.repo_id, path = j.file_path
    from journal j where j.id > base and j.op in ('move', 'revise')
        and c.content_hash = j.content_hash;
    delete from contents c using journal j
    where j.id > base and j.op = 'remove' and c.content_hash = j.content_hash;

    select coalesce(jsonb_object_agg(op, rows), '{}') into ops
    from (select op, count(*) as rows from journal where id > base group by op) counted;
    return ops;
end $$;

-- Candidates (content_hash, place, verdict in staged_contents) against what is live: add what is
-- new, move what has a better place now, revise what is judged anew.
create function codelupe_place_best(now_s bigint) returns void language plpgsql
set plan_cache_mode = force_custom_plan as $$
begin
    insert into decisions
    select b.content_hash, 'add', null, b.repo_id, b.path, b."commit", b.oid,
           coalesce(b.license, r.license), b.language, coalesce(s.has_text, false)
    from candidates b
    join repositories r on r.id = b.repo_id
    left join staged_contents s on s.content_hash = b.content_hash and s.language = b.language
    where now_s > 0 and not exists (
        select from contents c where c.content_hash = b.content_hash
    );
    if (select count(*) from decisions) = (select count(*) from candidates) then
        return;
    end if;
    insert into decisions
    select b.content_hash,
           case when is_here and (n.license is distinct from coalesce(b.license, r.license)
                                  or s.content_hash is not null
                                  and (n.language, n.quality_score, n.signals, n.fingerprint)
                                      is distinct from
                                      (b.language, s.quality_score, s.signals, s.fingerprint))
                     then 'revise'
                when not is_here and
                     (coalesce(b.license_rank, r.license_rank), -coalesce(r.stars, -1),
                      -coalesce(r.forks, -1), -coalesce(r.pushed_at, -1), r.full_name, b.path)
                     < (coalesce(o.license_rank, l.license_rank), -coalesce(l.stars, -1),
                        -coalesce(l.forks, -1), -coalesce(l.pushed_at, -1), l.full_name, c.path)
                     then 'move' end as op,
           c.newest_id, b.repo_id, b.path, b."commit", b.oid, coalesce(b.license, r.license),
           b.language, coalesce(s.has_text, false)
    from candidates b
    join repositories r on r.id = b.repo_id
    join contents c on c.content_hash = b.content_hash
    cross join lateral (values ((c.repo_id, c.path) = (b.repo_id, b.path))) here (is_here)
    join journal n on n.id = c.newest_id
    join repositories l on l.id = c.repo_id
    left join staged_contents s on s.content_hash = b.content_hash and s.language = b.language
    left join occurrences o on o.repo_id = c.repo_id and o.path = c.path
    where now_s > 0;
    -- What stays at a better place elsewhere stays in the language of that place.
    update decisions d set language = n.language
    from contents c join journal n on n.id = c.newest_id
    where d.op is null and c.content_hash = d.content_hash and now_s > 0
        and (c.repo_id, c.path) <> (d.repo_id, d.path);
end $$;

-- The best place of each content among what was staged.
create function codelupe_best_staged(now_s bigint) returns void language plpgsql
set plan_cache_mode = force_custom_plan as $$
begin
    insert into candidates
    select distinct on (s.content_hash) s.content_hash, s.repo_id, s.path, s."commit", s.oid,
           s.license, s.license_rank, s.language
    from staged_occurrences s join repositories r on r.id = s.repo_id
    where s.content_hash is not null and now_s > 0
    order by s.content_hash, coalesce(s.license_rank, r.license_rank), -coalesce(r.stars, -1),
             -coalesce(r.forks, -1), -coalesce(r.pushed_at, -1), r.full_name, s.path;
end $$;

create function codelupe_append(arguments jsonb, now_s bigint) returns jsonb language plpgsql
set plan_cache_mode = force_custom_plan as $$
declare
    ops jsonb;
begin
    perform codelupe_check_lease(arguments);
    if exists (select from takedowns where not is_open) then
        update staged_occurrences s set content_hash = null, reason = 'taken down', measured = null
        where exists (
            select from takedowns t where t.content_hash = s.content_hash and not t.is_open
        ) or exists (
            select from repositories r join takedowns t on t.repo = r.full_name
            where r.id = s.repo_id and codelupe_names(t.pattern, t.expression, s.path)
        );
    end if;
    if not (arguments ->> 'is_first')::boolean then
        -- A file that could not be read this time keeps what is recorded: it is not gone.
        delete from staged_occurrences s using occurrences o
        where s.is_passing and o.repo_id = s.repo_id and o.path = s.path
            and o.content_hash is not null and now_s > 0;
        -- Contents that a changed file leaves: only the end of the visit decides on them.
        insert into displaced
        select o.repo_id, o.content_hash
        from staged_occurrences s join occurrences o on o.repo_id = s.repo_id and o.path = s.path
        where o.content_hash is not null and now_s > 0
            and (o.content_hash, o.license) is distinct from (s.content_hash, s.license)
        on conflict do nothing;
    end if;
    perform codelupe_best_staged(now_s);
    perform codelupe_place_best(now_s);
    ops := codelupe_write(now_s);
    -- Verdicts in languages that are not those of the texts' best places.
    if exists (select from decisions where op is null)
        or (arguments ->> 'contents')::bigint > (select count(*) from decisions) then
        insert into verdicts
        select s.content_hash, s.language, s.quality_score, s.signals, s.fingerprint,
               s.examiner_version
        from staged_contents s join decisions d on d.content_hash = s.content_hash
        where s.language is distinct from d.language
        on conflict (content_hash, language) do update set
            quality_score = excluded.quality_score, signals = excluded.signals,
            fingerprint = excluded.fingerprint, examiner_version = excluded.examiner_version;
    end if;
    insert into occurrences
    select repo_id, path, oid, path_class, language, content_hash, reason, measured, license,
           license_rank, own_license, examiner_version
    from staged_occurrences order by repo_id, path
    on conflict (repo_id, path) do update set
        oid = excluded.oid, path_class = excluded.path_class, language = excluded.language,
        content_hash = excluded.content_hash, reason = excluded.reason,
        measured = excluded.measured, license = excluded.license,
        license_rank = excluded.license_rank, own_license = excluded.own_license,
        examiner_version = excluded.examiner_version;
    return jsonb_build_object('ops', ops);
end $$;

-- Look at every place of these contents: the best wins, and none at all is a removal.
create function codelupe_decide(hashes bytea[]) returns void language plpgsql
set plan_cache_mode = force_custom_plan as $$
begin
    insert into decisions
    select c.content_hash,
           case when b.content_hash is null then 'remove'
                when (c.repo_id, c.path) <> (b.repo_id, b.path) then 'move' end,
           c.newest_id, coalesce(b.repo_id, c.repo_id), coalesce(b.path, c.path), b.head, b.oid,
           coalesce(b.license, r.license), b.language, null
    from contents c
    left join (
        select distinct on (o.content_hash) o.content_hash, o.repo_id, o.path, o.oid, o.language,
               o.license, p.head
        from occurrences o join repositories p on p.id = o.repo_id
        where o.content_hash = any (hashes)
        order by o.content_hash, coalesce(o.license_rank, p.license_rank), -coalesce(p.stars, -1),
                 -coalesce(p.forks, -1), -coalesce(p.pushed_at, -1), p.full_name, o.path
    ) b on b.content_hash = c.content_hash
    join repositories r on r.id = coalesce(b.repo_id, c.repo_id)
    where c.content_hash = any (hashes);
end $$;
