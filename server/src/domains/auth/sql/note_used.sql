-- Waits for nobody: whoever ends the sessions of a user holds several of them.
WITH used AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS given (id, at)
), free AS MATERIALIZED (
    SELECT sessions.id, used.at
    FROM sessions JOIN used USING (id)
    WHERE sessions.last_seen_at <= used.at - make_interval(secs => $3)
    FOR NO KEY UPDATE OF sessions SKIP LOCKED
)
UPDATE sessions SET last_seen_at = free.at
FROM free
WHERE sessions.id = free.id
