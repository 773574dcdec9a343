package deploy

// boards are the dashboards. Every metric in them is one of cmd/aidr/metrics/METRICS.md.
var boards = []board{pipelineBoard, rulesBoard, deliveryBoard, responseBoard}

var pipelineBoard = board{
	uid: "aidr-pipeline", title: "AIDR: pipeline", description: "Reading, decoding, time, memory and checkpoints.",
	rows: []row{
		{"Reading", []panel{
			{"Records read", "Records per second of each source, decodable or not.", "short", []query{
				{`sum by (source) (rate(aidr_source_records_total{instance=~"$instance"}[5m]))`, "{{source}}"}}},
			{"Lag", "Records that are not read yet.", "short", []query{
				{`sum by (source, topic) (aidr_source_lag_records{instance=~"$instance"})`, "{{source}} {{topic}}"}}},
			{"Events", "Events per second of each dataset.", "short", []query{
				{`sum by (dataset) (rate(aidr_events_total{instance=~"$instance"}[5m]))`, "{{dataset}}"}}},
			{"Dead letters", "Records, rows and deliveries per second that were given up.", "short", []query{
				{`sum by (kind, reason) (rate(aidr_dead_letters_total{instance=~"$instance"}[5m]))`, "{{kind}} {{reason}}"}}},
			{"Elements skipped on purpose", "Elements of known formats per second that concern no agent.", "short", []query{
				{`sum by (dataset, reason) (rate(aidr_skipped_elements_total{instance=~"$instance"}[5m]))`, "{{dataset}} {{reason}}"}}},
			{"Fields of an impossible type", "Fields per second that were left out.", "short", []query{
				{`sum by (dataset, field) (rate(aidr_field_errors_total{instance=~"$instance"}[5m]))`, "{{dataset}} {{field}}"}}},
		}},
		{"Time", []panel{
			{"Age of the watermark", "How far the event time of each partition is behind the clock.", "s", []query{
				{`time() - min by (source, topic) (aidr_watermark_timestamp_seconds{instance=~"$instance"})`, "{{source}} {{topic}}"}}},
			{"Share of late events", "Events below their watermark, or dated after their record.", "percentunit", []query{
				{`sum by (dataset, why) (rate(aidr_late_events_total{instance=~"$instance"}[15m])) / on (dataset) group_left sum by (dataset) (rate(aidr_events_total{instance=~"$instance"}[15m]))`,
					"{{dataset}} {{why}}"}}},
		}},
		{"Memory and checkpoints", []panel{
			{"Memory", "Estimated memory of each part, and the budget of all.", "bytes", []query{
				{`sum by (part) (aidr_memory_bytes{instance=~"$instance"})`, "{{part}}"},
				{`sum (aidr_memory_budget_bytes{instance=~"$instance"})`, "budget"},
				{`sum (process_resident_memory_bytes{instance=~"$instance",job=~".*aidr.*"})`, "resident"}}},
			{"CPU", "Cores in use.", "short", []query{
				{`sum by (instance) (rate(process_cpu_seconds_total{instance=~"$instance",job=~".*aidr.*"}[5m]))`, "{{instance}}"}}},
			{"Duration of checkpoints", "From the barrier to the disk.", "s", []query{
				{`histogram_quantile(0.5, sum by (le) (rate(aidr_checkpoint_seconds_bucket{instance=~"$instance"}[5m])))`, "half"},
				{`histogram_quantile(0.99, sum by (le) (rate(aidr_checkpoint_seconds_bucket{instance=~"$instance"}[5m])))`, "99 %"}}},
			{"Age of the last checkpoint", "An idle engine makes none.", "s", []query{
				{`time() - aidr_checkpoint_last_timestamp_seconds{instance=~"$instance"}`, "{{instance}}"}}},
			{"State directory", "Size of the database, and free space of its disk.", "bytes", []query{
				{`aidr_state_bytes{instance=~"$instance"}`, "{{instance}} database"},
				{`aidr_state_disk_free_bytes{instance=~"$instance"}`, "{{instance}} free"}}},
			{"Health", "0 ok, 1 degraded, 2 down.", "short", []query{
				{`max by (component) (aidr_component_health{instance=~"$instance"})`, "{{component}}"}}},
		}},
	},
}

var rulesBoard = board{
	uid: "aidr-rules", title: "AIDR: rules", description: "What rules find, what they cost, and what they miss.",
	rows: []row{
		{"Findings", []panel{
			{"Changes of findings by severity", "Openings, updates, settlings and withdrawals per hour.", "short", []query{
				{`sum by (severity) (increase(aidr_findings_total{instance=~"$instance"}[1h]))`, "{{severity}}"}}},
			{"Rules that find most", "Changes of findings per hour, the first ten rules.", "short", []query{
				{`topk(10, sum by (rule) (increase(aidr_findings_total{instance=~"$instance"}[1h])))`, "{{rule}}"}}},
		}},
		{"Rules", []panel{
			{"Rules by state", "Active, shadow, idle, draft and disabled rules.", "short", []query{
				{`max by (state) (aidr_rules{instance=~"$instance"})`, "{{state}}"}}},
			{"Rules that warm up", "Their State does not know all of its window yet.", "short", []query{
				{`max (aidr_rules_warming{instance=~"$instance"})`, "rules"}}},
			{"Time of rules", "Share of a core, the first ten rules.", "percentunit", []query{
				{`topk(10, sum by (rule) (rate(aidr_rule_seconds_total{instance=~"$instance"}[5m])))`, "{{rule}}"}}},
			{"Conditions that fail", "Events per second that a rule did not see, or that an exception left out.", "short", []query{
				{`topk(10, sum by (rule, why) (rate(aidr_rule_events_total{instance=~"$instance"}[5m])))`, "{{rule}} {{why}}"}}},
			{"Limits reached", "Times per hour that a rule gave something up.", "short", []query{
				{`topk(10, sum by (rule, limit) (increase(aidr_rule_limits_total{instance=~"$instance"}[1h])))`, "{{rule}} {{limit}}"}}},
			{"Late items", "Late events per hour that a stateful rule could not take.", "short", []query{
				{`topk(10, sum by (rule) (increase(aidr_rule_late_items_total{instance=~"$instance"}[1h])))`, "{{rule}}"}}},
			{"Missing keys", "Matched events per hour that lack a field of `by` or `of`.", "short", []query{
				{`topk(10, sum by (rule) (increase(aidr_rule_missing_key_total{instance=~"$instance"}[1h])))`, "{{rule}}"}}},
			{"Last reload", "1 if the rules, or the configuration, loaded the last time.", "short", []query{
				{`min (aidr_rules_last_reload_success{instance=~"$instance"})`, "rules"},
				{`min (aidr_config_last_reload_success{instance=~"$instance"})`, "configuration"}}},
		}},
	},
}

