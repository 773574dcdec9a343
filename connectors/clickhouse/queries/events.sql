-- Which events of an agent are archived? Needs sinks.clickhouse.events.
-- agent (required): identity of the agent
-- days (1): how many days back
-- limit (100): most rows
SELECT time, dataset, class, action, outcome, session_id, tool, credential_uid, rules, fields
FROM v_events
WHERE agent_uid = {agent:String} AND time >= now() - INTERVAL {days:UInt16} DAY
ORDER BY time, source, topic, partition, offset, number
LIMIT {limit:UInt32}
