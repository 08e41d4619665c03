-- What a sign-in asks of the register, in one go: where the logs of $1 end, whether the state $3 of the user's scope $2
-- says $4, and the number of the last envelope that was answered. One row even where no log has anything in it.
SELECT ends.scope, ends.seq, ends.digest, one.told, one.envelope
FROM (
    SELECT coalesce((SELECT json = $4 FROM states WHERE scope = $2 AND key = $3), false) AS told,
           coalesce((SELECT max(seq) FROM envelopes WHERE device_id = $5 AND user_id = $6), 0) AS envelope
) AS one
LEFT JOIN scopes AS ends ON ends.scope = ANY ($1)
