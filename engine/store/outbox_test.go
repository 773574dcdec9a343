package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// commitEntries commits one checkpoint with n entries, for the findings from, from+1, ...
func commitEntries(t *testing.T, s *Store, from, n int) {
	t.Helper()
	seq, _, _, err := s.Last()
	if err != nil {
		t.Fatalf("last: %v", err)
	}
	c := &Checkpoint{Seq: seq + 1}
	for i := range n {
		c.Outbox = append(c.Outbox, entryOf(testFinding(from+i, 1, "open")))
	}
	mustCommit(t, s, c)
}

func mustSinks(t *testing.T, s *Store, specs ...SinkSpec) []SinkChange {
	t.Helper()
	changes, err := s.SetSinks(specs)
	if err != nil {
		t.Fatalf("set sinks: %v", err)
	}
	return changes
}

func mustAdvance(t *testing.T, s *Store, sink string, a *Advance) {
	t.Helper()
	k, _ := s.Sink(sink)
	a.Number = k.Number + 1
	if err := s.Advance(sink, a); err != nil {
		t.Fatalf("advance: %v", err)
	}
}

// kept returns the Seqs of the entries in the outbox.
func kept(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	err := s.scan([]byte{tableOutbox}, []byte{tableOutbox + 1}, false, func(k, _ []byte) bool {
		fmt.Fprintf(&b, "%d ", numberOf(k))
		return true
	})
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return strings.TrimSpace(b.String())
}

func TestOutboxLimits(t *testing.T) {
	s := openMemory(t, Options{})
	mustSinks(t, s, SinkSpec{Name: "a"})
	commitEntries(t, s, 0, 1200) // more than a page
	f := func(from uint64, most int, size int64, want int) {
		t.Helper()
		got, err := s.Outbox(from, most, size)
		if err != nil || len(got) != want {
			t.Errorf("outbox from %d, %d entries, %d bytes: got %d entries, %v; want %d", from, most, size, len(got), err, want)
		}
		for i, e := range got {
			if e.Seq != from+uint64(i) || e.Committed == 0 || e.Finding == nil {
				t.Errorf("entry %d from %d: got %+v", i, from, e)
				return
			}
		}
	}
	one, _ := s.Outbox(1, 1, 0)
	f(1, 2000, 1<<40, 1200)
	f(1, 700, 1<<40, 700)
	f(1150, 700, 1<<40, 51)
	f(1201, 700, 1<<40, 0)
	f(1, 700, 0, 1) // at least one, however large
	f(1, 700, 3*one[0].Size+50, 3)
}

