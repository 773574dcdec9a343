package engine

import (
	"math"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// newInventoryBatch returns the aggregation of a result's events; nil without an inventory.
func newInventoryBatch(opts Options) *inventory.Batch {
	if !opts.Inventory {
		return nil
	}
	redactor := newNameRedactor(opts)
	return inventory.NewBatch(redactor.expose)
}

// nameRedactor shows texts in the inventory as evidence shows them.
type nameRedactor struct {
	redact    func(string) string
	redaction *schema.Redaction
	clean     map[string]struct{} // texts that redact leaves as they are
}

const (
	// maxCleanNames is the number of names that a redactor remembers. When it has so many it forgets all.
	maxCleanNames = 4096
	// minSecret is the length in bytes below which no text is a credential.
	minSecret = 8
)

func newNameRedactor(opts Options) *nameRedactor {
	return &nameRedactor{redact: opts.Redact, redaction: opts.Redaction, clean: map[string]struct{}{}}
}

func (n *nameRedactor) expose(f schema.Field, text string) string {
	x := n.redaction.Field(f)
	if x != schema.Redacted {
		return capture.Exposed(x, schema.StringValue(text), n.redact).Text
	}
	if len(text) < minSecret {
		return text
	}
	if _, ok := n.clean[text]; ok {
		return text
	}
	redacted := n.redact(text)
	if redacted == text {
		if len(n.clean) >= maxCleanNames {
			clear(n.clean)
		}
		n.clean[string([]byte(text))] = struct{}{}
	}
	return redacted
}

// newInventoryShard returns the shard's part of the inventory; nil without an inventory.
func newInventoryShard(s *shard, opts Options) *inventory.Shard {
	switch {
	case !opts.Inventory:
		return nil
	case opts.Store == nil:
		return inventory.NewShard(nil)
	}
	return inventory.NewShard(func(key []byte) (value []byte) {
		s.retry.do("read the inventory", func() (err error) {
			value, err = s.store.Entity(key)
			return err
		})
		return value
	})
}

// addDeltas gives deltas to the shard's part of the inventory.
func (s *shard) addDeltas(deltas string) {
	if err := s.inventory.Add(deltas); err != nil {
		panic("BUG: the worker made deltas that cannot be read: " + err.Error())
	}
	s.changes[0].size += int64(len(deltas))
	s.size[budget.Dirty] += int64(len(deltas))
	s.size[budget.Inventory] = s.inventory.Size()
}

// saveInventory adds the shard's part of the inventory to a checkpoint.
func (s *shard) saveInventory(b *barrier, out *shardPart) {
	if s.inventory == nil {
		return
	}
	out.inventory = s.inventory.Checkpoint(b.inventory, b.rowing)
	out.size += int64(len(out.inventory.Rows))
	for _, kv := range out.inventory.Base {
		out.size += int64(len(kv.Key) + len(kv.Value))
	}
	s.size[budget.Inventory] = s.inventory.Size()
}

// inventoryProgress is the checkpointer's part of the inventory.
type inventoryProgress struct {
	watermark schema.Instant // of all partitions
	journals  []inventoryJournal
	rows      bool      // a sink wants rows
	committed func()    // Options.RowsCommitted
	lastRows  time.Time // when the rows of everything that changed were made
	newest    int64     // of the checkpoint under way
	oldest    int64
}

// inventoryJournal is a checkpoint whose deltas are not all in base.
type inventoryJournal struct {
	seq    uint64
	newest int64 // its last minute
}

// rowsEvery is the pace of the rows of minutes that are not over. Each is made again at most so often.
const rowsEvery = 5 * time.Second

// rowing returns which rows the checkpoint of an instant makes.
func (p *inventoryProgress) rowing(now time.Time, force bool) inventory.Rowing {
	switch {
	case !p.rows:
		return inventory.NoRows
	case force || now.Sub(p.lastRows) >= rowsEvery:
		p.lastRows = now
		return inventory.AllRows
	}
	return inventory.LastRows
}

// raiseInventory brings the watermark of the inventory up to date. It is that of a rule that reads every dataset. lanes.mu
// is held.
func (c *checkpointer) raiseInventory(end *schema.Instant) {
	p := &c.inventory
	p.newest, p.oldest = math.MinInt64, math.MaxInt64
	if end != nil {
		p.watermark = max(p.watermark, *end)
		return
	}
	low, found := schema.MaxInstant, false
	for in, high := range c.lows() {
		if d, ok := in.delays.forRule(&rules.Rule{}); ok {
			low, found = min(low, high.Sub(d)), true
		}
	}
	if found {
		p.watermark = max(p.watermark, low)
	}
}

// collectInventory puts a shard's part of the inventory into the checkpoint.
func (c *checkpointer) collectInventory(part *inventory.Part, cp *store.Checkpoint) {
	for _, kv := range part.Base {
		cp.Entities = append(cp.Entities, store.KV(kv))
	}
	for _, kv := range part.Ranks {
		cp.Ranks = append(cp.Ranks, store.KV(kv))
	}
	if len(part.Rows) > 0 {
		cp.Rows = append(cp.Rows, part.Rows)
	}
	cp.Deltas = append(cp.Deltas, part.Journal...)
	c.inventory.newest = max(c.inventory.newest, part.Newest)
	c.inventory.oldest = min(c.inventory.oldest, part.Oldest)
}

// dropDeltas adds to a checkpoint the earlier ones whose deltas are in base with it, and remembers its own.
func (c *checkpointer) dropDeltas(cp *store.Checkpoint) {
	p := &c.inventory
	p.journals = slices.DeleteFunc(p.journals, func(j inventoryJournal) bool {
		if j.newest < p.oldest {
			cp.DropDeltas = append(cp.DropDeltas, j.seq)
			return true
		}
		return false
	})
	if len(cp.Deltas) > 0 {
		p.journals = append(p.journals, inventoryJournal{cp.Seq, p.newest})
	}
}

// restoreInventory gives the shards the deltas that were not in base when the last checkpoint was made.
func (e *Engine) restoreInventory(watermark schema.Instant) error {
	if !e.opts.Inventory {
		return nil
	}
	p := &e.checkpoints.inventory
	p.watermark = watermark
	var failed error
	err := e.opts.Store.Deltas(func(seq uint64, deltas string) bool {
		parts, newest, err := inventory.Split(deltas, len(e.shards))
		if failed = err; failed != nil {
			return false
		}
		for i, s := range e.shards {
			if failed = s.inventory.Restore(parts[i]); failed != nil {
				return false
			}
			s.size[budget.Inventory] = s.inventory.Size()
		}
		p.journals = append(p.journals, inventoryJournal{seq, newest})
		return true
	})
	for _, s := range e.shards {
		s.report()
	}
	if failed != nil {
		return failed
	}
	return err
}
