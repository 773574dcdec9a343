package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/schema"
)

// Flags for the long form, and to repeat a run:
//
//	go test ./cmd/aidr -run TestFindingsThroughFaults -faults 1000000 -fault-kills 50 -fault-seed 7 -timeout 2h -v
var (
	faultsFlag     = flag.Int("faults", 20_000, "how many findings go through a ClickHouse that fails")
	faultKillsFlag = flag.Int("fault-kills", 6, "how often aidr is killed meanwhile")
	faultSeedFlag  = flag.Uint64("fault-seed", 0, "seed of the instants at which aidr is killed; 0: of the clock")
)

// TestFindingsThroughFaults sends findings through a ClickHouse that is killed, slow, read-only and refuses inserts because of
// too many parts, in turn, while aidr is killed. The database has the findings of a replay in the end, each in its final state.
func TestFindingsThroughFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	t.Parallel()
	seed := *faultSeedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./cmd/aidr -run TestFindingsThroughFaults -faults %d -fault-kills %d -fault-seed %d", *faultsFlag, *faultKillsFlag, seed)
	r := rand.New(rand.NewPCG(seed, 1))
	x := newFaulty(t)
	kinds := []fault{{name: "none"}, x.killed(), x.readOnly(), x.tooManyParts(), x.slow()}
	refused := map[string]int{}
	for n := range *faultKillsFlag {
		f := kinds[n%len(kinds)]
		x.append(*faultsFlag * (n + 1) / *faultKillsFlag)
		if f.begin != nil {
			f.begin()
		}
		p := start(t, "run", "--config", x.config)
		await(t, time.Minute, "reading", func() error { p.alive(); return isReading(x.listen) })
		if f.shows != "" {
			await(t, time.Minute, f.name+" to be reported", func() error { p.alive(); return x.degraded(f.shows) })
			refused[f.name]++
		} else {
			await(t, time.Minute, "findings", func() error { p.alive(); return x.hasSome() })
		}
		time.Sleep(time.Duration(r.Int64N(int64(time.Second)))) // the instant of the kill
		p.kill()
		if f.end != nil {
			f.end()
		}
	}
	x.finish()
	p := start(t, "run", "--config", x.config)
	want := x.replayed()
	if len(want) != *faultsFlag {
		t.Fatalf("the replay has %d findings, want %d", len(want), *faultsFlag)
	}
	began := time.Now()
	await(t, 10*time.Minute, "the findings are those of the replay", func() error { p.alive(); return x.same(want) })
	t.Logf("equal %v after the last start; faults that were reported: %v", time.Since(began).Round(time.Second), refused)
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	var bodies, dead uint64
	x.row("SELECT count() FROM (SELECT id, revision FROM findings GROUP BY id, revision HAVING uniqExact(status, count, last_seen, explanation) > 1)", &bodies)
	x.row("SELECT count() FROM dead_letters", &dead)
	if bodies > 0 || dead > 0 {
		t.Errorf("%d revisions with two bodies and %d dead letters, want none", bodies, dead)
	}
}

// fault is one way in which ClickHouse fails. shows is part of the error that aidr reports; "" if it has none to report.
type fault struct {
	name, shows string
	begin, end  func()
}

// faulty is an aidr in front of a ClickHouse that fails.
type faulty struct {
	t                           *testing.T
	o                           host.Options
	engine                      *host.Engine
	db                          *database // past the wire
	wire                        *wire
	dir, config, rules, records string
	listen                      string
	written                     int // findings whose records are in the file
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	dir, err := os.MkdirTemp("", "aidr-run-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	x := &faulty{
		t: t, o: host.Options{Dir: t.TempDir(), Password: "known to both", Database: host.TestDatabase()}, dir: dir, listen: freeAddr(t),
		config: filepath.Join(dir, "aidr.yaml"), rules: filepath.Join(dir, "rules"), records: filepath.Join(dir, "records.jsonl"),
	}
	x.engine = host.StartForTest(t, x.o)
	if _, err := fmt.Sscanf(x.engine.Addr, "127.0.0.1:%d", &x.o.Port); err != nil {
		t.Fatal(err)
	}
	x.db = openDatabase(t, x.engine.DSN)
	x.wire = newWire(t, x.engine.Addr)
	dsn, err := url.Parse(x.engine.DSN)
	if err != nil {
		t.Fatal("the DSN does not parse") // the error may contain the password
	}
	dsn.Host = x.wire.addr
	if err := os.Mkdir(x.rules, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(x.rules, "each.yaml"): "id: each\ntitle: An act\nseverity: low\nwhen: event.action == \"x\"\ngroup: {for: 10s, by: [ai_agent.uid]}\n",
		x.records:                           "",
		x.config: fmt.Sprintf("rules: [%q]\nstate: {dir: %q}\nsources: [{name: logs, file: {paths: [%q], follow: true}, format: aidr, idle: 1h}]\n"+
			"sinks: {clickhouse: {dsn: %q, linger: 100ms}}\nhttp: {listen: %q}\n", x.rules, filepath.Join(dir, "state"), x.records, dsn, x.listen),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustAidr(t, "migrate", "--config", x.config)
	return x
}

// revive starts the server again if it has ended by itself. The embedded engine does so now and then.
func (x *faulty) revive() {
	select {
	case <-x.engine.Exited():
		x.t.Log("the ClickHouse engine ended by itself and is started again")
		x.engine = host.StartForTest(x.t, x.o)
	default:
	}
}

// perSecond is the number of findings of a second of event time.
const perSecond = 500

// at returns the time of the records of a finding.
func (x *faulty) at(n int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n/perSecond) * time.Second)
}