func TestSinksAndTrimming(t *testing.T) {
	s := openMemory(t, Options{})
	commitEntries(t, s, 0, 3) // without sinks these are not stored
	changes := mustSinks(t, s, SinkSpec{Name: "a"}, SinkSpec{Name: "b"})
	if got, want := fmt.Sprint(changes), "[{a true 0} {b true 0}]"; got != want {
		t.Errorf("changes: got %s, want %s", got, want)
	}
	commitEntries(t, s, 3, 5) // Seqs 4 to 8
	if got, want := kept(t, s), "4 5 6 7 8"; got != want {
		t.Errorf("kept: got %q, want %q", got, want)
	}
	e5, ok, err := s.Entry(5)
	if !ok || err != nil {
		t.Fatalf("entry 5: %v %v", ok, err)
	}
	mustAdvance(t, s, "a", &Advance{Cursor: 8, Retry: []Retry{{Seq: 5, Finding: e5.Finding.ID, Due: 77, Attempts: 2, Size: e5.Size}}})
	if got, want := kept(t, s), "4 5 6 7 8"; got != want {
		t.Errorf("kept while b waits: got %q, want %q", got, want)
	}
	mustAdvance(t, s, "b", &Advance{Cursor: 7, Block: 9})
	if got, want := kept(t, s), "5 7 8"; got != want {
		t.Errorf("kept for the retry and beyond b: got %q, want %q", got, want)
	}
	w, err := s.Waiting("a")
	e8, _, _ := s.Entry(8)
	if got, want := fmt.Sprint(w.Entries, w.Bytes, err), fmt.Sprint(2, e5.Size+e8.Size, nil); got != want {
		t.Errorf("waiting for a: got %s, want %s", got, want)
	}
	if k, _ := s.Sink("b"); k.Block != 9 || k.Cursor != 7 {
		t.Errorf("sink b: got %+v, want its block", k)
	}
	mustAdvance(t, s, "a", &Advance{Cursor: 8, Done: []uint64{5}})
	if got, want := kept(t, s), "7 8"; got != want {
		t.Errorf("kept after the retry: got %q, want %q", got, want)
	}
	changes = mustSinks(t, s, SinkSpec{Name: "a"}, SinkSpec{Name: "c"})
	if got, want := fmt.Sprint(changes), "[{b false 2} {c true 0}]"; got != want {
		t.Errorf("changes: got %s, want %s", got, want)
	}
	if got, want := kept(t, s), "8"; got != want {
		t.Errorf("kept without b: got %q, want %q", got, want)
	}
	if k, _ := s.Sink("c"); k.Cursor != 9 {
		t.Errorf("a new sink: got cursor %d, want the end, 9", k.Cursor)
	}
	mustSinks(t, s)
	commitEntries(t, s, 8, 1)
	if got := kept(t, s); got != "" {
		t.Errorf("kept without sinks: got %q, want nothing", got)
	}
}

func TestAdvanceOutOfOrder(t *testing.T) {
	s := openMemory(t, Options{})
	mustSinks(t, s, SinkSpec{Name: "a"})
	commitEntries(t, s, 0, 3)
	a := &Advance{Number: 1, Cursor: 2, Dead: []DeadLetter{{Kind: schema.DeadRow, Sink: "a", Entry: 1, Body: "{}"}}}
	for range 2 { // the repetition changes nothing
		if err := s.Advance("a", a); err != nil {
			t.Fatalf("advance: %v", err)
		}
	}
	if got := s.DeadStats().Count; got != 1 {
		t.Errorf("dead letters after the same Advance twice: got %d, want 1", got)
	}
	f := func(sink string, a Advance, want string) {
		t.Helper()
		if err := s.Advance(sink, &a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("advance %q %+v: got %v, want %q", sink, a, err, want)
		}
	}
	f("a", Advance{Number: 3, Cursor: 3}, "BUG")
	f("a", Advance{Number: 2, Cursor: 1}, "BUG")
	f("a", Advance{Number: 2, Cursor: 5}, "BUG")
	f("x", Advance{Number: 1, Cursor: 1}, "unknown sink")
	if _, err := s.SetSinks([]SinkSpec{{Name: "a\x00b"}}); err == nil {
		t.Error("a name with NUL: got no error")
	}
}

func TestOutboxFull(t *testing.T) {
	s := openMemory(t, Options{OutboxCap: 5000})
	mustSinks(t, s, SinkSpec{Name: "table"}, SinkSpec{Name: "hook", Capped: true})
	commitEntries(t, s, 0, 20)
	if !s.OutboxFull() {
		t.Error("the table is over the cap: got not full")
	}
	mustAdvance(t, s, "table", &Advance{Cursor: 21})
	if s.OutboxFull() {
		t.Error("only the endpoint waits: got full")
	}
}

func TestTrimIsBounded(t *testing.T) {
	s := openMemory(t, Options{NoSync: true})
	mustSinks(t, s, SinkSpec{Name: "a"})
	commitEntries(t, s, 0, trimLimit+10)
	mustAdvance(t, s, "a", &Advance{Cursor: s.End()})
	if got := len(strings.Fields(kept(t, s))); got != 10 {
		t.Errorf("left after one Advance: got %d, want 10", got)
	}
	commitEntries(t, s, 0, 1)
	if got, want := kept(t, s), fmt.Sprint(trimLimit+11); got != want {
		t.Errorf("left after the next checkpoint: got %q, want %q", got, want)
	}
}

