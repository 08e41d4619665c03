-- The application's role and the second wall: row-level security by area.
--
-- Every request works as doorstep_app, which owns nothing and bypasses nothing. A table that bears an
-- area calls scope_by_area() once; from then on a row is seen and written only where its area matches
-- one of the LIKE patterns in the transaction's setting doorstep.areas. Without the setting: no row.

DO $$
BEGIN
    CREATE ROLE doorstep_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

GRANT doorstep_app TO CURRENT_USER;
GRANT USAGE ON SCHEMA public TO doorstep_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO doorstep_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO doorstep_app;

-- A 12-digit statistical area code.
CREATE DOMAIN area_code AS text CHECK (VALUE ~ '^[1-9][0-9]{11}$');

-- The patterns of the areas that this transaction may see, such as '310101002%'.
CREATE FUNCTION area_patterns() RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT string_to_array(coalesce(current_setting('doorstep.areas', true), ''), ',') $$;

-- Puts a table behind the wall. The scalar subquery is evaluated once a statement, not once a row.
CREATE PROCEDURE scope_by_area(target regclass, area_column name)
    LANGUAGE plpgsql
    AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY within_areas ON %s USING (%I LIKE ANY ((SELECT area_patterns())::text[]))',
        target, area_column);
END
$$;
