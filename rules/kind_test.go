package rules

import (
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// A filter may name every kind of rule.
func TestFilterKinds(t *testing.T) {
	names := predicate.FindingNames()
	at := slices.IndexFunc(names, func(n predicate.FindingName) bool { return n.Name == "kind" })
	if got, want := names[at].Values, []string{
		string(KindNone), string(KindThreshold), string(KindDistinct), string(KindNewValue), string(KindSequence),
		string(KindAbsence), string(KindFlow),
	}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