func TestDeadLetterCap(t *testing.T) {
	clock := testClock{start}
	s := openMemory(t, Options{DeadCap: 20_000, Now: clock.now}) // records may have half of it
	for n := range uint64(30) {
		var dead []DeadLetter
		for i := range 5 {
			dead = append(dead, DeadLetter{
				Kind: schema.DeadRecord, Reason: fmt.Sprintf("r%d", i), Topic: "t", Offset: int64(n), Body: strings.Repeat("z", 100),
			})
		}
		mustCommit(t, s, &Checkpoint{Seq: n + 1, Dead: dead})
	}
	n, size, first, last := uint64(0), 0, uint64(0), uint64(0)
	err := s.DeadLetters(DeadFilter{}, func(l *DeadLetter) bool {
		if n++; first == 0 {
			first = l.Seq
		}
		size, last = size+len(mustJSON(l)), l.Seq
		if l.Time != start {
			t.Errorf("dead letter %d: got time %s, want the store's clock", l.Seq, l.Time)
		}
		return true
	})
	st := s.DeadStats()
	want := DeadStats{DeadCount: DeadCount{Count: n, Bytes: uint64(size), Dropped: first - 1}}
	if err != nil || last != 150 || first+n != 151 || st != want || size > 10_000 || size < 9_000 {
		t.Errorf("dead letters %d to %d, %d of %d bytes, stats %+v, %v; want the newest ones, under the cap", first, last, n, size, st, err)
	}
	count := func(f DeadFilter) (n int) {
		if err := s.DeadLetters(f, func(*DeadLetter) bool { n++; return true }); err != nil {
			t.Errorf("dead letters: %v", err)
		}
		return n
	}
	if got := count(DeadFilter{Reason: "r1", After: 140}); got != 2 {
		t.Errorf("dead letters of one reason after 140: got %d, want 2", got)
	}
	if got := count(DeadFilter{Kind: schema.DeadRow}); got != 0 {
		t.Errorf("dead letters of kind row: got %d, want 0", got)
	}
	if got := count(DeadFilter{Limit: 3}); got != 3 {
		t.Errorf("limit: got %d, want 3", got)
	}
	if got, err := s.DropDeadLetters(150, 149, 150, 1); got != 2 || err != nil {
		t.Errorf("drop: got %d, %v; want 2", got, err)
	}
	if _, ok, err := s.DeadLetter(150); ok || err != nil {
		t.Errorf("dropped dead letter: got %v, %v", ok, err)
	}
	if got := s.DeadStats().Count; got != n-2 {
		t.Errorf("count after drop: got %d, want %d", got, n-2)
	}
	// One checkpoint with more than the cap, and a body that is too long.
	var dead []DeadLetter
	for range 20 {
		dead = append(dead, DeadLetter{Kind: schema.DeadRecord, Topic: "t", Body: strings.Repeat("\u20ac", 300)})
	}
	mustCommit(t, s, &Checkpoint{Seq: 31, Dead: dead})
	if st := s.DeadStats(); st.Bytes > 10_000 || st.Count != uint64(count(DeadFilter{})) || st.Count < 8 || st.Dropped+st.Count+2 != 170 {
		t.Errorf("after a flood: got %+v", st)
	}
}

func TestRecordBodyIsTruncated(t *testing.T) {
	s := openMemory(t, Options{})
	mustCommit(t, s, &Checkpoint{Seq: 1, Dead: []DeadLetter{{Kind: schema.DeadRecord, Body: "x" + strings.Repeat("\u20ac", maxRecordBody)}}})
	l, ok, err := s.DeadLetter(1)
	if !ok || err != nil || len(l.Body) > maxRecordBody || len(l.Body) < maxRecordBody-3 || !strings.HasSuffix(l.Body, "\u20ac") {
		t.Errorf("dead letter: got %v, %v, %d bytes", ok, err, len(l.Body))
	}
}

