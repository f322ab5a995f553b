-- What only a superuser can do in PostgreSQL for Ocean. Run with psql as superuser, before the first migration;
-- running it again changes nothing but the password. From the environment:
--
--   OCEAN_VAULT_DATABASE_PASSWORD   first password of ocean_vault, the login of Vault's database engine
--
--   psql --no-psqlrc --variable=ON_ERROR_STOP=1 --dbname=postgres --file=bootstrap.sql
--
-- Six roles, and why (docs/explanation/identity.md says more):
--
--   ocean_owner        owns tables and functions; may not log in. The migrate Job becomes a member for minutes.
--   ocean_login_maker  may create roles, owns the functions in schema ocean_login; nobody is a member.
--   ocean_site         what every clinic's group role may do; rows are told apart by policies.
--   ocean_operator     the operator's rights.
--   ocean_gateway      what receives webhooks: it may have an event kept, and read no table.
--   ocean_vault        Vault's login: it may call create_login and drop_login, and nothing else at all.

\set ON_ERROR_STOP 1
\getenv vault_password OCEAN_VAULT_DATABASE_PASSWORD
\if :{?vault_password}
\else
  \warn 'OCEAN_VAULT_DATABASE_PASSWORD is not set: it becomes the first password of the role ocean_vault.'
  do $$ begin raise exception 'OCEAN_VAULT_DATABASE_PASSWORD is not set'; end $$;
\endif

select 'create database ocean' where not exists (select from pg_database where datname = 'ocean') \gexec
\connect ocean

begin;

-- The password below must not reach the server's log.
set local log_statement = 'none';
set local log_min_duration_statement = -1;
set local log_min_error_statement = 'panic';

select format('create role %I %s', name, attributes)
  from (values ('ocean_owner',       'nologin'),
               ('ocean_login_maker', 'nologin createrole'),
               ('ocean_site',        'nologin'),
               ('ocean_operator',    'nologin'),
               ('ocean_gateway',     'nologin'),
               ('ocean_vault',       'login connection limit 20')) as wanted (name, attributes)
 where not exists (select from pg_roles where rolname = wanted.name) \gexec

alter role ocean_vault password :'vault_password';

-- Terminating the sessions of a login that ends. It reaches every session that is not a superuser's, so
-- only the functions below are run with it.
grant pg_signal_backend to ocean_login_maker;

-- From 16 on a role that may create roles can hand on only what it administers; on 15 it needs no grant.
select format('grant %I to ocean_login_maker with admin true, inherit false, set false', name)
  from unnest(array['ocean_owner', 'ocean_site', 'ocean_operator', 'ocean_gateway']) as name
 where current_setting('server_version_num')::int >= 160000 \gexec

-- What PUBLIC has by default, and no login of ours needs: temporary tables, other databases, large objects.
revoke all on database ocean from public;
revoke connect, temporary on database postgres, template1 from public;
revoke all on schema public from public;
grant connect on database ocean to ocean_owner, ocean_site, ocean_operator, ocean_gateway, ocean_vault;
revoke execute on function
  pg_catalog.lo_creat(integer), pg_catalog.lo_create(oid), pg_catalog.lo_from_bytea(oid, bytea),
  pg_catalog.lo_open(oid, integer), pg_catalog.lo_unlink(oid), pg_catalog.lo_put(oid, bigint, bytea)
  from public;

create schema if not exists ocean authorization ocean_owner;
create schema if not exists ocean_login authorization ocean_login_maker;
revoke all on schema ocean, ocean_login from public;
grant usage on schema ocean_login to ocean_vault, ocean_owner;

set local role ocean_login_maker;
alter default privileges for role ocean_login_maker revoke execute on functions from public;

-- Which group a login made by Vault joins. The key is what Vault puts into the login's name: the first 20
-- hexadecimal digits of SHA-256 over the name of the Vault role it was asked from.
create table if not exists ocean_login.account (
  digest     text primary key check (digest ~ '^[0-9a-f]{20}$'),
  group_role name not null unique
);
alter table ocean_login.account enable row level security;
alter table ocean_login.account force row level security;
drop policy if exists functions on ocean_login.account;
create policy functions on ocean_login.account to ocean_login_maker using (true) with check (true);

