package expr

import (
	"fmt"
	"slices"
	"strings"
)

// shared is a part of conditions that is dear enough to be asked once per event, however many rules ask it: a search in
// a text, and alternatives of such. The environment has one for each different part. It remembers only between
// Scratch.Begin and Scratch.End.
type shared struct {
	node
	id int // place in Scratch.known
}

// known is what a Scratch remembers of a shared part.
type known struct {
	epoch   uint64 // of the event; 0 is none
	verdict verdict
}

func (n *shared) eval(s *Scratch) verdict {
	if !s.sharing {
		return n.node.eval(s)
	}
	if n.id >= len(s.known) {
		s.known = append(s.known, make([]known, n.id+1-len(s.known))...)
	}
	k := &s.known[n.id]
	if k.epoch != s.epoch {
		*k = known{s.epoch, n.node.eval(s)}
	} else if k.verdict == failed {
		s.err = errText // the one error that a search has
	}
	return k.verdict
}

// Begin says that the conditions evaluated until End are all asked of one event, which does not change meanwhile, and
// are all of one Env: parts that they share are then evaluated once.
func (s *Scratch) Begin() {
	s.sharing = true
	s.epoch++
}

// End ends what Begin began.
func (s *Scratch) End() { s.sharing = false }

// share returns the environment's node for a part that is worth it, and n itself where it is not.
func (v *Env) share(n node) node {
	key, ok := shareKey(n)
	if !ok {
		return n
	}
	if known, ok := v.shared[key]; ok {
		return known
	}
	out := &shared{n, len(v.shared)}
	v.shared[key] = out
	return out
}

// shareKey is equal for parts that mean the same; ok is false for parts that are not worth sharing.
func shareKey(n node) (key string, ok bool) {
	switch n := n.(type) {
	case *shared:
		return fmt.Sprintf("#%d", n.id), true
	case *pattern:
		return fmt.Sprintf("matches %s %q", n.slot.key(), n.re.re), true
	case *textTester:
		return fmt.Sprintf("%s %s %q", n.name, n.slot.key(), n.arg), true
	case *fieldTester:
		return fmt.Sprintf("%s field %d %q", n.name, n.field, n.arg), true
	case *secretKind:
		return fmt.Sprintf("secrets %s %s", n.slot.key(), n.kind), true
	case *secretCount:
		return fmt.Sprintf("secrets %s %d %d", n.slot.key(), n.op, n.n), true
	case *or:
		var keys []string
		for _, t := range n.group {
			k, ok := shareKey(t)
			if !ok {
				return "", false
			}
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return "or " + strings.Join(keys, " "), true
	}
	return "", false
}

// key is equal for slots that read the same.
func (s *slot) key() string {
	return fmt.Sprintf("%d %d %s %s %v %s", s.src, s.at, s.name, s.derive, s.presence, pathKey(s.path))
}
