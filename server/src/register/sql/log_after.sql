SELECT log.seq, log.kind, log.record_id, log.change_hash, log.device_id, log.state_key, states.json
FROM scope_log AS log
LEFT JOIN states ON states.scope = log.scope AND states.key = log.state_key
WHERE log.scope = $1 AND log.seq > $2
ORDER BY log.seq
LIMIT $3
