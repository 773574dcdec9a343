-- What did one agent do, minute by minute, and what was found?
SELECT time, what, kind, name, severity, events, failure, blocked, summary, finding_id
FROM v_agent_timeline
WHERE agent_uid = {agent:String} AND time >= now() - INTERVAL {days:UInt16} DAY
ORDER BY time, what, name
LIMIT {limit:UInt32}
