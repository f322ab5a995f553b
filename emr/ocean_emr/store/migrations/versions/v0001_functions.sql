-- Functions. Those marked SECURITY DEFINER run as ocean_owner, which is neither superuser nor may it make
-- roles; each has a fixed search path and is granted by name (v0001_rights.sql).

-- The oldest schema that this one can still serve is the business of the migrations; this is what is there.
create function ocean.schema_version() returns integer
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select 1 $$;

-- The site whose pods this session belongs to; null for everybody else. It goes by the login, which cannot
-- be changed, and by membership, never by a role's name that may have gone.
create function ocean.current_site() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select case count(*) when 1 then min(known.site) end
    from pg_auth_members as membership
    join pg_roles as login on login.oid = membership.member and login.rolname = session_user
    join pg_roles as joined on joined.oid = membership.roleid
    join ocean.site as known on known.group_role = joined.rolname and known.retired_at is null
$$;

-- Make the site known, with its group role, and let logins of its service account join. Changes nothing the second time.
-- Raises unique_violation on `site_number_taken` when another living site has the number.
create function ocean.ensure_site(site_namespace text, site_name text, site_uid text, number text) returns name
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  id text := site_namespace || '/' || site_name;
  role_name name := 'site_' || left(encode(sha256(convert_to(id, 'UTF8')), 'hex'), 20);
  vault_role text := site_namespace || '.ocean-site-' || site_name;
begin
  insert into ocean.site as known (site, namespace, name, uid, group_role, site_number)
  values (id, site_namespace, site_name, site_uid, role_name, number)
  on conflict on constraint site_pkey do update
     set uid = excluded.uid, site_number = excluded.site_number, retired_at = null
   where known.uid <> excluded.uid or known.site_number <> excluded.site_number or known.retired_at is not null;
  perform ocean_login.open_account(left(encode(sha256(convert_to(vault_role, 'UTF8')), 'hex'), 20), role_name);
  return role_name;
end $$;

-- End the site's access at once: sessions are closed, logins dropped, its number is free again. Its audit
-- stays; its other rows go only when it is to be forgotten.
create function ocean.retire_site(site_namespace text, site_name text, forget boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  id text := site_namespace || '/' || site_name;
  role_name name;
begin
  update ocean.site set retired_at = coalesce(retired_at, now()) where site.site = id
  returning group_role into role_name;
  if role_name is null then
    return;
  end if;
  perform ocean_login.close_account(role_name, forget);
  if forget then
    delete from ocean.snapshot where snapshot.site = id;
    delete from ocean.data_key where data_key.site = id;
    delete from ocean.sync_lease where sync_lease.site = id;
    delete from ocean.site_state where site_state.site = id;
    delete from ocean.site where site.site = id;
  end if;
end $$;

-- Stamp a state; one that says nothing new is not written.
create function ocean.stamp_state() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and (new.site, new.process, new.state) = (old.site, old.process, old.state) then
    return null;
  end if;
  new.updated_at := clock_timestamp();
  new.changed_in := pg_current_xact_id()::text::bigint;
  return new;
end $$;
create trigger stamp_state before insert or update on ocean.site_state
  for each row execute function ocean.stamp_state();

-- Wake listeners. The notification says nothing, because everybody may listen: whoever hears it asks states_since.
create function ocean.notify_state() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('site_state', '');
  return null;
end $$;
create trigger notify_state after insert or update on ocean.site_state
  for each row execute function ocean.notify_state();

-- The states that changed since `mark`, which is `next_mark` of an earlier answer, or 0. No change is ever
-- missed: `next_mark` is the oldest transaction that was still open. A row may come twice.
create function ocean.states_since(mark bigint)
returns table (site text, process text, state jsonb, updated_at timestamptz, next_mark bigint)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select site, process, state, updated_at, pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    from ocean.site_state
   where changed_in >= mark
$$;

-- One field of an audit record as it is hashed: length, then content, so that fields cannot run together.
create function ocean.framed(field text) returns bytea
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select int4send(octet_length(convert_to(field, 'UTF8'))) || convert_to(field, 'UTF8') $$;

create function ocean.audit_hash(entry ocean.audit) returns bytea
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select sha256(entry.previous
    || ocean.framed(entry.site) || ocean.framed(entry.seq::text)
    || ocean.framed(to_char(entry.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || ocean.framed(entry.via) || ocean.framed(entry.login) || ocean.framed(entry.actor)
    || ocean.framed(entry.action) || ocean.framed(entry.what::text) || ocean.framed(entry.outcome))
$$;

-- Add a record to a site's chain, in the caller's transaction. A site's pods write their own chain only;
-- what they say about `actor` is their word, while `via` and `login` are what PostgreSQL knows.
create function ocean.append_audit(audited text, actor text, action text, what jsonb, outcome text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  own text := ocean.current_site();
  entry ocean.audit;
begin
  if own is not null and audited = own then
    entry.via := 'site';
  elsif own is null and pg_has_role(session_user, 'ocean_operator', 'member') then
    entry.via := 'operator';
  else
    raise exception 'this login may not write the audit of %', audited using errcode = 'insufficient_privilege';
  end if;
  insert into ocean.audit_head (site, seq, hash) values (audited, 0, decode(repeat('00', 32), 'hex'))
  on conflict do nothing;
  select head.seq + 1, head.hash into entry.seq, entry.previous
    from ocean.audit_head as head where head.site = audited for update;
  entry.site := audited;
  entry.at := clock_timestamp();
  entry.login := session_user;
  entry.actor := actor;
  entry.action := action;
  entry.what := what;
  entry.outcome := outcome;
  entry.hash := ocean.audit_hash(entry);
  insert into ocean.audit select entry.*;
  update ocean.audit_head as head set seq = entry.seq, hash = entry.hash where head.site = audited;
  return entry.seq;
end $$;

-- The number of the first record that does not fit its chain; null when the chain is whole. A record that
-- was changed, moved or taken out shows here. A chain that was cut and its head with it shows only
-- against a head kept elsewhere: pass that one's `seq` and `hash`.
create function ocean.audit_break(audited text, kept_seq bigint default null, kept_hash bytea default null)
returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  with chain as (
    select entry.seq, entry.hash, entry.previous, ocean.audit_hash(entry) as computed,
           row_number() over chain_order as place, lag(entry.hash) over chain_order as before
      from ocean.audit as entry where entry.site = audited
    window chain_order as (order by entry.seq)
  ), head as (
    select seq, hash from ocean.audit_head where site = audited
    union all
    select kept_seq, kept_hash where kept_seq is not null
  )
  select min(seq) from (
    select place as seq from chain
     where seq <> place or hash <> computed
        or previous <> coalesce(before, decode(repeat('00', 32), 'hex'))
    union all
    select head.seq from head
     where not exists (select from chain where chain.seq = head.seq and chain.hash = head.hash)
    union all
    select min(chain.seq) from chain where not exists (select from ocean.audit_head where site = audited)
  ) as suspects
$$;

-- Against slips, not against an owner who means it: that is what the chain is for.
create function ocean.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'the audit is only ever added to' using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on ocean.audit
  for each row execute function ocean.refuse_change();
create trigger append_only_table before truncate on ocean.audit
  for each statement execute function ocean.refuse_change();
