-- When a repository was changed last (not its lease): for whoever keeps a copy of the list.
alter table repositories add column changed_at real not null default 0;
update repositories set changed_at = coalesce(visited_at, 0);
create index repositories_changed on repositories (changed_at, id);
create index repositories_due on repositories (due_at) where due_at is not null;
update repositories set due_at = 0 where due_at is null and state in ('due', 'incomplete', 'visiting');

create trigger repositories_added after insert on repositories begin
    update repositories set changed_at = (julianday('now') - 2440587.5) * 86400 where id = new.id;
end;
create trigger repositories_changed after update of
    full_name, location, is_local, license, stars, forks, pushed_at, file_count, head, state, reason
on repositories begin
    update repositories set changed_at = (julianday('now') - 2440587.5) * 86400 where id = new.id;
end;
