-- Near-duplicates, and the watermarks of consumers whose results live in this database.
create table watermarks (
    consumer    text primary key,
    id          integer not null default 0,
    lease_owner text,
    lease_epoch integer not null default 0,
    lease_until real
);

create table dead_letters (
    consumer text not null,
    id       integer not null,
    reason   text not null,
    primary key (consumer, id)
) without rowid;

-- Only contents that have a near-duplicate; a winner's winner is itself.
create table clusters (
    content_hash blob primary key,
    cluster_id   blob not null,
    winner       blob not null,
    facts_id     integer not null
) without rowid;
create index clusters_members on clusters (cluster_id);