insert into ocean_login.account (digest, group_role)
values (left(encode(sha256('ocean-operator'), 'hex'), 20), 'ocean_operator'),
       (left(encode(sha256('ocean-gateway'), 'hex'), 20), 'ocean_gateway'),
       (left(encode(sha256('ocean-migrate'), 'hex'), 20), 'ocean_owner')
on conflict do nothing;

-- Vault's creation statement. `secret` is a SCRAM verifier: PostgreSQL never sees the password itself.
create or replace function ocean_login.create_login(login text, secret text, valid_until timestamptz)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  joins name;
begin
  select account.group_role into joins from ocean_login.account
   where account.digest = substring(login from '^v_([0-9a-f]{20})_[0-9A-Za-z]{20}$');
  if joins is null then
    raise exception 'no account stands behind the login %', login using errcode = 'insufficient_privilege';
  end if;
  if secret is null or secret !~ '^SCRAM-SHA-256\$[0-9]+:[0-9A-Za-z+/=]+\$[0-9A-Za-z+/=]+:[0-9A-Za-z+/=]+$' then
    raise exception 'the login % came without a SCRAM verifier', login using errcode = 'invalid_password';
  end if;
  if valid_until is null or valid_until > now() + interval '25 hours' then
    raise exception 'the login % would live longer than a day', login using errcode = 'invalid_parameter_value';
  end if;
  execute format('create role %I login inherit connection limit 10 password %L valid until %L in role %I',
                 login, secret, valid_until, joins);
end $$;

-- Vault's revocation statement. Idempotent, since Vault repeats it until it succeeds.
create or replace function ocean_login.drop_login(login text)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if login !~ '^v_[0-9a-f]{20}_[0-9A-Za-z]{20}$' then
    raise exception '% is no login made by Vault', login using errcode = 'insufficient_privilege';
  end if;
  if to_regrole(quote_ident(login)) is null then
    return;
  end if;
  -- DROP ROLE alone leaves its sessions open, and failing with errors that name no cause.
  perform pg_terminate_backend(pid) from pg_stat_activity where usename = login;
  execute format('drop role %I', login);
end $$;

-- For ocean.ensure_site: the group role of a site, and the account that lets logins join it.
create or replace function ocean_login.open_account(digest text, group_role name)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if group_role !~ '^site_[0-9a-f]{20}$' then
    raise exception '% is no name for a site''s role', group_role using errcode = 'insufficient_privilege';
  end if;
  if to_regrole(group_role::text) is null then
    execute format('create role %I nologin in role ocean_site', group_role);
  end if;
  insert into ocean_login.account (digest, group_role) values (open_account.digest, open_account.group_role)
  on conflict on constraint account_pkey do nothing;
end $$;

-- For ocean.retire_site: nobody can log in for the site any more, and who is logged in is thrown out.
create or replace function ocean_login.close_account(group_role name, drop_group boolean)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if group_role !~ '^site_[0-9a-f]{20}$' then
    raise exception '% is no name for a site''s role', group_role using errcode = 'insufficient_privilege';
  end if;
  delete from ocean_login.account where account.group_role = close_account.group_role;
  perform ocean_login.drop_login(member.rolname)
     from pg_auth_members as membership
     join pg_roles as member on member.oid = membership.member
     join pg_roles as joined on joined.oid = membership.roleid
    where joined.rolname = close_account.group_role and member.rolname ~ '^v_[0-9a-f]{20}_[0-9A-Za-z]{20}$';
  if drop_group and to_regrole(group_role::text) is not null then
    execute format('drop role %I', group_role);
  end if;
end $$;

-- Functions of an earlier run keep the rights they were created with, so say them once more.
revoke all on all functions in schema ocean_login from public;
grant execute on function ocean_login.create_login(text, text, timestamptz), ocean_login.drop_login(text)
  to ocean_vault;
grant execute on function ocean_login.open_account(text, name), ocean_login.close_account(name, boolean)
  to ocean_owner;

reset role;
alter default privileges for role ocean_owner revoke execute on functions from public;

commit;
