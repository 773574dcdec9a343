-- What was given up, and why?
-- days (7): how many days back
-- limit (100): most rows
SELECT kind, reason, source, sink, count() AS number, min(time) AS first_time, max(time) AS last_time, max(seq) AS last_number, argMax(detail, time) AS last_detail
FROM v_dead_letters
WHERE time >= now() - INTERVAL {days:UInt16} DAY
GROUP BY kind, reason, source, sink
ORDER BY number DESC, kind, reason
LIMIT {limit:UInt32}