var deliveryBoard = board{
	uid: "aidr-delivery", title: "AIDR: delivery", description: "How findings reach ClickHouse and webhooks.",
	rows: []row{
		{"Outbox", []panel{
			{"Waiting changes", "Changes of findings that a sink does not have yet.", "short", []query{
				{`sum by (sink) (aidr_outbox_entries{instance=~"$instance"})`, "{{sink}}"}}},
			{"Age of the oldest", "How long a finding has waited.", "s", []query{
				{`max by (sink) (aidr_outbox_oldest_seconds{instance=~"$instance"})`, "{{sink}}"}}},
			{"Results of deliveries", "Deliveries per second by result.", "short", []query{
				{`sum by (sink, result) (rate(aidr_deliveries_total{instance=~"$instance"}[5m]))`, "{{sink}} {{result}}"}}},
			{"From detection to the sink", "99 % of findings take less.", "s", []query{
				{`histogram_quantile(0.99, sum by (le, sink) (rate(aidr_finding_delivery_seconds_bucket{instance=~"$instance"}[15m])))`, "{{sink}}"}}},
			{"Size of the outbox", "In the state directory.", "bytes", []query{
				{`sum by (sink) (aidr_outbox_bytes{instance=~"$instance"})`, "{{sink}}"}}},
			{"Duration of writes", "99 % of writes take less.", "s", []query{
				{`histogram_quantile(0.99, sum by (le, sink) (rate(aidr_sink_write_seconds_bucket{instance=~"$instance"}[15m])))`, "{{sink}}"}}},
		}},
		{"Webhooks", []panel{
			{"Answers", "Requests per second by status or reason.", "short", []query{
				{`sum by (sink, status) (rate(aidr_webhook_attempts_total{instance=~"$instance"}[5m]))`, "{{sink}} {{status}}"}}},
			{"Duration of requests", "99 % of requests take less.", "s", []query{
				{`histogram_quantile(0.99, sum by (le, sink) (rate(aidr_webhook_attempt_seconds_bucket{instance=~"$instance"}[15m])))`, "{{sink}}"}}},
		}},
		{"Dead letters", []panel{
			{"Waiting dead letters", "In the state directory.", "short", []query{
				{`sum by (share) (aidr_dead_letters_waiting{instance=~"$instance"})`, "{{share}}"}}},
			{"Size of dead letters", "In the state directory.", "bytes", []query{
				{`sum by (instance) (aidr_dead_letters_bytes{instance=~"$instance"})`, "{{instance}}"}}},
		}},
	},
}

var responseBoard = board{
	uid: "aidr-response", title: "AIDR: response", description: "Containment, its proof, and the decisions that gateways ask for.",
	rows: []row{
		{"Containment", []panel{
			{"Containments by proof", "asked, enforced, verified, failed.", "short", []query{
				{`sum by (status, stage) (aidr_containments{instance=~"$instance"})`, "{{status}} {{stage}}"}}},
			{"What rules asked for", "Containments per hour that rules asked for, by outcome.", "short", []query{
				{`sum by (rule, outcome) (increase(aidr_responses_total{instance=~"$instance"}[1h]))`, "{{rule}} {{outcome}}"}}},
		}},
		{"Decisions", []panel{
			{"Answers", "Answers per second by enforcement point and verdict.", "short", []query{
				{`sum by (point, verdict) (rate(aidr_decisions_total{instance=~"$instance"}[5m]))`, "{{point}} {{verdict}}"}}},
			{"Duration of decisions", "From the question to its answer.", "s", []query{
				{`histogram_quantile(0.5, sum by (le) (rate(aidr_decision_seconds_bucket{instance=~"$instance"}[5m])))`, "half"},
				{`histogram_quantile(0.99, sum by (le) (rate(aidr_decision_seconds_bucket{instance=~"$instance"}[5m])))`, "99 %"}}},
			{"Requests without authentication", "Requests per second that were refused.", "short", []query{
				{`sum by (instance) (rate(aidr_decision_requests_refused_total{instance=~"$instance"}[5m]))`, "{{instance}}"}}},
			{"Followers", "Processes that follow the containment table.", "short", []query{
				{`sum by (instance) (aidr_decision_streams{instance=~"$instance"})`, "{{instance}}"}}},
		}},
	},
}
