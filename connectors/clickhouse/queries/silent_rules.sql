-- Which rules matched nothing in the last days? Either all is well, or a source lacks what they need.
-- days (30): how many days back
-- limit (1000): most rows
SELECT rule_id, title, stage, severity, datasets
FROM v_rules
WHERE stage NOT IN ('disabled', 'draft')
    AND rule_id NOT IN (SELECT rule_id FROM v_rule_stats_1m WHERE minute >= now() - INTERVAL {days:UInt16} DAY AND matched > 0)
ORDER BY rule_id
LIMIT {limit:UInt32}
