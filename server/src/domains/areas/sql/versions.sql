SELECT version, effective_on, note, created_at, created_by,
       (SELECT count(*) FROM area_changes WHERE area_changes.version = area_versions.version) AS changes
FROM area_versions
ORDER BY version DESC
