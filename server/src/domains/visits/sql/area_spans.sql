-- How far the houses of areas lie, where their points are registered.
SELECT area, min(longitude) AS west, max(longitude) AS east, min(latitude) AS south, max(latitude) AS north
FROM (
    SELECT area_code::text AS area, degrees(facets, 'longitude') AS longitude, degrees(facets, 'latitude') AS latitude
    FROM records
    WHERE area_code = ANY($1) AND record_type = 'house' AND NOT cancelled
) AS house
WHERE longitude IS NOT NULL AND latitude IS NOT NULL
GROUP BY area
