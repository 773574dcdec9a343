-- Which findings are about one credential? For an incident with a leaked key.
-- credential (required): id or hash of the credential
-- limit (100): most rows
SELECT last_seen, severity, rule_id, tenant, agent_uid, source_ip, tool, target, summary, id
FROM v_open_findings
WHERE credential_uid = {credential:String} OR has(evidence.credential_uid, {credential:String})
ORDER BY last_seen DESC, id
LIMIT {limit:UInt32}
