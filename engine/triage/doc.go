// Package triage holds the work of people on findings: the Triage of each finding (new, acknowledged, closed with a verdict;
// owner, note, history), and Snoozes, which hold deliveries back for a time. Neither changes what is detected.
//
//	Table.Change -> store.Change: the triage, an entry for tables (connectors.TriageChanged), an entry of the audit, at once
//	Table.Holds  <- deliver, before an entry goes to an endpoint
//
// A triage is kept by the id of its finding, so a later revision of the finding does not lose it, and is deleted with the
// finding. A closed finding that goes on counting stays closed; Triage.Again reports the number since then.
package triage
