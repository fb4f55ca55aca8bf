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
