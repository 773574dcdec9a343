package kafka

import (
	"fmt"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// Compaction leaves gaps between the offsets.
func TestCompaction(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "compact", 1, "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0", "segment.bytes", "4096")
	supersede(t, fake.Addr)
	fake.Compact()
	checkCompacted(t, fake.Addr)
}

// supersede writes a batch of records with keys and then newer records for most of these keys, including the last ones.
func supersede(t *testing.T, addr string) {
	t.Helper()
	var batch []kafka.Message
	for i := range 100 {
		batch = append(batch, kafka.Message{Key: fmt.Append(nil, "k", i), Value: fmt.Append(nil, "old ", i)})
	}
	conntest.Produce(t, addr, "compact", 0, batch, nil)
	for i := range batch {
		batch[i].Value = fmt.Append(nil, "new ", i)
	}
	again := slices.Concat(batch[3:30], batch[31:])
	for range 3 {
		conntest.Produce(t, addr, "compact", 0, again, nil)
	}
	conntest.Produce(t, addr, "compact", 0, []kafka.Message{{Key: []byte("filler"), Value: []byte("x")}}, nil)
}

// checkCompacted reads the topic that supersede has written, from many offsets. It returns the number of gaps found.
func checkCompacted(t *testing.T, addr string) (gaps uint64) {
	t.Helper()
	whole, gaps := readFrom(t, addr, 0)
	if n := len(whole); n > 250 || n < 100 {
		t.Fatalf("%d records are left after compaction: the test proves nothing", n)
	}
	last := whole[len(whole)-1]
	for offset := int64(0); offset <= last.Offset; offset += 7 {
		want := whole
		for len(want) > 0 && want[0].Offset < offset {
			want = want[1:]
		}
		got, n := readFrom(t, addr, offset)
		if gaps += n; !slices.Equal(got, want) {
			t.Errorf("from offset %d: got %d records, want %d", offset, len(got), len(want))
		}
	}
	return gaps
}

// readFrom reads compact/0 from an offset to its end. It returns the records and the number of gaps skipped.
func readFrom(t *testing.T, addr string, offset int64) ([]conntest.Got, uint64) {
	t.Helper()
	s := newSource(t, addr, func(c *Config) { c.Topics, c.FetchBytes = []string{"compact"}, 1 }) // one batch a fetch
	defer s.transport.CloseIdleConnections()
	f := newFetcher(s, part("compact", 0), offset)
	var got []conntest.Got
	for {
		b := f.next(t.Context())
		if b == nil {
			t.Fatalf("no batch from offset %d", f.position)
		}
		for _, r := range b.Records {
			got = append(got, conntest.Got{Text: b.Raw[r.Start:r.End], Offset: r.Offset, Time: r.Time, Tombstone: r.Tombstone})
		}
		if b.AtEnd {
			return got, s.Counts().Gaps
		}
	}
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	checkTransactions(t, fake.Addr)
}

// checkTransactions reads to the end of a topic with transaction markers, whose offsets have no records.
func checkTransactions(t *testing.T, addr string) {
	conntest.CreateTopic(t, addr, "tx", 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("tx"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, text := range numbered(fmt.Sprint("tx ", i), 0, 3) {
			if err := client.ProduceSync(t.Context(), kgo.StringRecord(text)).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	p := part("tx", 0)
	r := conntest.NewRecorder()
	stop := run(t, newSource(t, addr, func(c *Config) { c.Topics, c.Group = []string{"tx"}, "tx" }), r)
	r.Wait(t, patience, "the end is reached", func() bool { return r.Count() == 9 && r.AtEnd(p) })
	if next, end := r.Next(p); next != 12 || end != 12 {
		t.Errorf("at %d of %d, want 12 of 12: nine records, three markers", next, end)
	}
	stop()
	r.Check(t)

	last := conntest.NewRecorder()
	last.From = map[connectors.Partition]int64{p: 11} // the offset of the last marker
	stop = run(t, newSource(t, addr, func(c *Config) { c.Topics, c.Group = []string{"tx"}, "tx" }), last)
	last.Wait(t, patience, "the end is reached", func() bool { next, _ := last.Next(p); return next == 12 && last.AtEnd(p) })
	stop()
	last.Check(t)
}
