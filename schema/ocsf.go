package schema

import (
	"encoding/json"
	"fmt"
	"strings"
)

// OCSFVersion is the version of the Open Cybersecurity Schema Framework that Finding.OCSF follows: the first in which the
// evidence of a finding names an AI agent.
const OCSFVersion = "1.9.0-dev"

const (
	ocsfCategory = 2    // Findings
	ocsfClass    = 2004 // Detection Finding

	ocsfMediumConfidence = 40 // the percentage from which a confidence counts as medium
	ocsfHighConfidence   = 75 // the percentage from which a confidence counts as high
)

// The beginnings of the tags that name techniques.
const (
	attackTag = "attack.t"
	atlasTag  = "atlas.aml-t"
)

// OCSFActivity is what happened to a finding: its activity_id in OCSF.
type OCSFActivity int

// The activities of a finding.
const (
	OCSFCreate OCSFActivity = 1
	OCSFUpdate OCSFActivity = 2
	OCSFClose  OCSFActivity = 3
)

// String returns the caption of the activity.
func (a OCSFActivity) String() string {
	switch a {
	case OCSFCreate:
		return "Create"
	case OCSFUpdate:
		return "Update"
	case OCSFClose:
		return "Close"
	}
	return "Unknown"
}

// OCSFActivityOf returns the activity that brought the finding to its current revision.
func OCSFActivityOf(f *Finding) OCSFActivity {
	switch {
	case f.Status == StatusWithdrawn:
		return OCSFClose
	case f.Change() <= 1:
		return OCSFCreate
	}
	return OCSFUpdate
}

// OCSF returns the finding as a Detection Finding (class 2004) of OCSF, ready to be encoded as JSON. Times are milliseconds
// since 1970. The values that OCSF has no attribute for are in unmapped, under their names in Finding.
func (f *Finding) OCSF(activity OCSFActivity) map[string]any {
	severity, severityID := ocsfSeverity(f.Severity)
	status, statusID := "New", 1
	if f.Status == StatusWithdrawn {
		status, statusID = "Deleted", 6 // OCSF: "it might have been created in error"
	}
	out := map[string]any{
		"activity_id": int(activity), "activity_name": activity.String(),
		"category_uid": ocsfCategory, "category_name": "Findings",
		"class_uid": ocsfClass, "class_name": "Detection Finding",
		"type_uid": ocsfClass*100 + int(activity), "type_name": "Detection Finding: " + activity.String(),
		"time": f.created().milliseconds(), "start_time": f.FirstSeen.milliseconds(), "end_time": f.LastSeen.milliseconds(),
		"severity_id": severityID, "severity": severity,
		"confidence_id": ocsfConfidence(f.Confidence), "confidence_score": f.Confidence,
		"status_id": statusID, "status": status,
		"is_alert": f.Status != StatusWithdrawn,
		"message":  f.Summary,
		"metadata": f.ocsfMetadata(), "finding_info": f.ocsfInfo(), "unmapped": f.ocsfUnmapped(),
	}
	set(out, "status_detail", f.WithdrawnReason)
	if e := f.ocsfEvidences(); len(e) > 0 {
		out["evidences"] = e
	}
	if r := f.ocsfResources(); len(r) > 0 {
		out["resources"] = r
	}
	if g := f.Guide; g != nil && len(g.WhatToDo) > 0 {
		remediation := map[string]any{"desc": strings.Join(g.WhatToDo, "\n")}
		if g.Runbook != "" {
			remediation["references"] = []string{g.Runbook}
		}
		out["remediation"] = remediation
	}
	if a := f.ocsfAnomalies(); a != nil {
		out["anomaly_analyses"] = []any{a}
	}
	return out
}

// created returns the time at which the finding was first emitted; in a replay that is the time of its last event.
func (f *Finding) created() Instant {
	if f.DetectedAt != nil {
		return *f.DetectedAt
	}
	return f.LastSeen
}

// milliseconds returns the instant in milliseconds since 1970, rounded down.
func (t Instant) milliseconds() int64 {
	const unit = 1_000_000
	ms := int64(t) / unit
	if int64(t)%unit < 0 {
		ms--
	}
	return ms
}

// set adds an attribute to an object unless it is empty.
func set(object map[string]any, name, value string) {
	if value != "" {
		object[name] = value
	}
}

// ocsfSeverity returns the caption and the number of a severity.
func ocsfSeverity(s Severity) (caption string, id int) {
	captions := [...]string{"Unknown", "Informational", "Low", "Medium", "High", "Critical"}
	id = s.Rank() + 1
	return captions[id], id
}

// ocsfConfidence returns the number of a confidence in percent.
func ocsfConfidence(percent int) int {
	switch {
	case percent >= ocsfHighConfidence:
		return 3
	case percent >= ocsfMediumConfidence:
		return 2
	}
	return 1
}

// OCSFMetadata returns the metadata of an event in OCSF about a version of something, such as a revision of a finding.
func OCSFMetadata(id ID, version uint64, tenant string) map[string]any {
	m := map[string]any{
		"version": OCSFVersion, "product": map[string]any{"name": "AIDR", "vendor_name": "aidr-engine"},
		"uid": fmt.Sprintf("%s-%d", id, version), "sequence": version,
	}
	set(m, "tenant_uid", tenant)
	return m
}

func (f *Finding) ocsfMetadata() map[string]any {
	m := OCSFMetadata(f.ID, f.Revision, f.Tenant)
	set(m, "correlation_uid", f.SessionID)
	if len(f.Tags) > 0 {
		m["labels"] = f.Tags
	}
	return m
}

