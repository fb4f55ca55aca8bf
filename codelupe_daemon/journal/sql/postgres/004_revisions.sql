-- Takedowns, and new verdicts of what is recorded: one call each.

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
