package deliver_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// printer is a sink that prints the entries.
type printer struct{}

func (printer) Name() string                { return "printer" }
func (printer) Profile() connectors.Profile { return connectors.Profile{} }
func (printer) Health() connectors.Health   { return connectors.Health{} }
func (printer) Close() error                { return nil }

func (printer) Write(_ context.Context, entries []connectors.Entry) error {
	for _, e := range entries {
		fmt.Println(e.Seq, e.Type, e.Finding.RuleID)
	}
	return nil
}

// A Deliverer hands the committed changes of findings to its sinks.
func Example() {
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	d, err := deliver.New(deliver.Options{Store: s, Sinks: []connectors.Sink{printer{}}})
	if err != nil {
		log.Fatal(err)
	}
	d.Start()
	f := &schema.Finding{ID: schema.ID{1}, RuleID: "r", Revision: 1}
	if err := s.Commit(&store.Checkpoint{Seq: 1, Outbox: []connectors.Entry{{Type: connectors.FindingOpened, Finding: f}}}); err != nil {
		log.Fatal(err)
	}
	d.Notify()
	if err := d.Drain(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: 1 finding.opened r
}