func (f *Finding) ocsfInfo() map[string]any {
	info := map[string]any{
		"uid": f.ID.String(), "title": f.Title, "desc": f.Explanation, "types": []string{f.Kind},
		"analytic": map[string]any{
			"uid": f.RuleID, "name": f.Title, "version": fmt.Sprint(f.RuleVersion), "category": f.Kind, "type_id": 1, "type": "Rule",
		},
		"created_time": f.created().milliseconds(), "first_seen_time": f.FirstSeen.milliseconds(), "last_seen_time": f.LastSeen.milliseconds(),
		"related_events_count": f.Count,
	}
	var attacks []any
	for _, tag := range f.Tags {
		if a := ocsfAttack(tag); a != nil {
			attacks = append(attacks, a)
		}
	}
	if attacks != nil {
		info["attacks"] = attacks
	}
	var events []any
	for i := range f.Evidence {
		events = append(events, f.Evidence[i].ocsfRelated())
	}
	if events != nil {
		info["related_events"] = events
	}
	return info
}

// ocsfAttack returns the technique of ATT&CK or ATLAS that a tag names, or nil.
func ocsfAttack(tag string) map[string]any {
	if id, ok := strings.CutPrefix(tag, attackTag); ok {
		name, sub, isSub := strings.Cut("T"+id, ".")
		if isSub {
			return map[string]any{"technique": map[string]any{"uid": name}, "sub_technique": map[string]any{"uid": name + "." + sub}}
		}
		return map[string]any{"technique": map[string]any{"uid": name}}
	}
	if id, ok := strings.CutPrefix(tag, atlasTag); ok {
		name, sub, isSub := strings.Cut("AML.T"+id, ".0")
		if isSub && len(sub) == 2 {
			return map[string]any{"technique": map[string]any{"uid": name}, "sub_technique": map[string]any{"uid": name + ".0" + sub}}
		}
		return map[string]any{"technique": map[string]any{"uid": "AML.T" + id}}
	}
	return nil
}

// uid returns the id of the event: the producer's, or else its identity.
func (e *Evidence) uid() string {
	if e.EventID != "" {
		return e.EventID
	}
	return e.Identity.String()
}

func (e *Evidence) ocsfRelated() map[string]any {
	r := map[string]any{"uid": e.uid(), "first_seen_time": e.Time.milliseconds()}
	set(r, "title", e.Action)
	set(r, "type", e.Class)
	return r
}

// ocsfEvidences returns one evidence artifact for each event.
func (f *Finding) ocsfEvidences() (out []any) {
	for i := range f.Evidence {
		e := &f.Evidence[i]
		o := map[string]any{"uid": e.uid(), "data": e}
		if agent := f.ocsfAgent(); len(agent) > 0 {
			o["ai_agent"] = agent
		}
		if e.Action != "" {
			api := map[string]any{"operation": e.Action}
			if e.ToolServer != "" {
				api["service"] = map[string]any{"name": e.ToolServer}
			}
			o["api"] = api
		}
		out = append(out, o)
	}
	return out
}

func (f *Finding) ocsfAgent() map[string]any {
	a := map[string]any{}
	set(a, "uid", f.AgentUID)
	set(a, "name", f.AgentName)
	if len(a) > 0 { // OCSF demands one of the two
		set(a, "instance_uid", f.SessionID)
	}
	return a
}

// ocsfResources returns the targets and the resources of the events, each once, in their order.
func (f *Finding) ocsfResources() (out []any) {
	seen := map[string]bool{}
	for i := range f.Evidence {
		for _, name := range []string{f.Evidence[i].Resource, f.Evidence[i].Target} {
			if name != "" && !seen[name] {
				seen[name] = true
				out = append(out, map[string]any{"name": name, "uid": name, "role_id": 1, "role": "Target"})
			}
		}
	}
	return out
}

// ocsfAnomalies returns the analysis of a finding that compares a value with the agent's own past, or nil.
func (f *Finding) ocsfAnomalies() map[string]any {
	if len(f.Baseline) == 0 {
		return nil
	}
	var numbers map[string]json.RawMessage
	if json.Unmarshal(f.Baseline, &numbers) != nil {
		return nil
	}
	observed := func(value, pattern string) map[string]any {
		o := map[string]any{"observation_parameter": f.RuleID, "observations": []any{map[string]any{"value": value}}}
		set(o, "observed_pattern", pattern)
		return o
	}
	value := f.Value.String()
	if value == "" {
		value = fmt.Sprint(f.Count)
	}
	target := f.AgentUID
	if target == "" {
		target = f.RuleID
	}
	out := map[string]any{
		"analysis_targets": []any{map[string]any{"name": target, "type": "agent"}},
		"anomalies":        []any{observed(value, f.Explanation)},
	}
	if median := numbers["median"]; median != nil {
		out["baselines"] = []any{observed(string(median), string(f.Baseline))}
	}
	return out
}

// ocsfUnmapped returns the values without an attribute in OCSF.
func (f *Finding) ocsfUnmapped() map[string]any {
	u := map[string]any{"key": f.Key, "group_start": f.GroupStart.milliseconds(), "count": f.Count, "finding_status": f.Status}
	set(u, "agent_uid_source", f.AgentSource)
	set(u, "value", f.Value.String())
	set(u, "threshold", f.Threshold.String())
	if len(f.Baseline) > 0 {
		u["baseline"] = f.Baseline
	}
	if f.Provenance != nil {
		u["provenance"] = f.Provenance
	}
	if len(f.Reasons) > 0 {
		u["reasons"] = f.Reasons
	}
	if len(f.Response) > 0 {
		u["response"] = f.Response
	}
	if f.Guide != nil {
		u["guide"] = f.Guide
	}
	if f.Late {
		u["late"] = true
	}
	if f.Operational {
		u["operational"] = true
	}
	return u
}
