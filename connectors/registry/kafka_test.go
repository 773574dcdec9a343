package registry

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/connectors/kafka"
)

// Messages of a topic reach the engine in order and with their offsets, converted, also those from before the registry
// came back.
func TestKafka(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var requests atomic.Int32
	address := startRegistry(t, &down, &requests)
	down.Store(true)
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 1)
	texts := []string{`{"plain":1}`, frame(1, 4, value(t, 5)+"\x08bash"), frame(2, 4, `{"id":6}`)}
	conntest.Produce(t, fake.Addr, "t", 0, conntest.Messages(texts...), nil)
	source, err := kafka.New(kafka.Config{
		Name: "k", Brokers: []string{fake.Addr}, Topics: []string{"t"}, Group: "g", FetchWait: 50 * time.Millisecond, Refresh: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Wrap(source, Config{URL: address, Username: "me", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	s.pause = func(context.Context, time.Duration) {
		if !s.Health().Degraded {
			t.Error("not degraded")
		}
		down.Store(false)
	}
	r := conntest.NewRecorder()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, r) }()
	r.Wait(t, time.Minute, "three records", func() bool { return r.Count() == 3 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.Check(t)
	got := r.Texts(connectors.Partition{Source: "k", Topic: "t"})
	if want := []string{`{"plain":1}`, `{"call":{"tool":"bash"},"id":5}`, `{"id":6}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
