-- An area changed several times goes from what it was before the first to what it is after the last.
-- One that is back where it was has not changed.
WITH steps AS (
    SELECT * FROM area_changes WHERE version > $1 AND version <= $2
), firsts AS (
    SELECT DISTINCT ON (code) code, name_before, parent_before FROM steps ORDER BY code, version
), lasts AS (
    SELECT DISTINCT ON (code) code, name_after, parent_after FROM steps ORDER BY code, version DESC
)
SELECT code::text,
       CASE
           WHEN name_before IS NULL THEN 'added'
           WHEN name_after IS NULL THEN 'retired'
           WHEN parent_before IS DISTINCT FROM parent_after THEN 'moved'
           ELSE 'renamed'
       END AS kind,
       name_before, name_after, parent_before, parent_after
FROM firsts
JOIN lasts USING (code)
WHERE (name_before, parent_before) IS DISTINCT FROM (name_after, parent_after)
ORDER BY code
