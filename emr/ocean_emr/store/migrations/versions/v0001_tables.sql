-- Tables. Every row bears its site, every table has row-level security that binds its owner as well.
-- Nothing here names a patient: what comes from a chart is sealed (`body`) or a keyed digest.

-- The sites there are, kept by ocean.ensure_site and ocean.retire_site.
create table ocean.site (
  site          text primary key check (site = namespace || '/' || name),
  namespace     text not null check (namespace ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'),
  name          text not null check (name ~ '^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$'),
  uid           text not null check (uid <> ''),
  group_role    name not null unique,
  site_number   text not null check (site_number ~ '^[0-9]{1,10}$'),
  registered_at timestamptz not null default now(),
  retired_at    timestamptz
);
-- A number may be taken over once its site is retired; two living sites with one number would mix up charts.
create unique index site_number_taken on ocean.site (site_number) where retired_at is null;

-- What each process of a site last said about itself, for the operator to turn into status.
create table ocean.site_state (
  site       text not null references ocean.site,
  process    text not null check (process ~ '^[a-z][a-z0-9-]{0,30}$'),
  state      jsonb not null check (octet_length(state::text) <= 65536),
  updated_at timestamptz not null,
  changed_in bigint not null,
  primary key (site, process)
);
comment on column ocean.site_state.changed_in is
  'Transaction that wrote the row. Unlike a sequence it tells a reader what can still become visible: see states_since.';
create index site_state_changed_in on ocean.site_state (changed_in);

-- One writer for each site. The row stays for ever, so that the epoch only ever grows.
create table ocean.sync_lease (
  site       text primary key references ocean.site,
  holder     text not null,
  epoch      bigint not null,
  expires_at timestamptz not null
);

-- The keys that seal what is stored, each wrapped by the site's Shared Encryption Key of that fingerprint.
create table ocean.data_key (
  site            text not null references ocean.site,
  sek_fingerprint text not null,
  envelope        bytea not null,
  created_at      timestamptz not null default now(),
  primary key (site, sek_fingerprint)
);

-- What Ocean was last told, for comparison with what the EMR says now.
create table ocean.snapshot (
  site           text not null references ocean.site,
  kind           text not null check (kind in ('appointment', 'patient', 'provider')),
  ref_digest     bytea not null,
  day            date,
  group_digest   bytea,
  content_digest bytea not null,
  body           bytea not null,
  run_id         uuid not null,
  primary key (site, kind, ref_digest)
);
comment on column ocean.snapshot.day is 'The clinic''s local day of an appointment.';
comment on column ocean.snapshot.group_digest is 'What the row belongs to: an appointment''s provider.';
create index snapshot_day on ocean.snapshot (site, kind, day) where day is not null;

-- Who did what. A chain of hashes for each site: see docs/reference/database.md for what is hashed.
create table ocean.audit (
  site     text not null check (site <> ''),
  seq      bigint not null,
  at       timestamptz not null,
  via      text not null check (via in ('site', 'operator')),
  login    text not null,
  actor    text not null check (actor <> ''),
  action   text not null check (action <> ''),
  what     jsonb not null check (octet_length(what::text) <= 16384),
  outcome  text not null check (outcome <> ''),
  previous bytea not null,
  hash     bytea not null,
  primary key (site, seq)
);

-- The end of each chain: the row that makes writers of one site wait for each other.
create table ocean.audit_head (
  site text primary key,
  seq  bigint not null,
  hash bytea not null
);
