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

create function codelupe_retire(arguments jsonb, now_s bigint) returns jsonb language plpgsql as $$
declare
    visited bigint := (arguments #>> '{visits,0,repo_id}')::bigint;
    gone text[] := array(select jsonb_array_elements_text(arguments -> 'paths'));
begin
    perform codelupe_check_lease(arguments);
    insert into displaced
    select repo_id, content_hash from occurrences
    where repo_id = visited and path = any (gone) and content_hash is not null
    on conflict do nothing;
    delete from occurrences where repo_id = visited and path = any (gone);
    return '{}';
end $$;

-- The standing of the visit that ends now counts; contents shared with others are looked at.
create function codelupe_restate(arguments jsonb, now_s bigint) returns jsonb language plpgsql as $$
declare
    visited bigint := (arguments #>> '{visits,0,repo_id}')::bigint;
    new repositories := jsonb_populate_record(null::repositories, arguments -> 'standing');
begin
    perform codelupe_check_lease(arguments);
    update repositories set head = decode(arguments ->> 'commit', 'hex')
    where id = visited and head is distinct from decode(arguments ->> 'commit', 'hex');
    update repositories set license = new.license, license_rank = new.license_rank,
        stars = new.stars, forks = new.forks, pushed_at = new.pushed_at
    where id = visited and (license, stars, forks, pushed_at)
        is distinct from (new.license, new.stars, new.forks, new.pushed_at);
    if found then
        insert into displaced
        select distinct o.repo_id, o.content_hash from occurrences o
        where o.repo_id = visited and o.content_hash is not null and exists (
            select from occurrences other
            where other.content_hash = o.content_hash and other.repo_id <> visited
        )
        on conflict do nothing;
    end if;
    return '{}';
end $$;

-- Decide on a page of displaced contents; whether any may be left.
create function codelupe_settle(arguments jsonb, now_s bigint) returns jsonb language plpgsql as $$
declare
    visited bigint := (arguments #>> '{visits,0,repo_id}')::bigint;
    page bytea[];
    ops jsonb;
begin
    perform codelupe_check_lease(arguments);
    page := array(
        select content_hash from displaced where repo_id = visited
        order by content_hash limit (arguments ->> 'page')::integer
    );
    perform codelupe_decide(page);
    ops := codelupe_write(now_s);
    delete from displaced where repo_id = visited and content_hash = any (page);
    return jsonb_build_object(
        'ops', ops, 'more', cardinality(page) = (arguments ->> 'page')::integer
    );
end $$;

-- The visit is done and the repository free.
create function codelupe_complete(arguments jsonb, now_s bigint) returns jsonb
language plpgsql as $$
declare
    visited bigint := (arguments #>> '{visits,0,repo_id}')::bigint;
begin
    perform codelupe_check_lease(arguments);
    update repositories set state = 'done', reason = null, attempts = 0, lease_owner = null,
        lease_until = null, due_at = codelupe_now() + (arguments ->> 'due_in_s')::double precision,
        visited_at = now_s, examined_by = arguments ->> 'version',
        file_count = (select count(*) from occurrences where repo_id = visited)
    where id = visited;
    return '{}';
end $$;

-- Move what still stands elsewhere; take down for good and blank what stands nowhere.
create function codelupe_forget(hashes bytea[], now_s bigint) returns jsonb language plpgsql as $$
declare
    ops jsonb;
    gone bytea[];
    removed jsonb;
    blanked jsonb;
begin
    perform codelupe_decide(hashes);
    select coalesce(jsonb_agg(c.add_id order by c.content_hash), '[]') into removed
    from decisions d join contents c on c.content_hash = d.content_hash where d.op = 'remove';
    ops := codelupe_write(now_s);
    gone := array(
        select distinct h from unnest(hashes) h
        where not exists (select from contents c where c.content_hash = h)
    );
    insert into takedowns (content_hash, why, created_at)
    select h, 'stood nowhere else', now_s from unnest(gone) h order by h
    on conflict (content_hash) do update set is_open = false;
    delete from verdicts where content_hash = any (gone);
    with blank as (
        update journal set content = null, signals = '{}', fingerprint = null
        where content_hash = any (gone) returning id, op
    )
    select coalesce(jsonb_agg(id order by id), '[]') into blanked from blank where op = 'add';
    return jsonb_build_object('ops', ops, 'removed', removed, 'blanked', blanked);
end $$;

create function codelupe_forget_places(arguments jsonb, now_s bigint) returns jsonb
language plpgsql as $$
declare
    forgotten bigint;
    glob text := arguments ->> 'pattern';
    regular text := arguments ->> 'expression';
    hashes bytea[];
    places bigint;
begin
    insert into takedowns (repo, pattern, expression, why, created_at)
    values (arguments ->> 'repo', glob, regular, 'forget', now_s);
    select id into forgotten from repositories where full_name = arguments ->> 'repo';
    hashes := array(
        select content_hash from occurrences
        where repo_id = forgotten and content_hash is not null
            and codelupe_names(glob, regular, path)
        union
        select content_hash from journal
        where repo_id = forgotten and codelupe_names(glob, regular, file_path)
    );
    update occurrences set content_hash = null, reason = 'taken down', measured = null
    where repo_id = forgotten and codelupe_names(glob, regular, path);
    get diagnostics places = row_count;
    return codelupe_forget(hashes, now_s) || jsonb_build_object('places', places);
end $$;

create function codelupe_forget_content(arguments jsonb, now_s bigint) returns jsonb
language plpgsql as $$
declare
    forgotten bytea := decode(arguments ->> 'content_hash', 'hex');
    places bigint;
begin
    insert into takedowns (content_hash, why, created_at)
    values (forgotten, 'forget --content', now_s)
    on conflict (content_hash) do update set is_open = false;
    update occurrences set content_hash = null, reason = 'taken down', measured = null
    where content_hash = forgotten;
    get diagnostics places = row_count;
    return codelupe_forget(array[forgotten], now_s) || jsonb_build_object('places', places);
end $$;

-- Whose a repository is ----------------------------------------------------------------------

create function codelupe_register(arguments jsonb, now_s bigint) returns jsonb
language plpgsql as $$
declare
    new repositories := jsonb_populate_record(null::repositories, arguments);
    registered bigint;
begin
    insert into repositories as r (full_name, location, is_local, license, license_rank, stars,
                                   forks, pushed_at, state, due_at)
    values (new.full_name, new.location, new.is_local, new.license, new.license_rank, new.stars,
            new.forks, new.pushed_at, 'due', codelupe_now())
    on conflict (full_name) do update set
        location = excluded.location, is_local = excluded.is_local, due_at = excluded.due_at,
        state = case when r.state = 'visiting' then r.state else 'due' end
    returning id into registered;
    update repositories set license = new.license, license_rank = new.license_rank,
        stars = new.stars, forks = new.forks, pushed_at = new.pushed_at
    where id = registered and not exists (select from occurrences where repo_id = registered)
        and (license, stars, forks, pushed_at)
            is distinct from (new.license, new.stars, new.forks, new.pushed_at);
    return jsonb_build_object('id', registered);
end $$;

-- One repository, by id, or whichever has been due longest. `dead`: owners that the caller knows
-- to have ended; of all others the lease tells, by this clock. What another caller is just about
-- to take is passed over.
create function codelupe_claim(arguments jsonb, now_s bigint) returns jsonb
language plpgsql as $$
declare
    wanted bigint := (arguments ->> 'repo_id')::bigint;
    among bigint[] := array(
        select jsonb_array_elements_text(nullif(arguments -> 'ids', 'null'))::bigint
    );
    dead text[] := array(select jsonb_array_elements_text(arguments -> 'dead'));
    old repositories;
    new repositories;
begin
    if wanted is not null then
        select * into old from repositories
        where id = wanted and (lease_owner is null or lease_until <= codelupe_now()
                               or lease_owner = any (dead))
        for update skip locked;
    else
        select * into old from repositories
        where due_at <= codelupe_now() and (lease_owner is null or lease_until <= codelupe_now()
                                            or lease_owner = any (dead))
            and (jsonb_typeof(arguments -> 'ids') = 'null' or id = any (among))
        order by due_at, id limit 1 for update skip locked;
    end if;
    if old.id is null then
        return '{}';
    end if;
    update repositories set state = 'visiting', attempts = attempts + 1,
        lease_owner = arguments ->> 'owner', lease_epoch = lease_epoch + 1,
        lease_until = codelupe_now() + (arguments ->> 'lease_s')::double precision,
        examined_by = null
    where id = old.id returning * into new;
    return jsonb_build_object(
        'id', new.id, 'full_name', new.full_name, 'epoch', new.lease_epoch,
        'attempts', new.attempts, 'license', new.license, 'version', old.examined_by,
        'head', encode(new.head, 'hex'),
        'is_first', not exists (select from occurrences where repo_id = new.id)
    );
end $$;

create function codelupe_renew(arguments jsonb, now_s bigint) returns jsonb
language plpgsql as $$
begin
    perform codelupe_check_lease(arguments);
    update repositories
    set lease_until = codelupe_now() + (arguments ->> 'lease_s')::double precision
    where id = (arguments #>> '{visits,0,repo_id}')::bigint;
    return '{}';
end $$;

-- End a visit that did not complete.
create function codelupe_release(arguments jsonb, now_s bigint) returns jsonb
language plpgsql as $$
begin
    perform codelupe_check_lease(arguments);
    update repositories set state = arguments ->> 'state', reason = arguments ->> 'reason',
        attempts = 0, lease_owner = null, lease_until = null,
        due_at = codelupe_now() + (arguments ->> 'due_in_s')::double precision
    where id = (arguments #>> '{visits,0,repo_id}')::bigint;
    return '{}';
end $$;

-- New verdicts of recorded texts: `staged_verdicts` holds one for each text and class of paths,
-- `arguments.licenses` what is thought of every license that the caller has seen there.
create function codelupe_rejudge(arguments jsonb, now_s bigint) returns jsonb language plpgsql
set plan_cache_mode = force_custom_plan as $$
declare
    version text := arguments ->> 'version';
    licenses jsonb := arguments -> 'licenses';
    known bytea[];
    left_over bytea[];
    replaced bytea[];
    ops jsonb;
    more jsonb;
begin
    known := array(
        select c.content_hash from contents c
        join (select distinct content_hash from staged_verdicts) s using (content_hash)
    );
    insert into places
    select o.repo_id, o.path, o.content_hash, o.path_class, o.oid, s.new_hash,
           case when s.content_hash is null then o.language else s.language end,
           coalesce(s.license, o.license),
           case when s.new_hash is not null and s.license is not null then s.license_rank
                else o.license_rank end,
           case when s.new_hash is not null then s.license else o.own_license end,
           case when s.content_hash is null then null
                when s.new_hash is null then s.reason
                when exists (select from takedowns t
                             where t.content_hash = s.new_hash and not t.is_open) then 'taken down'
                when not (licenses ->> coalesce(s.license, o.license, ''))::boolean then 'license'
           end,
           case when s.new_hash is null then s.measured end, s.content_hash is not null, r.head
    from occurrences o join repositories r on r.id = o.repo_id
    left join staged_verdicts s on s.content_hash = o.content_hash and s.path_class = o.path_class
    where o.content_hash = any (known) and now_s > 0;
    if exists (select from places p where p.new_hash is not null
               and not licenses ? coalesce(p.license, '')) then
        raise exception 'a license came meanwhile' using errcode = 'CL003';
    end if;
    update occurrences o set content_hash = null, reason = p.reason, measured = p.measured,
        language = case when p.new_hash is null then p.language else o.language end,
        examiner_version = version
    from places p where p.reason is not null and o.repo_id = p.repo_id and o.path = p.path;
    update occurrences o set language = p.language, content_hash = p.new_hash,
        license = p.license, license_rank = p.license_rank, own_license = p.own_license,
        examiner_version = version
    from places p where p.is_judged and p.reason is null and o.repo_id = p.repo_id
        and o.path = p.path;
    delete from places where reason is not null;
    update places set new_hash = content_hash where not is_judged;

    insert into candidates
    select distinct on (p.new_hash) p.new_hash, p.repo_id, p.path, r.head, p.oid, p.license,
           p.license_rank, p.language
    from places p join repositories r on r.id = p.repo_id
    order by p.new_hash, coalesce(p.license_rank, r.license_rank), -coalesce(r.stars, -1),
             -coalesce(r.forks, -1), -coalesce(r.pushed_at, -1), r.full_name, p.path;
    left_over := array(
        select h from unnest(known) h where not exists (select from candidates b
                                                        where b.content_hash = h)
    );
    insert into decisions
    select c.content_hash, 'remove', c.newest_id, c.repo_id, c.path, null, null, r.license, null,
           null
    from contents c join repositories r on r.id = c.repo_id
    where c.content_hash = any (left_over);
    ops := codelupe_write(now_s);
    delete from decisions;

    -- What stays in the store of a text in which a secret was found now is its redacted form.
    replaced := array(
        select distinct s.content_hash from staged_verdicts s
        where s.content_hash = any (left_over) and s.new_hash <> s.content_hash
    );
    insert into takedowns (content_hash, why, created_at, is_open)
    select h, 'replaced by its redacted form', now_s, true from unnest(replaced) h
    on conflict (content_hash) do nothing;
    delete from verdicts where content_hash = any (replaced);
    update journal set content = null, signals = '{}', fingerprint = null
    where content_hash = any (replaced);

    perform codelupe_place_best(now_s);
    -- All places of a text that was live before were looked at: the best of them wins anyway.
    update decisions d set op = 'move', language = b.language
    from contents c, candidates b
    where d.op is null and c.content_hash = d.content_hash and b.content_hash = d.content_hash
        and (c.repo_id, c.path) <> (d.repo_id, d.path) and d.content_hash = any (known);
    more := codelupe_write(now_s);
    update repositories set examined_by = null where examined_by <> version;
    return jsonb_build_object('ops', ops || more);
end $$;

-- The one way in. What decides about contents takes the lock first, and tells those who wait
-- that the journal has grown.
create function codelupe_call(call_id bigint, name text, arguments jsonb) returns void
language plpgsql set lock_timeout = '60s' set work_mem = '64MB' as $$
declare
    now_s bigint;
    before bigint;
    after bigint;
    result jsonb;
begin
    now_s := floor(codelupe_now());
    result := case name
        when 'register' then codelupe_register(arguments, now_s)
        when 'claim' then codelupe_claim(arguments, now_s)
        when 'renew' then codelupe_renew(arguments, now_s)
        when 'release' then codelupe_release(arguments, now_s)
    end;
    if result is null then
        perform pg_advisory_xact_lock(19276114465);
        select coalesce(max(id), 0) into before from journal;
        result := case name
            when 'append' then codelupe_append(arguments, now_s)
            when 'retire' then codelupe_retire(arguments, now_s)
            when 'restate' then codelupe_restate(arguments, now_s)
            when 'settle' then codelupe_settle(arguments, now_s)
            when 'complete' then codelupe_complete(arguments, now_s)
            when 'forget_places' then codelupe_forget_places(arguments, now_s)
            when 'forget_content' then codelupe_forget_content(arguments, now_s)
            when 'rejudge' then codelupe_rejudge(arguments, now_s)
        end;
        select coalesce(max(id), 0) into after from journal;
        if after > before then
            perform pg_notify('codelupe_journal', after::text);
        end if;
    end if;
    insert into results values (call_id, result::text, now_s);
end $$;
