package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// Flow is a rule's `flow` clause. Role i is label i, and the last role is `clear` if there is one. With an order the
// labels are in that order, and their Orders are 1, 2, ...; otherwise they are sorted by name, and their Orders are 0.
type Flow struct {
	Labels  int  // the number of labels, from 2 to MaxSteps
	Need    int  // the number of different labels that triggers; Labels if the labels are ordered
	Ordered bool // the labels have to come in order
	Within  time.Duration
	Clear   bool // there is a clear, whose role is the last one and Excepted
}

func (w *Flow) operands() []Operand           { return nil }
func (w *Flow) conditions() []*predicate.Cond { return nil }
func (w *Flow) lookback() time.Duration       { return w.Within }

func (w *Flow) appendShape(b *strings.Builder, r *Rule) {
	fmt.Fprintf(b, "labels=%d;ordered=%t;within=%s;", w.Labels, w.Ordered, doc.FormatDuration(w.Within))
	appendRoleKeys(b, r)
}

// flow reads the clause of that name.
func (r *reader) flow(clause *doc.Node) {
	r.rule.Flow = &Flow{}
	clause.Fail("is not supported yet")
}
