-- How many findings were there per day, by severity?
-- days (30): how many days back
SELECT toDate(group_start) AS day, countIf(severity = 'critical') AS critical, countIf(severity = 'high') AS high,
    countIf(severity = 'medium') AS medium, countIf(severity <= 'low') AS low, uniqExact(tenant, agent_uid) AS number_of_agents
FROM v_open_findings
WHERE group_start >= now() - INTERVAL {days:UInt16} DAY AND NOT operational
GROUP BY day
ORDER BY day DESC
