package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// MaxBody is the longest body in bytes: receivers are promised less than 20 KB.
const MaxBody = 20_000

// message is the body. Everything in it follows from the entry, so that it is the same over all attempts and restarts.
type message struct {
	Type      connectors.EntryType `json:"type"`
	Timestamp schema.Instant       `json:"timestamp"`
	Data      data                 `json:"data"`
}

type data struct {
	*schema.Finding
	Cut *Cut `json:"cut,omitempty"`
}

// Cut says in a body what is not in it; the whole finding is in ClickHouse and in `aidr findings show`.
type Cut struct {
	TextBytes int      `json:"text_bytes"`        // texts of evidence are at most that long
	Events    int      `json:"events,omitempty"`  // so many events of evidence are left out
	Others    int      `json:"others,omitempty"`  // other texts are at most that long, and lists cut
	Fields    []string `json:"dropped,omitempty"` // fields that are left out
}

// Body renders the entry: texts in evidence are cut first, then events of it, then the rest. An error means that the
// finding has no JSON form, which is for ever.
func Body(e *connectors.Entry) ([]byte, error) {
	m := message{Type: e.Type, Timestamp: changed(e.Finding), Data: data{Finding: e.Finding}}
	out, err := encode(m)
	if err != nil || len(out) <= MaxBody {
		return out, err
	}
	bare := cuts{}.of(e.Finding)
	least, err := encode(message{m.Type, m.Timestamp, data{Finding: bare}})
	if err != nil {
		return nil, err
	}
	for _, c := range cutter(len(e.Finding.Evidence), len(least) <= MaxBody) {
		m.Data = data{Finding: c.of(e.Finding), Cut: &c.Cut}
		if out, err = encode(m); err != nil || len(out) <= MaxBody {
			return out, err
		}
	}
	return nil, fmt.Errorf("encode finding %s: %d bytes after all is cut, want at most %d", e.Finding.ID, len(out), MaxBody)
}

// changed is when the change happened, as far as the finding itself tells: the wall clock of an attempt would make each
// attempt's body another one.
func changed(f *schema.Finding) schema.Instant {
	if f.DetectedAt == nil {
		return f.LastSeen
	}
	return max(*f.DetectedAt, f.LastSeen)
}

func encode(m message) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode finding %s: %w", m.Data.ID, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// cuts is one way to make a finding smaller.
type cuts struct {
	Cut
	keep int // events of evidence
	list int // entries of other lists and maps, where others is set
}

const (
	maxText    = 2048 // bytes of a text in evidence, halved until it fits
	minText    = 64
	maxKept    = 8 // events: a finding has no more
	otherText  = 256
	otherList  = 32
	lastText   = 48 // six bytes each at worst, so that the last cut is sure to fit
	lastList   = 4
	hiddenMark = "..."
)

// cutter lists the cuts for a finding with n events, from the smallest to the largest. Where even the finding without
// events is too large, small says so and only what cuts the rest is listed: nothing is encoded in vain.
func cutter(n int, small bool) []cuts {
	var out []cuts
	most := min(n, maxKept)
	if small {
		for text := maxText; text >= minText; text /= 2 {
			out = append(out, cuts{Cut{TextBytes: text, Events: n - most}, most, 0})
		}
		for keep := most - 1; keep >= 0; keep-- {
			out = append(out, cuts{Cut{TextBytes: minText, Events: n - keep}, keep, 0})
		}
	}
	dropped := []string{"baseline"}
	out = append(out, cuts{Cut{TextBytes: minText, Events: n, Others: otherText, Fields: dropped}, 0, otherList})
	dropped = []string{"baseline", "response", "threshold", "value"}
	return append(out, cuts{Cut{TextBytes: minText, Events: n, Others: lastText, Fields: dropped}, 0, lastList})
}

// of returns a copy of f that is cut; f is shared with others and stays as it is.
func (c cuts) of(f *schema.Finding) *schema.Finding {
	out := *f
	out.Evidence = make([]schema.Evidence, 0, c.keep)
	first := (c.keep + 1) / 2 // the first and the last ones tell most
	for i := range f.Evidence {
		if i < first || i >= len(f.Evidence)-(c.keep-first) {
			out.Evidence = append(out.Evidence, cutEvidence(f.Evidence[i], c.TextBytes))
		}
	}
	if c.Others > 0 {
		c.cutOthers(&out)
	}
	return &out
}

func cutEvidence(e schema.Evidence, n int) schema.Evidence {
	for _, s := range []*string{&e.EventID, &e.Topic, &e.Dataset, &e.Action, &e.Resource, &e.Outcome, &e.Step} {
		*s = cutText(*s, n)
	}
	fields := make(map[string]any, len(e.Fields))
	for name, v := range e.Fields {
		fields[name] = cutValue(v, n)
	}
	e.Fields = fields
	return e
}

// cutValue cuts the texts in v, however deep.
func cutValue(v any, n int) any {
	switch v := v.(type) {
	case string:
		return cutText(v, n)
	case []string:
		out := make([]string, len(v))
		for i := range v {
			out[i] = cutText(v[i], n)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cutValue(v[i], n)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = cutValue(v[k], n)
		}
		return out
	}
	return v
}

// cutOthers cuts what is not evidence.
func (c cuts) cutOthers(f *schema.Finding) {
	for _, s := range []*string{&f.RuleID, &f.Kind, &f.Title, &f.Tenant, &f.AgentUID, &f.AgentName, &f.AgentSource, &f.SessionID, &f.Explanation} {
		*s = cutText(*s, c.Others)
	}
	f.Status = schema.Status(cutText(string(f.Status), c.Others))
	f.Severity = schema.Severity(cutText(string(f.Severity), c.Others))
	f.Tags, f.Reasons = c.cutList(f.Tags), c.cutList(f.Reasons)
	names := slices.Sorted(maps.Keys(f.Key)) // not the map's own order: the body is the same each time
	key := map[string]string{}
	for _, name := range names[:min(len(names), c.list)] {
		key[cutText(name, c.Others)] = cutText(f.Key[name], c.Others)
	}
	f.Key = key
	f.Response = slices.Clone(f.Response[:min(len(f.Response), c.list)])
	for i := range f.Response {
		r := &f.Response[i]
		for _, s := range []*string{&r.Action, &r.Target, &r.State, &r.Mode, &r.TTL, &r.Result} {
			*s = cutText(*s, c.Others)
		}
	}
	for _, name := range c.Fields {
		switch name {
		case "baseline":
			f.Baseline = nil
		case "response":
			f.Response = nil
		case "threshold":
			f.Threshold = ""
		case "value":
			f.Value = ""
		}
	}
}

func (c cuts) cutList(list []string) []string {
	out := slices.Clone(list[:min(len(list), c.list)])
	for i := range out {
		out[i] = cutText(out[i], c.Others)
	}
	return out
}

// cutText returns s in at most n bytes and a mark, never half a character of it.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := n
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	if end < n-utf8.UTFMax { // no character is that long: it is not UTF-8
		end = n
	}
	return strings.Clone(s[:end]) + hiddenMark
}
