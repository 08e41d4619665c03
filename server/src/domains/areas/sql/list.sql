SELECT code::text, name, parent::text, changed_in, retired_in
FROM areas
WHERE ($1::text IS NULL OR code > $1)
  AND ($2::text IS NULL OR parent = $2)
  AND (($3::text IS NULL AND $4::text IS NULL) OR name LIKE $3 OR code LIKE $4)
  AND ($5 OR $6::integer IS NOT NULL OR retired_in IS NULL)
  AND ($6::integer IS NULL OR changed_in > $6)
ORDER BY code
LIMIT $7
