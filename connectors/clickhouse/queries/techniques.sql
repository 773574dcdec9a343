-- Which techniques were found, by the tags of rules: OWASP, MITRE ATLAS, ATT&CK and your own?
-- days (30): how many days back
-- limit (100): most rows
SELECT tag, count() AS findings, uniqExact(tenant, agent_uid) AS number_of_agents, toString(max(severity)) AS highest_severity, max(last_seen) AS latest
FROM v_open_findings
ARRAY JOIN tags AS tag
WHERE group_start >= now() - INTERVAL {days:UInt16} DAY
GROUP BY tag
ORDER BY findings DESC, tag
LIMIT {limit:UInt32}
