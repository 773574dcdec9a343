package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// maxPartitions is how many months one block may touch: the server refuses 100, and event times come from logs, so
	// that anybody who writes them could make a block that is refused for ever.
	maxPartitions = 50

	// maxProbes is how many blocks one Write tries to tell good rows from bad ones; each costs a round trip. What is
	// not told apart by then comes again.
	maxProbes = 256

	// probeAgain is when it comes again.
	probeAgain = time.Second

	// writeTimeout bounds one block. The largest take about a second.
	writeTimeout = 60 * time.Second
)

// line is one entry that can be a row.
type line struct {
	entry  *connectors.Entry
	values []any
	sum    [sha256.Size]byte // of its content
}

// block is lines that are sent as one: all of it goes in or nothing does. Its boundaries follow from the entries
// alone, so entries that come again are the same blocks.
type block []line

// token tells the server a block that it has. The positions alone would not do: a new state directory counts from 1
// again, and its first findings must not be taken for the old ones.
func (b block) token() string {
	h := sha256.New()
	for i := range b {
		h.Write(b[i].sum[:])
	}
	return fmt.Sprintf("aidr-findings-%d-%d-%s", b[0].entry.Seq, b[len(b)-1].entry.Seq, hex.EncodeToString(h.Sum(nil)[:16]))
}

// cut parts lines into blocks: of at most rows, and of few enough partitions.
func cut(lines []line, rows int) (out []block) {
	begin, months := 0, map[int]bool{}
	for i := range lines {
		at := clock(lines[i].entry.Finding.GroupStart)
		month := at.Year()*12 + int(at.Month())
		if i-begin == rows || len(months) == maxPartitions && !months[month] {
			out = append(out, lines[begin:i])
			begin = i
			clear(months)
		}
		months[month] = true
	}
	if begin < len(lines) {
		out = append(out, lines[begin:])
	}
	return out
}

// lines makes rows of entries; those that can never be one are named as poison.
func lines(entries []connectors.Entry) (out []line, poison []connectors.Undelivered) {
	for i := range entries {
		e := &entries[i]
		if e.Finding == nil {
			continue // a change that is not about a finding has no row here
		}
		values, err := row(e.Finding)
		if err != nil {
			poison = append(poison, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: "out_of_range", Detail: err.Error()})
			continue
		}
		body, err := json.Marshal(e.Finding)
		if err != nil {
			poison = append(poison, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: "type_mismatch", Detail: err.Error()})
			continue
		}
		var seq [8]byte
		binary.BigEndian.PutUint64(seq[:], e.Seq)
		out = append(out, line{e, values, sha256.Sum256(append(seq[:], body...))})
	}
	return out, poison
}

// writer writes the blocks of one Write.
type writer struct {
	conn   clickhouse.Conn
	insert string
	probes int
	failed []connectors.Undelivered
}

// write sends b. A block with bad rows is halved until they stand alone: they are named in failed, and the rest goes
// in. An error means that the destination is away; then nothing is known of b.
func (w *writer) write(ctx context.Context, b block) error {
	if w.probes >= maxProbes {
		for i := range b {
			w.failed = append(w.failed, connectors.Undelivered{Seq: b[i].entry.Seq, Held: true, Reason: "held", Detail: "too many bad rows in one block", After: probeAgain})
		}
		return nil
	}
	w.probes++
	err := w.send(ctx, b)
	if err == nil {
		return nil
	}
	c, reason := classify(err)
	switch {
	case c == classTable, c == classRow && len(b) == 1:
		for i := range b {
			w.failed = append(w.failed, connectors.Undelivered{Seq: b[i].entry.Seq, Poison: true, Reason: reason, Detail: err.Error()})
		}
		return nil
	case c == classRow:
		if err := w.write(ctx, b[:len(b)/2]); err != nil {
			return err
		}
		return w.write(ctx, b[len(b)/2:])
	}
	return err
}

func (w *writer) send(ctx context.Context, b block) (err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplicate":         1,
		"insert_deduplication_token": b.token(),
		"async_insert":               0, // a profile may turn it on: then "done" would not mean durable
	}))
	batch, err := w.conn.PrepareBatch(ctx, w.insert)
	if err != nil {
		return fmt.Errorf("begin block: %w", err)
	}
	defer batch.Close()
	for i := range b {
		if err := batch.Append(b[i].values...); err != nil {
			return fmt.Errorf("append row %d: %w", i, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("send block of %d rows: %w", len(b), err)
	}
	return nil
}

// insertStatement names every column: a table may have more of them, or in another order.
func insertStatement(d dialect) string {
	names := make([]string, len(findingColumns))
	for i := range findingColumns {
		names[i] = quoteName(findingColumns[i].name)
	}
	return "INSERT INTO " + d.Table("findings") + " (" + strings.Join(names, ", ") + ")"
}
