-- What was refused of these records, and what was refused and tells of them: a visit, a residence.
DELETE FROM refused_items WHERE record_id = ANY($1) OR subjects && $1
RETURNING conflict_id
