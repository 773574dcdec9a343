package fold_test

import (
	"time"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// twoSources returns a sequence rule whose steps take the key from different fields.
func twoSources() *rules.Rule {
	r := capturetest.Rule(rules.KindSequence)
	r.Sequence = &rules.Sequence{Steps: []rules.Step{{ID: "use", Times: 1}, {ID: "call", Times: 1}}, Within: time.Minute, Unless: true}
	r.Roles = []rules.Role{
		{Name: "use", Order: 1, Key: rules.FieldOperands(schema.AIAgentUID)},
		{Name: "call", Order: 2, Key: rules.FieldOperands(schema.CredentialUID)},
		{Name: "unless", Order: 0, Key: rules.FieldOperands(schema.AIAgentUID)},
	}
	return r
}

// mentions makes the findings of a rule show the fields, and returns the rule.
func mentions(r *rules.Rule, fields ...schema.Field) *rules.Rule {
	for _, f := range fields {
		r.Mentions = append(r.Mentions, predicate.Mention{Name: f.String(), Field: f, Raw: -1})
	}
	return r
}
