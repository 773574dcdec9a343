package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
)

// Inventory is the inventory of an engine, with the minutes above the watermark, or that of a store at its last checkpoint. It
// implements inventory.Source. It may be read while the engine runs and after it has stopped, as long as its store is open.
type Inventory struct {
	engine *Engine      // nil if it is that of a store
	store  *store.Store // nil: the shards hold everything
	shards []func(f func(*inventory.Shard)) error
}

// Inventory returns the inventory of the engine, nil if Options.Inventory is not set.
func (e *Engine) Inventory() *Inventory {
	if !e.opts.Inventory {
		return nil
	}
	v := &Inventory{engine: e, store: e.opts.Store}
	for _, s := range e.shards {
		v.shards = append(v.shards, func(f func(*inventory.Shard)) error {
			e.inShard(s, func() { f(s.inventory) })
			return e.Err()
		})
	}
	return v
}

// Same reports whether both are inventories of one engine.
func (v *Inventory) Same(o *Inventory) bool { return v.engine == o.engine }

// inShard calls f in the goroutine of a shard, or here if the shard's has ended.
func (e *Engine) inShard(s *shard, f func()) {
	e.calls.RLock()
	defer e.calls.RUnlock()
	if e.shardsEnded {
		f()
		return
	}
	done := make(chan struct{})
	s.in <- message{call: func(*shard) { f(); close(done) }}
	<-done
}

// StoredInventory returns the inventory of a store that no engine has open.
func StoredInventory(st *store.Store) *Inventory {
	return &Inventory{store: st, shards: []func(func(*inventory.Shard)) error{func(f func(*inventory.Shard)) error {
		var failed error
		s := inventory.NewShard(func(key []byte) (value []byte) {
			value, err := st.Entity(key)
			failed = cmp.Or(failed, err)
			return value
		})
		err := st.Deltas(func(_ uint64, deltas string) bool {
			failed = s.Restore(deltas)
			return failed == nil
		})
		if err = cmp.Or(err, failed); err != nil {
			return fmt.Errorf("read the inventory: %w", err)
		}
		f(s)
		return failed
	}}}
}

// Entity implements inventory.Source.
func (v *Inventory) Entity(k inventory.Key) (found *inventory.Entity, ok bool, err error) {
	err = v.shards[k.Hash()%uint64(len(v.shards))](func(s *inventory.Shard) { found, ok = s.Entity(k) })
	return found, ok, err
}

// Entities implements inventory.Source. Memory holds the entities of the kind that the store does not have yet.
func (v *Inventory) Entities(kind inventory.Kind, yield func(*inventory.Entity) bool) error {
	overlay := inventory.NewOverlay(kind)
	for _, in := range v.shards {
		if err := in(func(s *inventory.Shard) { s.AddTo(overlay) }); err != nil {
			return err
		}
	}
	return overlay.Entities(v.scan, yield)
}

// scan is that of the store.
func (v *Inventory) scan(from, to []byte, yield func(key, value []byte) bool) error {
	if v.store == nil {
		return nil
	}
	return v.store.Entities(from, to, yield)
}

// Top returns the n entities of a kind with the highest inventory.Rank, the highest first. It reads about as many.
func (v *Inventory) Top(kind inventory.Kind, n int) (out []*inventory.Entity, err error) {
	var all []inventory.RankedKey
	for _, in := range v.shards {
		if err := in(func(s *inventory.Shard) { all = append(all, s.Top(kind, n)...) }); err != nil {
			return nil, err
		}
	}
	if v.store != nil {
		if err := v.addRanked(kind, n, &all); err != nil {
			return nil, err
		}
	}
	inventory.SortRanked(all)
	for _, r := range all[:min(n, len(all))] {
		k, ok := inventory.KeyOf(r.Key)
		if !ok {
			return nil, fmt.Errorf("read the inventory: the key %q is damaged", r.Key)
		}
		e, ok, err := v.Entity(k)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// addRanked adds the n entities of the store with the highest rank, without those that shards gave.
func (v *Inventory) addRanked(kind inventory.Kind, n int, all *[]inventory.RankedKey) error {
	known := map[string]bool{}
	for _, r := range *all {
		known[r.Key] = true
	}
	return v.store.Ranks(byte(kind), func(entry []byte) bool {
		if r, ok := inventory.ReadRankKey(entry); ok && !known[r.Key] {
			*all = append(*all, r)
			n--
		}
		return n > 0
	})
}

// Changes is a place in the changes of an inventory, from which Changed goes on. The zero Changes is the beginning.
type Changes struct{ after []uint64 }

// Changed returns up to most entities of a kind for each shard that changed since the last call with at.
func (v *Inventory) Changed(kind inventory.Kind, at *Changes, most int) (out []*inventory.Entity, err error) {
	if at.after == nil {
		at.after = make([]uint64, len(v.shards))
	}
	for i, in := range v.shards {
		err := in(func(s *inventory.Shard) {
			changed, last := s.Changed(kind, at.after[i], most)
			out, at.after[i] = append(out, changed...), last
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b *inventory.Entity) int { return cmp.Compare(a.LastSeen, b.LastSeen) })
	return out, nil
}
