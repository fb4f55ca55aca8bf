-- What the trainer remembers, beside the journal. Ids, hashes and figures, no text.

create table training_schema (
    version    integer primary key,
    applied_at timestamptz not null default now()
);

create function training_now() returns double precision language sql volatile
    return extract(epoch from clock_timestamp())::double precision;

-- Who trains a profile. Every write of a round is made under this row's lock.
create table training_leases (
    profile text primary key,
    owner   text,
    epoch   bigint not null,
    until   double precision
);

create table training_watermarks (
    profile text not null,
    source  text not null,
    id      bigint not null,
    primary key (profile, source)
);

create table training_sessions (
    id          text primary key,
    name        text not null,
    profile     text not null,
    source      text not null,
    status      text not null,
    from_id     bigint not null,
    to_id       bigint not null,
    samples     bigint not null,
    reason      text,
    detail      json not null default '{}',
    manifest    json not null,  -- but for its rows, which are training_examples
    digest      text not null,  -- of both
    started_at  double precision not null,
    ended_at    double precision,
    inserted_at timestamptz not null default clock_timestamp()
);
create unique index training_sessions_open on training_sessions (profile) where ended_at is null;
create index training_sessions_started on training_sessions (profile, started_at);

create table training_examples (
    id            text generated always as (training_session_id || ':' || ordinal::text) stored,
    training_session_id text not null,
    ordinal       integer not null,
    journal_id    bigint not null,
    content_hash  text not null,
    repo          text not null,
    file_path     text not null,
    language      text,
    license       text,
    quality_score double precision not null,
    content_chars bigint not null,
    created_at    bigint not null,
    side          text not null,
    origin        text not null,
    primary key (training_session_id, ordinal)
);
create index training_examples_sides
    on training_examples (training_session_id, side, origin, journal_id);
create index training_examples_content on training_examples (content_hash) where side = 'train';

-- What was decided once and for all: `repo:NAME` and `cluster:HEX`.
create table training_sides (
    profile text not null,
    key     text collate "C" not null,
    side    text not null,
    training_session_id text not null,
    primary key (profile, key)
);

create table model_versions (
    id                  text primary key,
    training_session_id text not null,
    profile             text not null,
    version             text not null,
    path                text not null,
    base_model          text not null,
    parent              text,
    digest              text not null,
    performance_metrics json not null,
    evaluation_results  json not null,
    is_active           boolean not null,
    created_at          bigint not null,
    inserted_at         timestamptz not null default clock_timestamp(),
    unique (profile, version)
);
create unique index model_versions_active on model_versions (profile) where is_active;
create index model_versions_session on model_versions (training_session_id);

create table training_progress (
    id                    text primary key,
    training_session_id   text not null,
    step                  bigint not null,
    steps                 bigint not null,
    epoch                 double precision,
    loss                  double precision,
    eval_loss             double precision,
    learning_rate         double precision,
    grad_norm             double precision,
    tokens                bigint not null,
    tokens_per_s          double precision,
    training_time_seconds double precision,
    packing_fill          double precision,
    speed_of_light        double precision,
    inserted_at           timestamptz not null default clock_timestamp()
);
create index training_progress_newest on training_progress (training_session_id, inserted_at);

create table evaluation_results (
    id                  text primary key,
    training_session_id text not null,
    version             text,
    name                text not null,
    value               double precision,
    inserted_at         timestamptz not null default clock_timestamp()
);

create view t5_training_sessions as select * from training_sessions;
create view t5_training_examples as select * from training_examples;
create view t5_model_versions as select * from model_versions;
create view t5_training_progress as select * from training_progress;
create view t5_evaluation_results as select * from evaluation_results;
