-- Which agents deserve a look first: by open findings, then by the reach of the agent?
-- days (7): how many days back
-- limit (50): most rows
SELECT k.tenant AS tenant, k.agent_uid AS agent_uid, a.agent_name AS agent_name, a.owner AS owner, k.severity AS severity,
    k.critical_number AS critical, k.high_number AS high, k.medium_number AS medium, k.number_of_rules AS rules,
    length(a.tools) + length(a.destinations) + length(a.cloud_actions) + length(a.credentials) AS reach, k.last_seen AS last_seen
FROM v_agent_risk AS k
LEFT JOIN v_agents AS a ON a.tenant = k.tenant AND a.agent_uid = k.agent_uid
WHERE k.last_seen >= now() - INTERVAL {days:UInt16} DAY
ORDER BY critical DESC, high DESC, medium DESC, reach DESC, agent_uid
LIMIT {limit:UInt32}
