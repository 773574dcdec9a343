-- How do the endpoints fare: attempts, failures, latency, and the last error?
-- days (1): how many days back
SELECT endpoint, count() AS attempts, countIf(NOT delivered) AS failed, round(quantile(0.99)(latency), 3) AS latency_p99, argMaxIf(status, time, NOT delivered) AS last_status,
    argMaxIf(error, time, NOT delivered) AS last_error, maxIf(time, delivered) AS last_success
FROM v_deliveries
WHERE time >= now() - INTERVAL {days:UInt16} DAY
GROUP BY endpoint
ORDER BY failed DESC, endpoint
