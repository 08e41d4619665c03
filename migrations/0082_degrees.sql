-- A facet as degrees, where it is a number that can be one. Devices may write whatever text they like there: a form asks
-- for a number, but what was recorded before a form was tightened is not refused.
CREATE FUNCTION degrees(facets jsonb, name text) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
SELECT CASE WHEN facets ->> name ~ '^-?[0-9]{1,3}([.][0-9]{0,20})?$' THEN (facets ->> name)::float8 END
$$;
