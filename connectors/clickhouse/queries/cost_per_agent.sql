-- What does each agent cost per day, in tokens and USD?
-- days (7): how many days back
-- limit (100): most rows
SELECT c.day AS day, c.tenant AS tenant, c.agent_uid AS agent_uid, any(a.agent_name) AS agent_name, sum(c.events) AS number_of_events,
    sum(c.input_tokens) AS input, sum(c.output_tokens) AS output, sum(c.cost) AS usd
FROM v_cost AS c
LEFT JOIN v_agents AS a ON a.tenant = c.tenant AND a.agent_uid = c.agent_uid
WHERE c.day >= today() - {days:UInt16}
GROUP BY day, tenant, agent_uid
ORDER BY day DESC, usd DESC
LIMIT {limit:UInt32}
