package memory

import (
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// partitions returns n partitions with the records of the suite.
func partitions(n int) (ps []Partition, names []connectors.Partition) {
	for i := range n {
		p := connectors.Partition{Source: "memory", Topic: "t", Number: int32(i)}
		ps = append(ps, Partition{Partition: p, Records: conntest.Texts(i)})
		names = append(names, p)
	}
	return ps, names
}

func TestContract(t *testing.T) {
	turns := map[string]func(open []int) int{
		"at the same time": nil,
		"in turns":         func(open []int) int { return open[len(open)-1] },
	}
	for name, turn := range turns {
		t.Run(name, func(t *testing.T) {
			conntest.TestSource(t, func(t *testing.T) conntest.SourceTarget {
				ps, names := partitions(3)
				return conntest.SourceTarget{
					New:        func(t *testing.T) connectors.Source { return &Source{Named: "memory", Partitions: ps, Turn: turn} },
					Partitions: names,
				}
			})
		})
	}
}

// A live partition has no final batch, so Run revokes it.
func TestLive(t *testing.T) {
	p := connectors.Partition{Source: "memory", Topic: "t"}
	s := &Source{Named: "memory", BatchSize: 2, Partitions: []Partition{
		{Partition: p, Records: []string{"a", "b", "c"}, Times: []schema.Instant{7, 8, 9}, Live: true},
	}}
	r := conntest.NewRecorder()
	if err := s.Run(t.Context(), r); err != nil {
		t.Fatalf("run: %v", err)
	}
	want := []conntest.Got{{Text: "a", Time: 7}, {Text: "b", Offset: 1, Time: 8}, {Text: "c", Offset: 2, Time: 9}}
	if got := r.Records(p); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, revoked := r.Assignments(p); revoked != 1 || !r.AtEnd(p) {
		t.Errorf("revoked %d times, at its end %t; want once, true", revoked, r.AtEnd(p))
	}
	r.Check(t)
}
