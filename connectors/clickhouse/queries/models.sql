-- Which models are used, by how many agents, with how many tokens and at which cost?
-- days (7): how many days back
-- limit (50): most rows
SELECT tenant, name, mapKeys(providers) AS provider, length(agents) AS number_of_agents, events, input_tokens, output_tokens, cost, first_seen, last_seen
FROM v_tools
WHERE type = 'model' AND last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY cost DESC, events DESC, name
LIMIT {limit:UInt32}
