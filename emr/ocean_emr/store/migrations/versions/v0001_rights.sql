-- Rights. First who sees which rows, then who may do what with a table, then who may call what.

do $$
declare
  known name;
begin
  foreach known in array array['alembic_version', 'site', 'site_state', 'sync_lease', 'data_key', 'snapshot',
                               'audit', 'audit_head'] loop
    execute format('alter table ocean.%I enable row level security', known);
    execute format('alter table ocean.%I force row level security', known);
    -- FORCE binds the owner too, whose functions must see all sites.
    execute format('create policy functions on ocean.%I to ocean_owner using (true) with check (true)', known);
  end loop;
  -- `(select …)` is evaluated once for a statement, not once for a row.
  foreach known in array array['site', 'site_state', 'sync_lease', 'data_key', 'snapshot'] loop
    execute format('create policy own_site on ocean.%I to ocean_site'
                   ' using (site = (select ocean.current_site()))'
                   ' with check (site = (select ocean.current_site()))', known);
  end loop;
  foreach known in array array['site', 'site_state'] loop
    execute format('create policy all_sites on ocean.%I for select to ocean_operator using (true)', known);
  end loop;
end $$;

grant usage on schema ocean to ocean_site, ocean_operator;

grant select on ocean.site to ocean_site, ocean_operator;
grant select, insert, update on ocean.site_state to ocean_site;
grant select on ocean.site_state to ocean_operator;
grant select, insert, update on ocean.sync_lease to ocean_site;
grant select, insert on ocean.data_key to ocean_site;
grant select, insert, update, delete on ocean.snapshot to ocean_site;

revoke all on all functions in schema ocean from public;
grant execute on function
  ocean.schema_version(), ocean.append_audit(text, text, text, jsonb, text)
  to ocean_site, ocean_operator;
grant execute on function ocean.current_site() to ocean_site;
grant execute on function
  ocean.ensure_site(text, text, text, text), ocean.retire_site(text, text, boolean),
  ocean.states_since(bigint), ocean.audit_break(text, bigint, bytea)
  to ocean_operator;
