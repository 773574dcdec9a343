-- Which findings are open, the worst first, and what is to be done about them?
-- days (7): how many days back
-- severity (info): lowest severity
-- limit (100): most rows
SELECT f.severity AS severity, f.last_seen AS last_seen, f.rule_id AS rule_id, f.tenant AS tenant, f.agent_uid AS agent_uid, f.tool AS tool,
    f.target AS target, f.summary AS summary, r.what_to_do AS what_to_do, f.id AS id
FROM v_open_findings AS f
LEFT JOIN v_rules AS r ON r.rule_id = f.rule_id
WHERE f.last_seen >= now() - INTERVAL {days:UInt16} DAY
    AND f.severity >= CAST({severity:String}, 'Enum8(\'info\' = 1, \'low\' = 2, \'medium\' = 3, \'high\' = 4, \'critical\' = 5)')
ORDER BY f.severity DESC, f.last_seen DESC, f.id
LIMIT {limit:UInt32}
