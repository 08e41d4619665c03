WITH moved AS (
    UPDATE records SET areas = $2 WHERE id = $1
)
UPDATE record_tokens SET areas = area_line($2) WHERE record_id = $1
