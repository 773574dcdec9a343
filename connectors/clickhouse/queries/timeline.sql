-- What did one agent do, minute by minute, and what was found?
-- agent (required): identity of the agent
-- days (7): how many days back
-- limit (1000): most rows
SELECT time, what, kind, name, severity, events, failure, blocked, summary, finding_id
FROM v_agent_timeline
WHERE agent_uid = {agent:String} AND time >= now() - INTERVAL {days:UInt16} DAY
ORDER BY time, what, name
LIMIT {limit:UInt32}