func TestRequeueOfOtherKinds(t *testing.T) {
	s := openMemory(t, Options{})
	mustCommit(t, s, &Checkpoint{Seq: 1, Dead: []DeadLetter{
		{Kind: schema.DeadRecord}, {Kind: schema.DeadRow, Sink: "removed", Entry: 1, Body: "{}"},
	}})
	for seq, want := range map[uint64]string{1: "belongs to no sink", 2: "not in the configuration", 3: "no dead letter has this number"} {
		if _, _, err := s.Requeue(seq); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("requeue %d: got %v, want %q", seq, err, want)
		}
	}
	if got := s.DeadStats().Count; got != 2 {
		t.Errorf("dead letters after failed requeues: got %d, want 2", got)
	}
}

func TestFindings(t *testing.T) {
	clock := testClock{start}
	s := openMemory(t, Options{Now: clock.now, FindingsKeep: time.Hour})
	c := &Checkpoint{Seq: 1}
	for n := range 10 {
		c.Outbox = append(c.Outbox, entryOf(testFinding(n, 1, "open")))
	}
	c.Outbox = append(c.Outbox, entryOf(testFinding(3, 2, "open")))
	mustCommit(t, s, c)
	mustCommit(t, s, &Checkpoint{Seq: 2, Outbox: []connectors.Entry{entryOf(testFinding(4, 2, "settled")), entryOf(testFinding(5, 2, "withdrawn"))}})
	list := func(f FindingFilter) string {
		t.Helper()
		var b strings.Builder
		if err := s.Findings(f, func(f *schema.Finding) bool { fmt.Fprintf(&b, "%d.%d ", f.ID[1], f.Revision); return true }); err != nil {
			t.Fatalf("findings: %v", err)
		}
		return strings.TrimSpace(b.String())
	}
	f := func(name string, filter FindingFilter, want string) {
		t.Helper()
		if got := list(filter); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	second := schema.Instant(time.Second)
	f("all", FindingFilter{}, "9.1 8.1 7.1 6.1 5.2 4.2 3.2 2.1 1.1 0.1")
	f("limit", FindingFilter{Limit: 2}, "9.1 8.1")
	f("rule", FindingFilter{Rule: "rule.1"}, "7.1 4.2 1.1")
	f("agent", FindingFilter{Agent: "agent-3"}, "8.1 3.2")
	f("agent's name", FindingFilter{Agent: "bot 3"}, "8.1 3.2")
	f("severity", FindingFilter{Severity: "high", Limit: 3}, "9.1 7.1 5.2")
	f("lowest severity", FindingFilter{Severity: "info", Limit: 3}, "9.1 8.1 7.1")
	f("condition", FindingFilter{Match: func(f *schema.Finding) bool { return f.Revision == 2 }, Limit: 2}, "5.2 4.2")
	f("status", FindingFilter{Status: "settled"}, "4.2")
	f("since and until", FindingFilter{Since: start + 2*second, Until: start + 5*second}, "4.2 3.2 2.1")
	f("changed after", FindingFilter{AfterRevision: 10}, "5.2 4.2 3.2")
	after := func(seq uint64, filter FindingFilter) string {
		var b strings.Builder
		err := s.FindingsAfter(seq, filter, func(seq uint64, f *schema.Finding) bool {
			fmt.Fprintf(&b, "%d:%d.%d ", seq, f.ID[1], f.Revision)
			return true
		})
		if err != nil {
			t.Fatalf("findings after: %v", err)
		}
		return strings.TrimSpace(b.String())
	}
	if got, want := after(9, FindingFilter{}), "10:9.1 11:3.2 12:4.2 13:5.2"; got != want {
		t.Errorf("after entry 9: got %q, want %q", got, want)
	}
	if got, want := after(0, FindingFilter{Rule: "rule.2", Limit: 2}), "3:2.1 9:8.1"; got != want {
		t.Errorf("after entry 0: got %q, want %q", got, want)
	}
	clock.t += schema.Instant(61 * time.Minute)
	mustCommit(t, s, &Checkpoint{Seq: 3, Outbox: []connectors.Entry{entryOf(testFinding(4, 3, "settled"))}})
	f("an hour after the last change of a final finding", FindingFilter{}, "9.1 8.1 7.1 6.1 4.3 3.2 2.1 1.1 0.1")
	if _, ok, err := s.Finding(testFinding(5, 0, "").ID); ok || err != nil {
		t.Errorf("a finding older than FindingsKeep: got %v, %v", ok, err)
	}
	got, ok, err := s.Finding(testFinding(4, 0, "").ID)
	if !ok || err != nil || got.Revision != 3 {
		t.Errorf("finding 4: got %+v, %v, %v; want revision 3", got, ok, err)
	}
}

func TestSweepGoesPastOpenFindings(t *testing.T) {
	clock := testClock{start}
	s := openMemory(t, Options{Now: clock.now, FindingsKeep: time.Hour, NoSync: true})
	commitEntries(t, s, 0, 3*pageEntries)
	mustCommit(t, s, &Checkpoint{Seq: 2, Outbox: []connectors.Entry{entryOf(testFinding(60_000, 1, "settled"))}})
	clock.t += schema.Instant(2 * time.Hour)
	for seq := range uint64(6) {
		mustCommit(t, s, &Checkpoint{Seq: 3 + seq})
	}
	if _, ok, _ := s.Finding(testFinding(60_000, 1, "settled").ID); ok {
		t.Error("a settled finding after many open ones was not deleted")
	}
	if _, ok, _ := s.Finding(testFinding(7, 1, "open").ID); !ok {
		t.Error("an open finding was deleted")
	}
}

func TestMemoryWithoutWAL(t *testing.T) {
	s := openMemory(t, Options{NoSync: true})
	mustCommit(t, s, &Checkpoint{Seq: 1, Cells: []KV{{[]byte("a"), []byte("b")}}})
	if v, err := s.Cell([]byte("a")); string(v) != "b" || err != nil {
		t.Errorf("cell: got %q, %v", v, err)
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := findingRecord{
			seq:       rapid.Uint64().Draw(rt, "seq"),
			committed: schema.Instant(rapid.Int64().Draw(rt, "committed")),
			start:     schema.Instant(rapid.Int64().Draw(rt, "start")),
			status:    rapid.String().Draw(rt, "status"),
			rule:      rapid.String().Draw(rt, "rule"),
			agent:     rapid.String().Draw(rt, "agent"),
			severity:  rapid.String().Draw(rt, "severity"),
			body:      rapid.SliceOf(rapid.Byte()).Draw(rt, "body"),
		}
		got, err := parseFindingRecord(r.value())
		if err != nil || !bytes.Equal(got.value(), r.value()) {
			rt.Fatalf("finding record: got %+v, %v, want %+v", got, err, r)
		}
		y := Retry{Seq: rapid.Uint64().Draw(rt, "seq"), Finding: schema.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "id")),
			Due: schema.Instant(rapid.Int64().Draw(rt, "due")), Attempts: rapid.IntRange(0, 1<<40).Draw(rt, "attempts"),
			Size: rapid.Int64Range(0, 1<<50).Draw(rt, "size"), Update: rapid.Bool().Draw(rt, "update")}
		if got, ok := parseRetry(y.Seq, y.value()); !ok || got != y {
			rt.Fatalf("retry: got %+v, %v, want %+v", got, ok, y)
		}
		a, b := schema.Instant(rapid.Int64().Draw(rt, "a")), schema.Instant(rapid.Int64().Draw(rt, "b"))
		if (a < b) != (bytes.Compare(keyGroup(a, schema.ID{}), keyGroup(b, schema.ID{})) < 0) {
			rt.Fatalf("the keys of instants %d and %d are not in their order", a, b)
		}
	})
}

