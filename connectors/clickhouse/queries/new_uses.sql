-- Which known agents began to use a tool, a host, a model, a credential or a cloud action in the last days?
-- days (7): how many days back
-- limit (100): most rows
SELECT seen AS first_use, tenant, agent_uid, substring(use, 1, position(use, '/') - 1) AS kind, substring(use, position(use, '/') + 1) AS value
FROM v_agents
ARRAY JOIN mapKeys(first_uses) AS use, mapValues(first_uses) AS seen
WHERE seen >= now() - INTERVAL {days:UInt16} DAY AND seen > first_seen + INTERVAL 1 DAY
    AND kind IN ('tools', 'mcp_servers', 'models', 'destinations', 'credentials', 'cloud_actions', 'resource_types', 'accounts')
ORDER BY first_use DESC, agent_uid, kind, value
LIMIT {limit:UInt32}
