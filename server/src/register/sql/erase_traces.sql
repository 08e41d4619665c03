WITH tokens AS (
    DELETE FROM record_tokens WHERE record_id = ANY($1)
), tied AS (
    DELETE FROM links WHERE record_id = ANY($1)
), fields AS (
    DELETE FROM field_changes WHERE record_id = ANY($1)
), moves AS (
    DELETE FROM address_changes WHERE resident = ANY($1)
)
DELETE FROM changes WHERE record_id = ANY($1)
