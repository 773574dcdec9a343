-- Which agents were seen for the first time in the last days?
-- days (7): how many days back
-- limit (100): most rows
SELECT tenant, agent_uid, agent_name, registered, first_seen, mapKeys(datasets) AS sources, mapKeys(tools) AS tools_used, mapKeys(destinations) AS hosts, events
FROM v_agents
WHERE first_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY first_seen DESC, agent_uid
LIMIT {limit:UInt32}
