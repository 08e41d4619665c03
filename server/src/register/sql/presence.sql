-- Where residents count now, and where they counted, where the two differ. A resident counts in the areas of the
-- active residences, unless they are of the kinds 'owning' and 'visiting' alone or the resident is cancelled.
WITH held AS (
    SELECT resident.id AS resident, area, min(residence.id::text)::uuid AS residence
    FROM records AS resident
    JOIN links ON links.target = resident.id AND links.field = 'resident'
    JOIN records AS residence ON residence.id = links.record_id AND residence.record_type = 'residence'
        AND NOT residence.cancelled AND NOT residence.facets ? 'ended' AND residence.facets ->> 'kind' NOT IN ('owning', 'visiting')
    CROSS JOIN LATERAL unnest(residence.areas) AS area
    WHERE resident.id = ANY($1) AND resident.record_type = 'resident' AND NOT resident.cancelled
        AND resident.merged_into IS NULL
    GROUP BY resident.id, area
), before AS (
    SELECT DISTINCT ON (resident, area_code) resident, area_code::text AS area, present
    FROM population_changes
    WHERE resident = ANY($1)
    ORDER BY resident, area_code, id DESC
)
SELECT coalesce(held.resident, before.resident) AS resident, coalesce(held.area, before.area) AS area, held.residence,
    held.resident IS NOT NULL AS present,
    EXISTS (SELECT FROM before AS ever WHERE ever.resident = held.resident) AS known,
    before.resident IS NOT NULL AS returns
FROM held
FULL JOIN before ON before.resident = held.resident AND before.area = held.area
WHERE (held.resident IS NOT NULL) <> coalesce(before.present, false)
ORDER BY 1, 2
