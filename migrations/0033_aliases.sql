-- A record's file and history show those that were merged into it.
CREATE INDEX records_merged_into ON records (merged_into) WHERE merged_into IS NOT NULL;
