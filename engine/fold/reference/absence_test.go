package reference_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules"
)

func drawAbsence(t *rapid.T, r *rules.Rule) {
	a := &rules.Absence{Form: rapid.SampledFrom([]rules.AbsenceForm{
		rules.AbsenceExpect, rules.AbsenceWithout, rules.AbsenceSilent,
	}).Draw(t, "form")}
	r.Absence = a
	key := r.Key
	switch a.Form {
	case rules.AbsenceExpect:
		a.Within = duration(t, "within", 1, 20)
		r.Roles = []rules.Role{{Name: "after", Order: 1, Key: key}, {Name: "expect", Order: 2, Key: key, Excepted: true}}
	case rules.AbsenceWithout:
		a.Within, a.Slack = duration(t, "within", 1, 20), duration(t, "slack", 0, 6)
		r.Roles = []rules.Role{{Name: "without", Order: 1, Key: key, Excepted: true}, {Name: "act", Order: 2, Key: key}}
	case rules.AbsenceSilent:
		a.For = duration(t, "silent", 1, 20)
	}
}

func TestAbsenceIsAsWritten(t *testing.T) { property(t, rules.KindAbsence) }
