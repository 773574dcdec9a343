-- Which agents fail or are blocked most, and at which actions?
-- days (1): how many days back
-- limit (50): most rows
SELECT tenant, agent_uid, class, action, sum(t.events) AS number_of_events, sum(t.failure) AS failed, sum(t.blocked) AS blocked_events,
    round(failed / number_of_events, 3) AS share
FROM v_agent_activity_1m AS t
WHERE minute >= now() - INTERVAL {days:UInt16} DAY
GROUP BY tenant, agent_uid, class, action
HAVING failed + blocked_events > 0
ORDER BY failed + blocked_events DESC, agent_uid, action
LIMIT {limit:UInt32}
