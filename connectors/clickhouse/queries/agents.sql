-- Which agents were seen in the last days, with their owner, sources and cost?
-- days (7): how many days back
-- limit (100): most rows
SELECT tenant, agent_uid, agent_name, owner, registered, first_seen, last_seen, mapKeys(datasets) AS sources, events, failure, cost
FROM v_agents
WHERE last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY last_seen DESC
LIMIT {limit:UInt32}
