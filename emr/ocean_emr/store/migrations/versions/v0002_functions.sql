-- Functions of version 2. The rules at the top of v0001_functions.sql hold here too.

create or replace function ocean.schema_version() returns integer
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select 2 $$;

-- As in version 1, but for the language: PL/pgSQL keeps the plan for the session, SQL makes one for every statement
-- of every login, which took longer than most of the statements themselves.
create or replace function ocean.current_site() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select case count(*) when 1 then min(known.site) end
      from pg_auth_members as membership
      join pg_roles as login on login.oid = membership.member and login.rolname = session_user
      join pg_roles as joined on joined.oid = membership.roleid
      join ocean.site as known on known.group_role = joined.rolname and known.retired_at is null
  );
end $$;

-- As in version 1, and forgets what version 2 has added.
create or replace function ocean.retire_site(site_namespace text, site_name text, forget boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  addressed text := site_namespace || '/' || site_name;
  role_name name;
begin
  update ocean.site set retired_at = coalesce(retired_at, now()) where site.site = addressed
  returning group_role into role_name;
  if role_name is null then
    return;
  end if;
  perform ocean_login.close_account(role_name, forget);
  if forget then
    delete from ocean.message where message.site = addressed;
    delete from ocean.chart_link where chart_link.site = addressed;
    delete from ocean.webhook where webhook.site = addressed;
    delete from ocean.worker_lease where worker_lease.site = addressed;
    delete from ocean.snapshot where snapshot.site = addressed;
    delete from ocean.data_key where data_key.site = addressed;
    delete from ocean.sync_lease where sync_lease.site = addressed;
    delete from ocean.site_state where site_state.site = addressed;
    delete from ocean.site where site.site = addressed;
  end if;
end $$;

-- The NOTIFY channel of a site's worker; names.message_channel computes the same.
create function ocean.message_channel(group_role name) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select 'message_' || substr(group_role::text, 6) $$;

-- How many events of one site may wait to be fetched before further ones are refused: who has a webhook's key
-- must not be able to fill the disk. `alter database ocean set ocean.most_waiting_events = …` changes it.
create function ocean.most_waiting_events() returns integer
language sql stable set search_path = pg_catalog, pg_temp
as $$ select coalesce(nullif(current_setting('ocean.most_waiting_events', true), ''), '100000')::integer $$;

-- Keep an event of the living site with that number. `outcome`:
--   stored        it waits now;
--   replay        the same event waits already: its fetch will see whatever this one tells of;
--   unknown-site  there is no such site.
-- It takes the same time however much waits. After the commit the caller wakes the site's worker:
-- `pg_notify(channel, '')`. Not in here, because commits that notify wait for one another, all sites' together; a
-- notification that is lost costs a slow poll.
create function ocean.accept_event(
  number text, event_type text, event_ref text, event_session text, event_source text,
  out outcome text, out channel text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  addressed ocean.site;
  new_id bigint;
  kept_id bigint;
begin
  select * into addressed from ocean.site where site_number = number and retired_at is null;
  if not found then
    outcome := 'unknown-site';
    return;
  end if;
  channel := ocean.message_channel(addressed.group_role);
  new_id := nextval('ocean.message_id_seq');
  insert into ocean.message as waiting (id, site, event, step, lane, kind, state, detail, event_key)
  overriding system value
  values (new_id, addressed.site, new_id, 0,
          -- Apart from what is on its way to the chart: a sitting under way must not keep an event from being fetched.
          sha256(convert_to(addressed.site || '/event/' || event_ref, 'UTF8')), 'event', 'accepted',
          jsonb_build_object('type', event_type, 'ref', event_ref, 'session', event_session, 'source', event_source),
          sha256(convert_to(jsonb_build_array(event_type, event_ref, event_session)::text, 'UTF8')))
  on conflict (site, event_key) where kind = 'event' and state = 'accepted'
  do update set repeats = waiting.repeats + 1
  returning waiting.id into kept_id;
  outcome := case kept_id when new_id then 'stored' else 'replay' end;
end $$;

-- How webhooks of the living site with that number are known, and whether so much of it waits that no more is to be
-- kept; no row when it takes none, or is not there. Counting takes a while where much waits: to be asked now and then.
create function ocean.webhook_verifier(number text) returns table (salt bytea, digest bytea, is_full boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select webhook.salt, webhook.digest,
         exists (select from ocean.message as waiting
                  where waiting.site = site.site and waiting.kind = 'event' and waiting.state = 'accepted'
                 offset ocean.most_waiting_events())
    from ocean.webhook join ocean.site on site.site = webhook.site
   where site.site_number = number and site.retired_at is null
$$;

-- What waits and what is held, for each site that has any. Notes of a sitting that is not over count as neither.
create function ocean.queues()
returns table (site text, waiting bigint, oldest timestamptz, held bigint, oldest_held timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select coalesce(open.site, kept.site), coalesce(open.number, 0), open.since, coalesce(kept.number, 0), kept.since
    from (select site, count(*) as number, min(received_at) as since from ocean.message
           where state in ('accepted', 'gathering', 'sent') and state <> 'gathering' group by site) as open
    full join (select site, count(*) as number, min(received_at) as since from ocean.message
                where state = 'held' group by site) as kept on kept.site = open.site
$$;

-- Put the site's held messages back into the queue. Returns how many there were. Those of which nobody knows
-- whether the EMR has them stay: somebody must look into the chart first, one by one.
create function ocean.retry_held(site_namespace text, site_name text, asked_by text default 'ocean-operator')
returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  addressed text := site_namespace || '/' || site_name;
  number bigint;
begin
  update ocean.message
     set state = 'accepted', attempts = 0, due_at = clock_timestamp(), updated_at = clock_timestamp(),
         reason = null, note = null,
         plan = case when written > 0 then plan end, plan_key = case when written > 0 then plan_key end,
         plan_digest = case when written > 0 then plan_digest end
   where message.site = addressed and state = 'held' and reason <> 'EmrOutcomeUnknown';
  get diagnostics number = row_count;
  perform ocean.append_audit(addressed, asked_by, 'messages.retry', jsonb_build_object('messages', number), 'done');
  perform pg_notify(ocean.message_channel(site.group_role), '') from ocean.site where site.site = addressed;
  return number;
end $$;

-- What has ended has ended: not by mistake either does it go out a second time.
create function ocean.refuse_reopening() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'message % has ended', old.id using errcode = 'insufficient_privilege';
end $$;
create trigger ended_is_ended before update on ocean.message
  for each row when (old.state in ('done', 'dismissed')) execute function ocean.refuse_reopening();
