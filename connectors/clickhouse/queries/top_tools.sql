-- Which tools are called most, by how many agents, and how often do they fail?
-- days (7): how many days back
-- limit (50): most rows
SELECT tenant, type, name, length(agents) AS number_of_agents, events, failure, blocked, first_seen, last_seen
FROM v_tools
WHERE type = 'tool' AND last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY events DESC, name
LIMIT {limit:UInt32}