// FuzzRecords passes arbitrary bytes to the functions that parse values of the store. They may return errors, but must not
// panic or allocate without bound. A value that they accept must survive rendering and parsing.
func FuzzRecords(f *testing.F) {
	f.Add((&findingRecord{status: "open", body: []byte("{}")}).value())
	f.Add((&Retry{Seq: 1, Size: 5}).value())
	f.Add(appendEntry(&outboxState{}, "finding.open", []byte(`{"id":"x"}`), 1))
	f.Add((&sinkState{number: 1, cursor: 2}).value())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, v []byte) {
		if r, err := parseFindingRecord(v); err == nil {
			if got, err := parseFindingRecord(r.value()); err != nil || !bytes.Equal(got.value(), r.value()) {
				t.Errorf("a record changes when it is rendered and parsed: %v, %v", r, err)
			}
		}
		if r, ok := parseRetry(7, v); ok {
			if got, ok := parseRetry(7, r.value()); !ok || got != r {
				t.Errorf("a retry changes when it is rendered and parsed: %v", r)
			}
		}
		_, _ = parseEntry(1, v)
		_, _ = parseDeadLetter(keyNumber(tableDead, 1), v)
	})
}

func TestCellAllocations(t *testing.T) {
	s := openMemory(t, Options{NoSync: true})
	mustCommit(t, s, &Checkpoint{Seq: 1, Cells: []KV{{[]byte("owner"), bytes.Repeat([]byte("x"), 300)}}})
	key, other := []byte("owner"), []byte("unknown")
	f := func(name string, key []byte, want float64) {
		t.Helper()
		got := testing.AllocsPerRun(200, func() {
			if _, err := s.Cell(key); err != nil {
				t.Fatal(err)
			}
		})
		if got > want {
			t.Errorf("%s: got %v allocations, want at most %v", name, got, want)
		}
	}
	f("a cell", key, 3) // the key with its table, the copy of the value, Pebble's closer
	f("no cell", other, 2)
}

