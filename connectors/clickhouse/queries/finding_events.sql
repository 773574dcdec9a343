-- Which events is a finding based on? Those that evidence keeps: the first 3 and the last 5.
-- id (required): id of the finding
SELECT number, time, dataset, class, action, tool, target, resource, outcome, credential_uid, source_ip, workflow, step, fields
FROM v_finding_events
WHERE finding_id = {id:UUID}
ORDER BY number
