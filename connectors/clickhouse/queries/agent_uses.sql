-- What does one agent use, of every kind, and since when?
-- agent (required): identity of the agent
-- limit (1000): most rows
SELECT tenant, substring(use, 1, position(use, '/') - 1) AS kind, substring(use, position(use, '/') + 1) AS value, seen AS first_seen
FROM v_agents
ARRAY JOIN mapKeys(first_uses) AS use, mapValues(first_uses) AS seen
WHERE agent_uid = {agent:String}
ORDER BY tenant, kind, first_seen, value
LIMIT {limit:UInt32}
