-- How far the houses of areas lie, where their points are registered.
SELECT area_code::text AS area, min((facets ->> 'longitude')::float8) AS west, max((facets ->> 'longitude')::float8) AS east,
    min((facets ->> 'latitude')::float8) AS south, max((facets ->> 'latitude')::float8) AS north
FROM records
WHERE area_code = ANY($1) AND record_type = 'house' AND NOT cancelled
    AND facets ? 'longitude' AND facets ? 'latitude'
GROUP BY area_code
