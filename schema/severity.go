package schema

import "slices"

// Severity is how bad a finding is. Severities are ordered; compare them by Rank, never as text.
type Severity string

// The severities.
const (
	SeverityInfo     Severity = "info"
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// Severities returns all severities, the lowest first.
func Severities() []Severity {
	return []Severity{SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}
}

// Rank returns the place of s in the order of severities, 0 for info, or -1 if s is not a severity.
func (s Severity) Rank() int { return slices.Index(Severities(), s) }
