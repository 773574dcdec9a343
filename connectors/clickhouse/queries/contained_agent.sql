-- What did an agent do since it was contained, minute by minute?
-- agent (required): identity of the agent
-- limit (1000): most rows
SELECT t.minute AS minute, t.class AS class, t.action AS action, t.events AS events, t.success AS success, t.failure AS failure,
    t.blocked AS blocked, r.state AS state, r.until AS until
FROM v_agent_activity_1m AS t
INNER JOIN
(
    SELECT agent_uid, argMax(state, since) AS state, argMax(until, since) AS until, max(since) AS contained_since
    FROM v_responses
    WHERE agent_uid = {agent:String} AND status != 'proposed' AND status != 'rejected'
    GROUP BY agent_uid
) AS r ON r.agent_uid = t.agent_uid
WHERE t.agent_uid = {agent:String} AND t.minute >= toStartOfMinute(r.contained_since)
ORDER BY minute, class, action
LIMIT {limit:UInt32}
