-- Rights of version 2, as in v0001_rights.sql.

do $$
declare
  known name;
begin
  foreach known in array array['message', 'webhook', 'chart_link', 'worker_lease'] loop
    execute format('alter table ocean.%I enable row level security', known);
    execute format('alter table ocean.%I force row level security', known);
    execute format('create policy functions on ocean.%I to ocean_owner using (true) with check (true)', known);
    execute format('create policy own_site on ocean.%I to ocean_site'
                   ' using (site = (select ocean.current_site()))'
                   ' with check (site = (select ocean.current_site()))', known);
  end loop;
end $$;

-- A site's pods add what they fetched and say what became of it. They take nothing away, and make no events.
grant select on ocean.message to ocean_site;
grant insert (site, event, step, lane, kind, source_id, version, state, body, body_key, received_at, due_at)
  on ocean.message to ocean_site;
grant update (lane, state, body, body_key, plan, plan_key, plan_digest, written, attempts, due_at, updated_at, sent_at,
              epoch, emr_ref, reason, note, merged_into)
  on ocean.message to ocean_site;
grant select, insert, update, delete on ocean.webhook, ocean.chart_link to ocean_site;
grant select, insert, update on ocean.worker_lease to ocean_site;

grant usage on schema ocean to ocean_gateway;
revoke all on function
  ocean.message_channel(name), ocean.most_waiting_events(), ocean.accept_event(text, text, text, text, text),
  ocean.webhook_verifier(text), ocean.queues(), ocean.retry_held(text, text, text), ocean.refuse_reopening()
  from public;
grant execute on function
  ocean.schema_version(), ocean.accept_event(text, text, text, text, text), ocean.webhook_verifier(text)
  to ocean_gateway;
grant execute on function ocean.queues(), ocean.retry_held(text, text, text) to ocean_operator;
