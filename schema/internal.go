package schema

// The datasets of events that the process makes about itself. Rules on them name them, name no other datasets, and feed no
// rule.
const (
	DatasetAudit  = "aidr.audit"  // entries of the audit, except those of triage
	DatasetCanary = "aidr.canary" // synthetic events, to see that detection and delivery work
)

// IsInternal reports whether a dataset holds events of the process itself.
func IsInternal(dataset string) bool { return dataset == DatasetAudit || dataset == DatasetCanary }
