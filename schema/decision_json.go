package schema

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// AppendJSON appends the JSON of the decision, the same bytes that json.Marshal returns. A gateway asks on each call of an agent,
// and reflection would take a third of the time of an answer.
func (d *Decision) AppendJSON(b []byte) []byte {
	b = appendQuoted(append(b, `{"verdict":`...), string(d.Verdict))
	b = appendIDField(b, `,"containment_id":`, d.ContainmentID)
	b = appendTextField(b, `,"scope":`, string(d.Scope))
	b = appendIDField(b, `,"finding_id":`, d.FindingID)
	b = appendTextField(b, `,"rule_id":`, d.RuleID)
	b = appendTextField(b, `,"reason":`, d.Reason)
	if d.Until != 0 {
		b = appendInstant(append(b, `,"until":`...), d.Until)
	}
	if d.PerMinute != 0 {
		b = strconv.AppendInt(append(b, `,"per_minute":`...), int64(d.PerMinute), 10)
	}
	if d.RetryMS != 0 {
		b = strconv.AppendInt(append(b, `,"retry_ms":`...), d.RetryMS, 10)
	}
	b = appendIDField(b, `,"approval_id":`, d.ApprovalID)
	b = appendTextField(b, `,"would":`, string(d.Would))
	b = appendIDField(b, `,"would_id":`, d.WouldID)
	b = strconv.AppendUint(append(b, `,"version":`...), d.Version, 10)
	b = appendInstant(append(b, `,"epoch":`...), d.Epoch)
	b = strconv.AppendInt(append(b, `,"age_ms":`...), d.AgeMS, 10)
	if d.Risk != nil {
		b = d.Risk.appendJSON(append(b, `,"risk":`...))
	}
	return append(b, '}')
}

func (r *Risk) appendJSON(b []byte) []byte {
	b = append(b, `{"open_findings":[`...)
	for i, n := range r.Open {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	b = append(b, ']')
	b = appendListField(b, `,"tainted_sessions":[`, r.Tainted)
	b = appendListField(b, `,"new_tools":[`, r.NewTools)
	b = appendListField(b, `,"new_destinations":[`, r.NewDestinations)
	b = appendQuoted(append(b, `,"highest":`...), string(r.Highest))
	return append(b, '}')
}

func appendListField(b []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, name...)
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, s)
	}
	return append(b, ']')
}

func appendTextField(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendQuoted(append(b, name...), text)
}

func appendIDField(b []byte, name string, id ID) []byte {
	if id.IsZero() {
		return b
	}
	b = append(append(b, name...), '"')
	for i, part := range [...][]byte{id[0:4], id[4:6], id[6:8], id[8:10], id[10:16]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return append(b, '"')
}

func appendInstant(b []byte, t Instant) []byte {
	b = append(b, '"')
	b = time.Unix(0, int64(t)).UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendQuoted appends a text as json.Marshal does. Texts with characters that need an escape are left to it.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("BUG: a text cannot be encoded as JSON: " + err.Error())
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