// TestDeadDeliveriesAreNotDisplaced floods the store with dead letters of records, and then with those of deliveries. Each
// displaces its own kind only, and the log has one line for each flood.
func TestDeadDeliveriesAreNotDisplaced(t *testing.T) {
	var logged []string
	s := openMemory(t, Options{DeadCap: 20_000, Logf: func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }})
	if _, err := s.SetSinks([]SinkSpec{{Name: "soc"}}); err != nil {
		t.Fatal(err)
	}
	step := uint64(0)
	deliveries := func(n int) {
		t.Helper()
		step++
		a := &Advance{Number: step, Cursor: 1}
		for range n {
			a.Dead = append(a.Dead, DeadLetter{Kind: schema.DeadDelivery, Reason: "http_400", Sink: "soc", Body: strings.Repeat("d", 100)})
		}
		if err := s.Advance("soc", a); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint := uint64(0)
	records := func(n int) {
		t.Helper()
		checkpoint++
		dead := make([]DeadLetter, n)
		for i := range dead {
			dead[i] = DeadLetter{Kind: schema.DeadRecord, Reason: "bad_json", Body: strings.Repeat("r", 100)}
		}
		mustCommit(t, s, &Checkpoint{Seq: checkpoint, Dead: dead})
	}
	deliveries(7)
	for range 200 {
		records(3)
	}
	records(500) // more than the share in one checkpoint
	st := s.DeadStats()
	if st.Deliveries.Count != 7 || st.Deliveries.Dropped != 0 {
		t.Errorf("after a flood of records: deliveries %+v, want 7 of them and none dropped", st.Deliveries)
	}
	if st.Bytes-st.Deliveries.Bytes > 10_000 || st.Count-st.Deliveries.Count < 30 || st.Dropped == 0 {
		t.Errorf("after a flood of records: %+v, want the records under their half of the cap", st)
	}
	n := 0
	if err := s.DeadLetters(DeadFilter{Kind: schema.DeadDelivery}, func(*DeadLetter) bool { n++; return true }); err != nil || n != 7 {
		t.Errorf("after a flood of records: %d deliveries are left, %v; want 7", n, err)
	}
	if len(logged) != 1 || !strings.Contains(logged[0], "the oldest records are given up") {
		t.Errorf("a flood of records logged %q, want one line", logged)
	}
	left := s.DeadStats().Count - 7
	for range 20 {
		deliveries(10)
	}
	st = s.DeadStats()
	if st.Count-st.Deliveries.Count != left ||
		st.Deliveries.Dropped == 0 || st.Deliveries.Dropped+st.Deliveries.Count != 207 || st.Deliveries.Bytes > 10_000 {
		t.Errorf("after a flood of deliveries: %+v, want %d records and the deliveries under their half of the cap", st, left)
	}
	if len(logged) != 2 || !strings.Contains(logged[1], "the oldest rows and deliveries are given up") {
		t.Errorf("a flood of deliveries logged %q, want one more line", logged)
	}
	again, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.DeadStats(); got != st {
		t.Errorf("counters after a restart: %+v, want %+v", got, st)
	}
}

