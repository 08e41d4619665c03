-- Locked in the order of ids first: two servers may write the same devices at the same time.
WITH contact AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::int[]) AS given (id, at, unsent)
), held AS MATERIALIZED (
    SELECT id FROM devices WHERE id IN (SELECT id FROM contact) ORDER BY id FOR NO KEY UPDATE
)
UPDATE devices SET
    last_contact_at = contact.at,
    last_sync_at = contact.at,
    unsent = contact.unsent,
    unsent_since = CASE WHEN contact.unsent > 0 THEN coalesce(devices.unsent_since, contact.at) END
FROM held JOIN contact USING (id)
WHERE devices.id = held.id
