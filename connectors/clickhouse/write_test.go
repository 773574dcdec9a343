package clickhouse

import (
	"strconv"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
)

// BenchmarkWrite stores blocks of findings with three events each. Client and server share one machine:
//
//	go test -run xxx -bench Write -benchtime 20x ./connectors/clickhouse
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{100, 1_000, 10_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			s := newSink(b, nil)
			if _, err := s.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			seq := uint64(0)
			for b.Loop() {
				entries := make([]connectors.Entry, size)
				for i := range entries {
					seq++
					f := finding(int(seq), 1)
					f.Evidence = append(f.Evidence, f.Evidence[0], f.Evidence[0])
					entries[i] = connectors.Entry{Seq: seq, Finding: f}
				}
				if err := s.Write(b.Context(), entries); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
