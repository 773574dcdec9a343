package store

import (
	"fmt"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
)

// BenchmarkCommit commits checkpoints to the disk, each with 1,000 cells of 300 bytes, 20 findings and 64 KiB of items.
//
//	go test ./engine/store -run '^$' -bench Commit -benchtime 200x
func BenchmarkCommit(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	cells, items := make([]KV, 1000), make([]byte, 64<<10)
	value := make([]byte, 300)
	for seq := uint64(1); b.Loop(); seq++ {
		for i := range cells {
			cells[i] = KV{fmt.Appendf(nil, "rule/%08d", (int(seq)*1000+i)%100_000), value}
		}
		c := &Checkpoint{Seq: seq, State: items[:2000], Cells: cells, Items: [][]byte{items}, Drop: []uint64{seq - 1}}
		for i := range 20 {
			c.Outbox = append(c.Outbox, connectors.Entry{Type: "finding.updated", Finding: testFinding(i, seq, "open")})
		}
		if err := s.Commit(c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCell looks up cold State among 100,000 owners, and unknown owners between them, in both ways.
//
//	go test ./engine/store -run '^$' -bench Cell
func BenchmarkCell(b *testing.B) {
	s, err := Open(b.TempDir(), Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	value := make([]byte, 300)
	for n := range uint64(100) {
		c := &Checkpoint{Seq: n + 1}
		for i := range 1000 {
			c.Cells = append(c.Cells, KV{fmt.Appendf(nil, "rule/%08d", int(n)*1000+i), value})
		}
		if err := s.Commit(c); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := s.db.Compact(b.Context(), []byte{tableCell}, []byte{tableCell + 1}, false); err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func(key []byte) ([]byte, error){"Cell": s.Cell, "RareCell": s.RareCell} {
		for owners, format := range map[string]string{"known": "rule/%08d", "unknown": "rule/%08d-unknown"} {
			b.Run(name+"/"+owners, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := read(fmt.Appendf(nil, format, i*7919%100_000)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
