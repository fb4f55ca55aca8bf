-- Rights for daemons, trainers and readers, and no more. To be run by the owner of the tables
-- (psql -f), in the schema where they are, once and again after each `codelupe migrate` or
-- `codelupe-trainer migrate` that changed something. Then:
-- create role NAME login password '...' in role codelupe_writer;

do $$
declare
    member text;
begin
    foreach member in array array['codelupe_writer', 'codelupe_reader', 'codelupe_trainer'] loop
        if not exists (select from pg_roles where rolname = member) then
            execute format('create role %I nologin', member);
        end if;
        execute format('grant connect on database %I to %I', current_database(), member);
        execute format('grant usage on schema %I to %I', current_schema(), member);
    end loop;
    -- What an append brings with it is staged in temporary tables.
    execute format('grant temporary on database %I to codelupe_writer', current_database());
end $$;

grant select on
    journal, contents, repositories, occurrences, verdicts, displaced, takedowns, exports,
    watermarks, dead_letters, clusters, live, processed_files, code_chunks, codelupe_schema,
    codelupe_shape
to codelupe_reader, codelupe_writer, codelupe_trainer;

-- Rows of the journal are never changed, but for the texts that a takedown blanks.
grant insert, update (content, signals, fingerprint) on journal to codelupe_writer;
grant insert, update on repositories, takedowns, exports, watermarks to codelupe_writer;
grant insert, update, delete on
    contents, occurrences, verdicts, dead_letters, clusters
to codelupe_writer;
grant insert, delete on displaced to codelupe_writer;
grant select, insert, delete on results to codelupe_writer;

-- The trainer's tables and views, where it has made them.
do $$
declare
    made regclass;
    is_table boolean;
begin
    for made, is_table in
        select oid, relkind = 'r' and relname <> 'training_schema' from pg_class
        where relnamespace = current_schema()::regnamespace and relname = any (array[
            'training_schema', 'training_leases', 'training_watermarks', 'training_sessions',
            'training_examples', 'training_sides', 'model_versions', 'training_progress',
            'evaluation_results', 't5_training_sessions', 't5_training_examples',
            't5_model_versions', 't5_training_progress', 't5_evaluation_results'])
    loop
        execute format('grant select on %s to codelupe_reader, codelupe_writer, codelupe_trainer', made);
        if is_table then
            execute format('grant insert, update on %s to codelupe_trainer', made);
        end if;
    end loop;
end $$;
