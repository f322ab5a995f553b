-- Tables of version 2: messages from Ocean, how its webhooks are known, charts of its patients, the worker's lease.
-- Nothing of a patient is in clear here: bodies and plans are sealed, `detail` holds Ocean's own random references.

-- The queue, and the ledger of what came and what became of it: rows stay, only their content goes.
create table ocean.message (
  id            bigint generated always as identity primary key,
  site          text not null references ocean.site,
  event         bigint not null,
  step          smallint not null check (step >= 0),
  lane          bytea not null check (octet_length(lane) = 32),
  kind          text not null check (kind ~ '^[a-z][a-z-]{0,30}$'),
  source_id     text check (octet_length(source_id) between 1 and 512),
  version       integer check (version >= 0),
  state         text not null check (state in ('accepted', 'gathering', 'sent', 'done', 'held', 'dismissed')),
  detail        jsonb check (octet_length(detail::text) <= 4096),
  event_key     bytea,
  repeats       integer not null default 0,
  body          bytea,
  body_key      text,
  plan          bytea,
  plan_key      text,
  plan_digest   bytea,
  written       smallint not null default 0,
  attempts      integer not null default 0,
  received_at   timestamptz not null default clock_timestamp(),
  due_at        timestamptz not null default clock_timestamp(),
  updated_at    timestamptz not null default clock_timestamp(),
  sent_at       timestamptz,
  epoch         bigint,
  emr_ref       text check (octet_length(emr_ref) <= 4096),
  reason        text,
  note          text check (octet_length(note) <= 4096),
  merged_into   bigint,
  constraint message_event_form check (
    case kind when 'event' then detail is not null and event_key is not null and source_id is null and step = 0
              else detail is null and event_key is null and source_id is not null and version is not null end),
  constraint message_ended_is_empty check (
    state not in ('done', 'dismissed') or body is null and plan is null and plan_digest is null),
  constraint message_sent_has_an_intent check (
    state <> 'sent' or plan is not null and plan_digest is not null and epoch is not null and sent_at is not null),
  constraint message_held_says_why check (state <> 'held' or reason is not null),
  constraint message_sealed_names_its_key check (
    (body is null) = (body_key is null) and (plan is null) = (plan_key is null))
) with (
  -- Each message is updated two or three times within a second, and then never again.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000
);
comment on column ocean.message.event is 'The row of the event it came from; its own id for an event. With step: its order.';
comment on column ocean.message.repeats is 'How often Ocean has told of the same event while this one waited to be fetched.';
comment on column ocean.message.plan is 'What was to be written when it was first sent: sealed, and kept until that is settled.';
comment on column ocean.message.written is 'How many writes of the plan are known to be in the EMR.';
comment on column ocean.message.epoch is 'The worker''s lease under which it was last sent.';
-- What is sealed does not get smaller.
alter table ocean.message alter column body set storage external, alter column plan set storage external;

-- For ever: what Ocean has under one id and version reaches the EMR once.
create unique index message_source on ocean.message (site, source_id, version) where source_id is not null;
-- The same event waits once.
create unique index message_waiting_event on ocean.message (site, event_key) where kind = 'event' and state = 'accepted';
-- These hold what waits and nothing else, so that finding work costs the same whatever was done before; and what
-- waits for Ocean is apart from what waits for the EMR, so that one can be found while the other is away.
create index message_event_due on ocean.message (site, due_at, event) where kind = 'event' and state = 'accepted';
create index message_due on ocean.message (site, due_at, event, step)
  where kind <> 'event' and state in ('accepted', 'gathering', 'sent');
create index message_lane on ocean.message (site, lane, event, step) where state in ('accepted', 'gathering', 'sent');
create index message_held on ocean.message (site, event, step) where state = 'held';

-- How the gateway knows that a webhook comes from the clinic's Ocean. Fit for a long random key, not for a password.
create table ocean.webhook (
  site       text primary key references ocean.site,
  salt       bytea not null check (octet_length(salt) >= 16),
  digest     bytea not null check (octet_length(digest) = 32),
  updated_at timestamptz not null default clock_timestamp()
);

-- Which chart of the EMR is whose at Ocean, once that was found out.
create table ocean.chart_link (
  site       text not null references ocean.site,
  ref_digest bytea not null check (octet_length(ref_digest) = 32),
  body       bytea not null,
  body_key   text not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (site, ref_digest)
);

-- One worker for each site; as ocean.sync_lease.
create table ocean.worker_lease (
  site       text primary key references ocean.site,
  holder     text not null,
  epoch      bigint not null,
  expires_at timestamptz not null
);
