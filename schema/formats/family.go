package formats

// The families of datasets. Rules name them as @llm, @gateway and @audit, so that a rule covers a new format on the day that
// the format is added.
const (
	// FamilyAudit is for the audit trails of clouds and other platforms.
	FamilyAudit = "audit"
	// FamilyGateway is for logs and telemetry of HTTP calls.
	FamilyGateway = "gateway"
	// FamilyLLM is for models, tools, MCP and the telemetry of agents.
	FamilyLLM = "llm"
)

// Families returns the families, sorted.
func Families() []string { return []string{FamilyAudit, FamilyGateway, FamilyLLM} }

// FamilyOfClass returns the family of a dataset whose events are all of one class.
func FamilyOfClass(class string) string {
	switch class {
	case ClassAPI, "http":
		return FamilyGateway
	case ClassAuth, ClassAudit:
		return FamilyAudit
	}
	return FamilyLLM
}

// FamiliesOf returns the families of one of the format's datasets, sorted.
func (f *Format) FamiliesOf(dataset string) []string {
	if own, ok := f.Apart[dataset]; ok {
		return own
	}
	return f.Families
}