// TestDeadCountersOfAnEarlierVersion checks that sums without the part of the deliveries are split.
func TestDeadCountersOfAnEarlierVersion(t *testing.T) {
	s := openMemory(t, Options{})
	mustCommit(t, s, &Checkpoint{Seq: 1, Dead: []DeadLetter{
		{Kind: schema.DeadRecord, Body: `"kind":"row"`}, {Kind: schema.DeadRow, Sink: "a"},
		{Kind: schema.DeadDelivery, Sink: "b"}, {Kind: schema.DeadRecord},
	}})
	want := s.DeadStats()
	total := s.dead.total()
	old := binary.AppendUvarint(binary.AppendUvarint(nil, s.dead.next), total.count)
	old = binary.AppendUvarint(binary.AppendUvarint(old, total.bytes), total.dropped)
	if err := s.db.Set(keyDead(), old, s.writeOptions()); err != nil {
		t.Fatal(err)
	}
	again, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.DeadStats(); got != want || got.Deliveries.Count != 2 {
		t.Errorf("got %+v, want %+v with 2 deliveries", got, want)
	}
}

// TestDisabledSink checks that a disabled sink stays disabled over restarts until it is enabled.
func TestDisabledSink(t *testing.T) {
	s := openMemory(t, Options{})
	if _, err := s.SetSinks([]SinkSpec{{Name: "soc"}}); err != nil {
		t.Fatal(err)
	}
	disabled := Disabled{Since: start, Reason: "answered 410 Gone"}
	if err := s.Advance("soc", &Advance{Number: 1, Cursor: 1, Disable: disabled}); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance("soc", &Advance{Number: 2, Cursor: 1}); err != nil {
		t.Fatal(err)
	}
	again, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, s := range []*Store{s, again} {
		if st, _ := s.Sink("soc"); st.Disabled != disabled {
			t.Errorf("got %+v, want %+v", st.Disabled, disabled)
		}
	}
	if changed, err := again.EnableSink("soc"); !changed || err != nil {
		t.Errorf("enable: got %v, %v", changed, err)
	}
	if changed, err := again.EnableSink("soc"); changed || err != nil {
		t.Errorf("enable twice: got %v, %v", changed, err)
	}
	if _, err := again.EnableSink("siem"); err == nil || !strings.Contains(err.Error(), `use one of ["soc"]`) {
		t.Errorf("enable an unknown sink: got %v", err)
	}
	last, err := again.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	if st, _ := last.Sink("soc"); st.Disabled != (Disabled{}) || st.Number != 2 {
		t.Errorf("after enabling and a restart: got %+v", st)
	}
}
