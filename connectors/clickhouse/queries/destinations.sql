-- Which hosts and services do agents call, how many agents each, and since when?
-- days (7): how many days back
-- limit (100): most rows
SELECT host, count() AS number_of_agents, sum(calls) AS number_of_events, min(first_uses['destinations/' || host]) AS first_seen, groupUniqArray(5)(agent_uid) AS some_agents
FROM v_agents
ARRAY JOIN mapKeys(destinations) AS host, mapValues(destinations) AS calls
WHERE last_seen >= now() - INTERVAL {days:UInt16} DAY
GROUP BY host
ORDER BY number_of_agents, number_of_events, host
LIMIT {limit:UInt32}
