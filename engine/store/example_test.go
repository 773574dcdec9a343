package store_test

import (
	"fmt"
	"log"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// A checkpoint puts a change of a finding into the outbox; the sink takes it and advances.
func Example() {
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	if _, err := s.SetSinks([]store.SinkSpec{{Name: "soc"}}); err != nil { // before the first Commit
		log.Fatal(err)
	}
	c := &store.Checkpoint{
		Seq:    1,
		State:  []byte("positions"),
		Outbox: []connectors.Entry{{Type: connectors.FindingOpened, Finding: &schema.Finding{ID: schema.ID{1}, RuleID: "r", Revision: 1}}},
	}
	if err := s.Commit(c); err != nil {
		log.Fatal(err)
	}
	entries, err := s.Outbox(1, 10, 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		fmt.Println(e.Seq, e.Type, e.Finding.RuleID)
	}
	if err := s.Advance("soc", &store.Advance{Number: 1, Cursor: entries[0].Seq + 1}); err != nil {
		log.Fatal(err)
	}
	w, err := s.Waiting("soc")
	fmt.Println(w.Entries, "waiting", err)
	// Output:
	// 1 finding.opened r
	// 0 waiting <nil>
}
