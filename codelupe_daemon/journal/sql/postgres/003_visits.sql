-- Whose a repository is, and how a visit ends: one call each.

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
    if codelupe_is_over(arguments) then
        return '{}';
    end if;
    update repositories set state = arguments ->> 'state', reason = arguments ->> 'reason',
        attempts = 0, lease_owner = null, lease_until = null,
        due_at = codelupe_now() + (arguments ->> 'due_in_s')::double precision
    where id = (arguments #>> '{visits,0,repo_id}')::bigint;
    return '{}';
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
    if codelupe_is_over(arguments) then
        return '{}';
    end if;
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
    if codelupe_is_over(arguments) then
        return '{"ops": {}, "more": false}';
    end if;
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
    if codelupe_is_over(arguments) then
        return '{}';
    end if;
    update repositories set state = 'done', reason = null, attempts = 0, lease_owner = null,
        lease_until = null, due_at = codelupe_now() + (arguments ->> 'due_in_s')::double precision,
        visited_at = now_s, examined_by = arguments ->> 'version',
        file_count = (select count(*) from occurrences where repo_id = visited)
    where id = visited;
    return '{}';
end $$;
