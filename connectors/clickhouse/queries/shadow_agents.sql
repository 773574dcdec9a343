-- Which agents does no registry know, and what do they use?
-- days (7): how many days back
-- limit (100): most rows
SELECT tenant, agent_uid, agent_name, first_seen, last_seen, datasets, tools, destinations, credentials, events, cost
FROM v_shadow_agents
WHERE last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY first_seen DESC
LIMIT {limit:UInt32}
