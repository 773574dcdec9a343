-- Which containments are in force or wait for a person, and is their effect proven?
-- limit (100): most rows
SELECT since, until, status, stage, scope, agent_uid, credential_uid, tool, state, mode, rule_id, requested_by, denials, successes, reason, id
FROM v_responses
WHERE status IN ('active', 'proposed')
ORDER BY since DESC, id
LIMIT {limit:UInt32}
