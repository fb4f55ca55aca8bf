-- What the trainer remembers, in a file beside an embedded store. Ids, hashes and figures, no text.

-- Who trains a profile. Every write of a round is made under this row.
create table training_leases (
    profile text primary key,
    owner   text,
    epoch   integer not null,
    until   real
);

create table training_watermarks (
    profile text not null,
    source  text not null,
    id      integer not null,
    primary key (profile, source)
) without rowid;

create table training_sessions (
    id          text primary key,
    name        text not null,
    profile     text not null,
    source      text not null,
    status      text not null,
    from_id     integer not null,
    to_id       integer not null,
    samples     integer not null,
    reason      text,
    detail      text not null default '{}',
    manifest    text not null,  -- but for its rows, which are training_examples
    digest      text not null,  -- of both
    started_at  real not null,
    ended_at    real,
    inserted_at text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
create unique index training_sessions_open on training_sessions (profile) where ended_at is null;
create index training_sessions_started on training_sessions (profile, started_at);

create table training_examples (
    id            text generated always as (training_session_id || ':' || ordinal) virtual,
    training_session_id text not null,
    ordinal       integer not null,
    journal_id    integer not null,
    content_hash  text not null,
    repo          text not null,
    file_path     text not null,
    language      text,
    license       text,
    quality_score real not null,
    content_chars integer not null,
    created_at    integer not null,
    side          text not null,
    origin        text not null,
    primary key (training_session_id, ordinal)
) without rowid;
create index training_examples_sides
    on training_examples (training_session_id, side, origin, journal_id);
create index training_examples_content on training_examples (content_hash) where side = 'train';

-- What was decided once and for all: `repo:NAME` and `cluster:HEX`.
create table training_sides (
    profile text not null,
    key     text not null,
    side    text not null,
    training_session_id text not null,
    primary key (profile, key)
) without rowid;

create table model_versions (
    id                  text primary key,
    training_session_id text not null,
    profile             text not null,
    version             text not null,
    path                text not null,
    base_model          text not null,
    parent              text,
    digest              text not null,
    performance_metrics text not null,
    evaluation_results  text not null,
    is_active           integer not null,
    created_at          integer not null,
    inserted_at         text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    unique (profile, version)
);
create unique index model_versions_active on model_versions (profile) where is_active;
create index model_versions_session on model_versions (training_session_id);

create table training_progress (
    id                    text primary key,
    training_session_id   text not null,
    step                  integer not null,
    steps                 integer not null,
    epoch                 real,
    loss                  real,
    eval_loss             real,
    learning_rate         real,
    grad_norm             real,
    tokens                integer not null,
    tokens_per_s          real,
    training_time_seconds real,
    packing_fill          real,
    speed_of_light        real,
    inserted_at           text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
create index training_progress_newest on training_progress (training_session_id, inserted_at);

create table evaluation_results (
    id                  text primary key,
    training_session_id text not null,
    version             text,
    name                text not null,
    value               real,
    inserted_at         text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

create view t5_training_sessions as select * from training_sessions;
create view t5_training_examples as select * from training_examples;
create view t5_model_versions as select * from model_versions;
create view t5_training_progress as select * from training_progress;
create view t5_evaluation_results as select * from evaluation_results;
