-- Keeps alarms in the areas of their devices ($8 where a device is not there). One that came already in this hour ($9)
-- counts there.
INSERT INTO alarms (id, code, device_id, user_id, record_id, record_type, times, area_code, since, at, hour)
SELECT new.id, new.code, new.device_id, new.user_id, new.record_id, new.record_type, new.times,
    coalesce(devices.area_code, $8), $9, $9, date_trunc('hour', $9::timestamptz)
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[])
    AS new (id, code, device_id, user_id, record_id, record_type, times)
LEFT JOIN devices ON devices.id = new.device_id
ON CONFLICT (device_id, user_id, code, hour) WHERE hour IS NOT NULL DO UPDATE
SET times = alarms.times + excluded.times, at = excluded.at
RETURNING id, code, device_id, user_id, area_code::text, xmax = 0 AS fresh
