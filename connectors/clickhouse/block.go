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
	// maxPartitions is the number of partitions, which are months, that one block may touch. The server refuses a block
	// of more than 100. Event times come from logs, so without this limit the author of a log could cause a block that
	// is refused at every attempt.
	maxPartitions = 50

	// maxProbes is the number of blocks that one Write sends while it separates bad rows from good ones. Each costs a
	// round trip. Rows that are not separated by then are tried again after probePause.
	maxProbes  = 256
	probePause = time.Second

	// writeTimeout bounds the sending of one block. The largest blocks take about a second.
	writeTimeout = 60 * time.Second
)

// row is an entry as a row of its table.
type row struct {
	entry  *connectors.Entry
	values []any             // in the order of findingColumns or responseColumns
	sum    [sha256.Size]byte // of the entry's Seq and finding
}

// block is a list of rows that are inserted together: all of them or none. The boundaries of blocks depend only on the
// entries, so the same entries, written again, form the same blocks.
type block []row

// token returns the deduplication token, by which the server recognises a block that it already has. It covers the
// content as well as the positions, because a new state directory counts from 1 again and its first findings must not be
// taken for earlier ones.
func (b block) token() string {
	h := sha256.New()
	for i := range b {
		h.Write(b[i].sum[:])
	}
	return fmt.Sprintf("aidr-findings-%d-%d-%s", b[0].entry.Seq, b[len(b)-1].entry.Seq, hex.EncodeToString(h.Sum(nil)[:16]))
}

// month returns the partition of the row. Those of responses have none.
func (r *row) month() int {
	if r.entry.Finding == nil {
		return 0
	}
	at := timeOf(r.entry.Finding.GroupStart)
	return at.Year()*12 + int(at.Month())
}

// blocks splits rows into blocks of at most maxRows rows and maxPartitions partitions.
func blocks(rows []row, maxRows int) (out []block) {
	start, months := 0, map[int]bool{}
	for i := range rows {
		month := rows[i].month()
		if i-start == maxRows || len(months) == maxPartitions && !months[month] {
			out = append(out, rows[start:i])
			start = i
			clear(months)
		}
		months[month] = true
	}
	if start < len(rows) {
		out = append(out, rows[start:])
	}
	return out
}

// rowsOf converts entries into rows. Entries that can never be a row are returned as poison.
func rowsOf(entries []connectors.Entry) (out []row, poison []connectors.Undelivered) {
	for i := range entries {
		e := &entries[i]
		if e.Finding == nil {
			continue // see responseRowsOf
		}
		values, err := rowValues(e.Finding)
		if err != nil {
			poison = append(poison, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: connectors.ReasonOutOfRange, Detail: err.Error()})
			continue
		}
		body, err := json.Marshal(e.Finding)
		if err != nil {
			poison = append(poison, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: connectors.ReasonTypeMismatch, Detail: err.Error()})
			continue
		}
		var seq [8]byte
		binary.BigEndian.PutUint64(seq[:], e.Seq)
		out = append(out, row{e, values, sha256.Sum256(append(seq[:], body...))})
	}
	return out, poison
}

// writer sends the blocks of one Write.
type writer struct {
	conn   clickhouse.Conn
	insert string
	probes int // number of blocks sent
	failed []connectors.Undelivered
}

// write sends b. If the server refuses a row of it, b is halved until every bad row is alone in its block. The bad rows are
// added to failed, and all others are stored. An error means that the destination is unavailable and that the state of b
// is unknown.
func (w *writer) write(ctx context.Context, b block) error {
	if w.probes >= maxProbes {
		for i := range b {
			w.failed = append(w.failed, connectors.Undelivered{
				Seq: b[i].entry.Seq, Held: true, Reason: connectors.ReasonHeld,
				Detail: "not tried, because too many rows of the same write are bad", After: probePause,
			})
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
		"async_insert":               0, // a user's profile may set it to 1; success would then not mean durable
	}))
	batch, err := w.conn.PrepareBatch(ctx, w.insert)
	if err != nil {
		return fmt.Errorf("prepare block: %w", err)
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

// insertStatement returns an INSERT that names every column, because the table may have further columns or another order.
func insertStatement(d dialect) string {
	names := make([]string, len(findingColumns))
	for i := range findingColumns {
		names[i] = findingColumns[i].name
	}
	return d.insertInto("findings", names)
}

// insertResponses is insertStatement for the table responses.
func insertResponses(d dialect) string {
	names := make([]string, len(responseColumns))
	for i := range responseColumns {
		names[i] = responseColumns[i].name
	}
	return d.insertInto("responses", names)
}

func (d dialect) insertInto(table string, columns []string) string {
	quoted := make([]string, len(columns))
	for i, name := range columns {
		quoted[i] = quoteName(name)
	}
	return "INSERT INTO " + d.Table(table) + " (" + strings.Join(quoted, ", ") + ")"
}
