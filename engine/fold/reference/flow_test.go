package reference_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules"
)

func drawFlow(t *rapid.T, r *rules.Rule) {
	w := &rules.Flow{
		Labels: rapid.IntRange(2, 4).Draw(t, "labels"), Within: duration(t, "within", 1, 25),
		Ordered: rapid.Bool().Draw(t, "ordered"), Clear: rapid.Bool().Draw(t, "clear"),
	}
	w.Need = w.Labels
	key := r.Key
	r.Roles = nil
	for i := range w.Labels {
		role := rules.Role{Name: string(rune('a' + i)), Order: 1, Key: key}
		if w.Ordered {
			role.Order = uint16(i + 1)
		}
		r.Roles = append(r.Roles, role)
	}
	if !w.Ordered {
		w.Need = rapid.IntRange(2, w.Labels).Draw(t, "need")
	}
	if w.Clear {
		r.Roles = append(r.Roles, rules.Role{Name: "clear", Key: key, Excepted: true})
	}
	r.Flow = w
}

func TestFlowIsAsWritten(t *testing.T) { property(t, rules.KindFlow) }
