package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// Flow is a rule's `flow` clause. Role i is label i, and the last role is `clear` if there is one. With an order the
// labels are in that order, and their Orders are 1, 2, ...; otherwise they are sorted by name, and their Orders are 1, so
// that an event that clears comes before those of the same time.
type Flow struct {
	Labels  int  // the number of labels, from 2 to MaxLabels
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

// MaxLabels is the largest number of labels of a flow. State holds an event for each of them.
const MaxLabels = 16

// clearName is the name of the role that clears the labels. No label can have it.
const clearName = "clear"

// flow reads the clause of that name. Each label becomes a role; `clear` becomes the last one.
func (r *reader) flow(clause *doc.Node) {
	f := clause.Fields()
	w := &Flow{}
	r.rule.Flow = w
	labels, order, need, clear := f.Need("labels"), f.Get("order"), f.Get("need"), f.Get("clear")
	w.Within = f.Need("within").Duration(time.Millisecond, MaxSpan)
	key := r.by(clause, f)
	f.Done()
	names, whens := r.labels(labels)
	w.Labels, w.Need = len(names), len(names)
	if order != nil {
		w.Ordered = true
		names = r.labelOrder(order, names)
		f.Refuse("need", "cannot be combined with order, which needs all labels: remove one of them")
	} else if need != nil {
		w.Need = readNeed(need, w.Labels)
	}
	for i, name := range names {
		role := Role{Name: name, Order: 1, Key: key, Optional: w.Need < w.Labels}
		if w.Ordered {
			role.Order = uint16(i + 1)
		}
		role.Cond = r.conjunction(whens[name].node, r.when, whens[name].text)
		r.rule.Roles = append(r.rule.Roles, role)
	}
	if clear != nil {
		r.role(clear, Role{Name: clearName, Excepted: true}, key, nil)
		w.Clear = true
	}
}

// labelWhen is the condition of a label.
type labelWhen struct {
	node *doc.Node
	text string
}

// labels reads the labels and their conditions. The names are sorted.
func (r *reader) labels(n *doc.Node) (names []string, whens map[string]labelWhen) {
	whens = map[string]labelWhen{}
	n.Each(func(name, value *doc.Node) {
		label := name.String()
		switch bad := strings.IndexFunc(label, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') }); {
		case label == clearName:
			name.Fail("%q is the name of the part that clears the labels: choose another", clearName)
		case bad >= 0 || label == "" || label[0] <= '9':
			name.Fail("%q is not the name of a label: use a-z, 0-9 and _, with a letter first", doc.Short(label))
		}
		_, text := r.condition(value)
		names = append(names, label)
		whens[label] = labelWhen{value, text}
	})
	if n != nil && n.Kind == doc.Map && (len(names) < 2 || len(names) > MaxLabels) {
		n.Fail("the number of labels is %d: write 2 to %d", len(names), MaxLabels)
	}
	slices.Sort(names)
	return names, whens
}

// labelOrder reads the order of the labels, which must name each of them once.
func (r *reader) labelOrder(n *doc.Node, labels []string) (order []string) {
	for _, item := range n.Items() {
		switch name := item.Filled(); {
		case name == "":
		case !slices.Contains(labels, name):
			item.Fail("%q is not a label: name each of the labels once (%s)", doc.Short(name), strings.Join(labels, ", "))
		case slices.Contains(order, name):
			item.Fail("%s is listed twice: name each label once", name)
		default:
			order = append(order, name)
		}
	}
	for _, name := range labels {
		if n.Kind == doc.List && !slices.Contains(order, name) {
			n.Fail("%s is missing: name each label once", name)
		}
	}
	return order
}

// readNeed reads the number of labels that triggers: `all`, or a number.
func readNeed(n *doc.Node, labels int) int {
	if n.Kind == doc.Int {
		return int(n.Int(2, int64(max(2, labels))))
	}
	if n.Kind != doc.Text || n.String() != "all" {
		n.Fail("must be all or the number of labels that have to meet, as in need: 2")
	}
	return labels
}
