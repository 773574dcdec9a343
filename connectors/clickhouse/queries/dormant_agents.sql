-- Which registered agents did nothing for some days? Candidates for removal, with the credentials to revoke.
-- days (30): days without an event
-- limit (100): most rows
SELECT tenant, agent_uid, agent_name, owner, last_seen, mapKeys(credentials) AS to_revoke
FROM v_agents
WHERE registered AND last_seen < now() - INTERVAL {days:UInt16} DAY
ORDER BY last_seen, agent_uid
LIMIT {limit:UInt32}
