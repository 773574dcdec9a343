-- For which people do agents act, through which agents and credentials?
-- days (7): how many days back
-- limit (100): most rows
SELECT person, tenant, groupUniqArray(agent_uid) AS agents, groupUniqArrayArray(mapKeys(credentials)) AS with_credentials, sum(acts) AS number_of_events
FROM v_agents
ARRAY JOIN mapKeys(on_behalf_of) AS person, mapValues(on_behalf_of) AS acts
WHERE last_seen >= now() - INTERVAL {days:UInt16} DAY
GROUP BY person, tenant
ORDER BY number_of_events DESC, person
LIMIT {limit:UInt32}
