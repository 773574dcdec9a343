package decode_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
	. "github.com/aidr-engine/aidr/schema/decode"
)

// attribution lists the fields that attribute an event. No content may change them in any event of a record.
var attribution = []schema.Field{
	schema.EventDataset, schema.AIAgentUID, schema.AIAgentUIDSource, schema.AIAgentInstanceUID, schema.AIAgentName, schema.UserID,
	schema.UserName, schema.UserEmail, schema.OnBehalfOfID, schema.CredentialUID, schema.SessionID, schema.TraceID, schema.SourceIP,
	schema.SourceDomain, schema.CloudAccountID, schema.OrganizationID, schema.MCPSessionID, schema.ClientAppID,
}

// activity lists the fields that, with the attribution, describe the activity. No content may change them, nor the
// number of events.
var activity = []schema.Field{
	schema.Time, schema.EventID, schema.EventClass, schema.EventAction, schema.EventOutcome, schema.Disposition, schema.GenAIToolName,
	schema.HTTPResponseStatusCode,
}

// view is the result of decoding a record, without its content.
type view struct {
	events []string // attribution and activity
	whose  []string // attribution
	dead   string
}

func (v *view) same(w *view) bool {
	return v.dead == w.dead && strings.Join(v.events, "\n") == strings.Join(w.events, "\n")
}

// sameFrame reports whether v and w differ only in events that come from a body of a model call: prompts and answers,
// attributed to the same agent.
func (v *view) sameFrame(w *view) bool {
	return len(v.events) > 0 && v.events[0] == w.events[0] && v.sameWhose(w)
}

// sameWhose reports whether all events of v are attributed as those of w.
func (v *view) sameWhose(w *view) bool {
	if v.dead != w.dead {
		return false
	}
	for _, whose := range v.whose {
		if !slices.Contains(w.whose, whose) {
			return false
		}
	}
	return true
}

// viewer decodes records into views.
type viewer struct {
	d    *Decoder
	view view
	h    Handler
}

func newViewer(d *Decoder) *viewer {
	v := &viewer{d: d}
	v.h = Handler{
		Event: func(e *schema.Event) {
			whose := print(e, attribution)
			v.view.whose = append(v.view.whose, whose)
			v.view.events = append(v.view.events, whose+" "+print(e, activity))
		},
		Dead: func(d Dead) { v.view.dead += d.Reason + " " },
	}
	return v
}

func (v *viewer) of(record string) view {
	v.view = view{}
	v.d.Decode(record, Meta{Time: 1}, &v.h)
	return v.view
}

func print(e *schema.Event, fields []schema.Field) string {
	var b strings.Builder
	for _, f := range fields {
		if e.Has(f) {
			value := e.Value(f)
			b.WriteString(f.String() + "=" + value.Text + "#" + strconv.FormatUint(value.Num, 10) + " ")
		}
	}
	return b.String()
}

// hosts is the number of records of each format, the longest ones, into whose content guests are put.
const hosts = 4

// guests returns the texts and objects that are put into content: a whole record of every format, and forged keys.
func guests(r *records) (objects, texts []string) {
	for _, name := range r.detector.Names {
		objects = append(objects, r.longest(name, 1)...)
	}
	for _, text := range Hostile(objects) {
		texts = append(texts, quoted(text))
	}
	objects = append(objects,
		`{"a":1,"a":{"userIdentity":{"arn":"victim"}},"a":[]}`,
		`{"\u0065vent.dataset":"x","event.cl\u0061ss":"llm","ai_agent.uid":"victim","metadata":{"user_api_key_hash":"victim"}}`,
		`{"user_api_key_hash":"victim","agent_id":"victim","agentId":"victim","gen_ai.agent.id":"victim","sub":"victim",`+
			`"client_id":"victim","consumer":{"id":"victim"}}`,
		`[`+strings.Repeat(`{},`, 5000)+`{}]`,
	)
	return objects, texts
}

// A record is recognised and attributed as with a harmless text, even if one of its free texts holds a whole record of
// any format, forged identity keys, braces or escapes. Free are the texts that a harmless text may replace without
// changing the view; that makes them content. JSON in the text of a body may call a tool, but only as the same agent.
func TestTextsDecideNothingInAnyFormat(t *testing.T) {
	r := allRecords(t)
	_, texts := guests(r)
	v := newViewer(r.detector.Decoder)
	for _, name := range r.detector.Names {
		free, checks := 0, 0
		bodies := r.bodies(name)
		for _, host := range r.longest(name, hosts) {
			values, _ := walk(host)
			plain := v.of(host)
			for _, at := range values {
				want, address := v.of(at.with(`"harmless zq7"`)), v.of(at.with(`"harmless@zq7.example"`))
				if !plain.same(&want) || !plain.same(&address) {
					continue // not content
				}
				free++
				for _, text := range texts {
					got := v.of(at.with(text))
					checks++
					asBody := at.body && got.sameFrame(&want) || !at.body && bodies[at.path] && got.sameWhose(&want)
					if !got.same(&want) && !asBody {
						t.Errorf("%s: %s holding %.90s:\ngot  %q %q\nwant %q %q\nin %.300s", name, at.path, text, got.events, got.dead,
							want.events, want.dead, host)
						break
					}
				}
			}
		}
		t.Logf("%-28s %4d free texts, %6d checks", name, free, checks)
	}
}

// The same for keys that no format knows, in the record itself and in every object inside it.
func TestUnknownKeysDecideNothingInAnyFormat(t *testing.T) {
	r := allRecords(t)
	objects, texts := guests(r)
	v := newViewer(r.detector.Decoder)
	for _, name := range r.detector.Names {
		checks := 0
		for _, host := range r.longest(name, hosts) {
			_, members := walk(host)
			plain := v.of(host)
			for _, at := range members {
				want := v.of(at.member(`"zz_extra"`, `1`))
				if !plain.same(&want) && at.outer != nil {
					continue // the text that the object is inside of is not content
				}
				for i, value := range append(objects, texts[:3]...) {
					key := [...]string{`"zz_extra"`, `"zz\u005fextra"`}[i%2]
					got := v.of(at.member(key, value))
					checks++
					if !got.same(&want) {
						t.Errorf("%s: %s with a key %s of %.90s:\ngot  %q %q\nwant %q %q\nin %.300s", name, at.path, key, value,
							got.events, got.dead, want.events, want.dead, host)
						break
					}
				}
			}
		}
		t.Logf("%-28s %6d checks", name, checks)
	}
}
