-- The buildings of areas, from the open fields of their houses.
SELECT coalesce(facets ->> 'building_key', '') AS building, min(area_code::text) AS area,
    min(facets ->> 'estate_name') AS estate, min(facets ->> 'address') AS address, count(*) AS houses,
    count(*) FILTER (WHERE facets ->> 'house_use' = '0') AS vacant,
    count(*) FILTER (WHERE facets ->> 'house_use' IN ('4', '49')) AS rented,
    count(*) FILTER (WHERE coalesce(facets ->> 'last_verified', '') < $2::date::text AND NOT EXISTS (
        SELECT FROM event_subjects
        WHERE subject = records.id AND verifies AND happened_at >= $2::timestamp AT TIME ZONE 'Asia/Shanghai'
    )) AS unverified
FROM records
WHERE id IN (SELECT record_id FROM record_tokens WHERE areas && $1) AND record_type = 'house' AND NOT cancelled
    AND merged_into IS NULL
GROUP BY 1
ORDER BY 3, 1
