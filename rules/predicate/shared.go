package predicate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// SharedTests gives all conditions of one environment the same node for the same costly test. The zero value is empty. It
// is not for concurrent use.
type SharedTests struct {
	nodes map[string]*shared // by shareKey
}

// Share returns the node that all conditions share for the test n: a pattern, a search for credentials, or a disjunction of
// searches. It returns n itself if n is another node; a single text test such as contains is not worth caching.
func (t *SharedTests) Share(n Node) Node {
	switch n.(type) {
	case *matches, *hasSecret, *countSecrets, *hasInvisible, *countInvisible, *or:
	default:
		return n
	}
	key, ok := shareKey(n)
	if !ok {
		return n
	}
	if known, ok := t.nodes[key]; ok {
		return known
	}
	if t.nodes == nil {
		t.nodes = map[string]*shared{}
	}
	out := &shared{n, len(t.nodes)}
	t.nodes[key] = out
	return out
}

// shared caches the verdict of a costly test, so that the test runs once per event however many conditions use it. The
// cached verdict is valid only between Scratch.Begin and Scratch.End.
type shared struct {
	Node
	id int // index in Scratch.shared
}

// sharedVerdict is the cached verdict of a shared node.
type sharedVerdict struct {
	epoch   uint64 // of the event; 0 before the first verdict
	verdict verdict
}

func (n *shared) eval(s *Scratch) verdict {
	if !s.sharing {
		return n.Node.eval(s)
	}
	if n.id >= len(s.shared) {
		s.shared = append(s.shared, make([]sharedVerdict, n.id+1-len(s.shared))...)
	}
	k := &s.shared[n.id]
	if k.epoch != s.epoch {
		*k = sharedVerdict{s.epoch, n.Node.eval(s)}
	} else if k.verdict == failed {
		s.err = ErrNotText // the only error that a search has
	}
	return k.verdict
}

// Begin starts the evaluation of several conditions, all of one environment, on one event that does not change before End:
// tests that the conditions share run once.
func (s *Scratch) Begin(e *schema.Event) {
	s.sharing, s.event = true, e
	s.epoch++
}

// End ends the evaluation that Begin started.
func (s *Scratch) End() { s.sharing = false }

// shareKey returns a text that is equal for tests that mean the same; ok is false for nodes that are not searches.
func shareKey(n Node) (key string, ok bool) {
	switch n := n.(type) {
	case *shared:
		return fmt.Sprintf("#%d", n.id), true
	case *matches:
		return fmt.Sprintf("matches %s %q", n.slot.key(), n.pattern.re), true
	case *slotTest:
		return fmt.Sprintf("%s %s %q", n.name, n.slot.key(), n.arg), true
	case *fieldTest:
		return fmt.Sprintf("%s field %d %q", n.name, n.field, n.arg), true
	case *hasSecret:
		return fmt.Sprintf("secrets %s %s", n.slot.key(), n.kind), true
	case *countSecrets:
		return fmt.Sprintf("secrets %s %d %d", n.slot.key(), n.op, n.n), true
	case *hasInvisible:
		return fmt.Sprintf("invisible %s %s", n.slot.key(), n.kind), true
	case *countInvisible:
		return fmt.Sprintf("invisible %s %d %d", n.slot.key(), n.op, n.n), true
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