// append adds the records of the findings up to n, each of one agent with one to three acts.
func (x *faulty) append(n int) {
	x.t.Helper()
	x.write(func(w io.Writer) {
		for ; x.written < n; x.written++ {
			for range 1 + x.written%3 {
				fmt.Fprintf(w, `{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":"x","ai_agent.uid":"agent-%d"}`+"\n",
					x.at(x.written).Format(time.RFC3339), x.written)
			}
		}
	})
}

// finish adds records of much later, so that all groups are over.
func (x *faulty) finish() {
	x.t.Helper()
	x.write(func(w io.Writer) {
		for range 1000 {
			fmt.Fprintf(w, `{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":"y","ai_agent.uid":"last"}`+"\n",
				x.at(x.written).Add(time.Hour).Format(time.RFC3339))
		}
	})
}

func (x *faulty) write(records func(io.Writer)) {
	x.t.Helper()
	f, err := os.OpenFile(x.records, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	records(w)
	if err := w.Flush(); err != nil {
		x.t.Fatal(err)
	}
}

// finalState is the final state of a finding.
type finalState struct {
	agent, status string
	count         uint64
	last          int64
}

// replayed returns the findings of a replay.
func (x *faulty) replayed() map[schema.ID]finalState {
	x.t.Helper()
	out := map[schema.ID]finalState{}
	for _, f := range jsonLines[*schema.Finding](x.t, mustAidr(x.t, "replay", "--format", "aidr", "--rules", x.rules, x.records)) {
		out[f.ID] = finalState{f.AgentUID, string(f.Status), uint64(f.Count), int64(f.LastSeen)}
	}
	return out
}

// same returns an error unless v_findings has exactly the findings, in their final states.
func (x *faulty) same(want map[schema.ID]finalState) error {
	x.revive()
	var n, settled uint64
	if err := x.db.conn.QueryRow(x.t.Context(), "SELECT count(), countIf(status = 'settled') FROM v_findings").Scan(&n, &settled); err != nil {
		return err
	}
	if n != uint64(len(want)) || settled != n {
		return fmt.Errorf("%d findings of which %d are settled, want %d", n, settled, len(want))
	}
	rows, err := x.db.conn.Query(x.t.Context(), "SELECT toString(id), agent_uid, toString(status), toUInt64(count), toUnixTimestamp64Nano(last_seen) FROM v_findings")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var got finalState
		if err := rows.Scan(&text, &got.agent, &got.status, &got.count, &got.last); err != nil {
			return err
		}
		id, err := schema.ParseID(text)
		if err != nil {
			return err
		}
		if got != want[id] {
			return fmt.Errorf("finding %s is %+v, want %+v", text, got, want[id])
		}
	}
	return rows.Err()
}

func (x *faulty) row(query string, out ...any) {
	x.t.Helper()
	if err := x.db.conn.QueryRow(x.t.Context(), query).Scan(out...); err != nil {
		x.t.Errorf("%s: %v", query, err)
	}
}

func (x *faulty) exec(query string) {
	x.t.Helper()
	if err := x.db.conn.Exec(x.t.Context(), query); err != nil {
		x.t.Fatalf("%s: %v", query, err)
	}
}

// hasSome returns an error unless v_findings has findings.
func (x *faulty) hasSome() error {
	x.revive()
	var n uint64
	err := x.db.conn.QueryRow(x.t.Context(), "SELECT count() FROM v_findings").Scan(&n)
	if err == nil && n == 0 {
		err = fmt.Errorf("no findings yet")
	}
	return err
}

// degraded returns an error unless aidr reports the sink as degraded, with a reason that contains the text.
func (x *faulty) degraded(text string) error {
	if err := isDegraded(x.listen, "sink.clickhouse"); err != nil {
		return err
	}
	r, err := readyz(x.listen)
	if err == nil && !strings.Contains(strings.ToLower(r.Components["sink.clickhouse"].Reason), text) {
		err = fmt.Errorf("the reason is %q, want %q in it", r.Components["sink.clickhouse"].Reason, text)
	}
	return err
}

func (x *faulty) killed() fault {
	return fault{"killed", "handshake", func() { x.engine.Kill() }, func() { x.engine = host.StartForTest(x.t, x.o) }}
}

func (x *faulty) readOnly() fault {
	set := func(value int) func() {
		return func() { x.exec(fmt.Sprintf("ALTER TABLE findings MODIFY SETTING table_readonly = %d", value)) }
	}
	return fault{"read-only", "readonly", set(1), set(0)}
}

func (x *faulty) tooManyParts() fault {
	return fault{
		"too many parts", "too many parts",
		func() {
			x.exec("ALTER TABLE findings MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1")
		},
		func() { x.exec("ALTER TABLE findings RESET SETTING parts_to_throw_insert, parts_to_delay_insert") },
	}
}

func (x *faulty) slow() fault {
	return fault{"slow", "", func() { x.wire.pause.Store(int64(20 * time.Millisecond)) }, func() { x.wire.pause.Store(0) }}
}

// wire is a TCP proxy that may pause before each piece that it passes on.
type wire struct {
	addr  string
	pause atomic.Int64 // nanoseconds
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go w.forward(client, server)
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return w
}

func (w *wire) forward(client net.Conn, server string) {
	defer client.Close()
	to, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		w.copy(to, client)
		to.Close()
	}()
	w.copy(client, to)
}

// copy passes on what it reads, in pieces of at most 8 KiB.
func (w *wire) copy(to io.Writer, from io.Reader) {
	piece := make([]byte, 8<<10)
	for {
		n, err := from.Read(piece)
		if pause := w.pause.Load(); pause > 0 && n > 0 {
			time.Sleep(time.Duration(pause))
		}
		if n > 0 {
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
