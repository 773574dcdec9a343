package inventory

import (
	"maps"
	"slices"
	"strings"
)

// Overlay is what shards hold of the entities of one kind that the store does not have yet. It is a copy of one moment.
type Overlay struct {
	kind    Kind
	minutes map[string][]pendingMinute
	base    map[string][]byte
}

// NewOverlay returns an empty Overlay.
func NewOverlay(kind Kind) *Overlay {
	return &Overlay{kind: kind, minutes: map[string][]pendingMinute{}, base: map[string][]byte{}}
}

// AddTo adds what the shard holds to an overlay.
func (s *Shard) AddTo(o *Overlay) {
	for key, p := range s.pending {
		if key[0] == byte(o.kind) {
			o.minutes[key] = slices.Clone(p.minutes)
		}
	}
	for key, own := range s.inflight {
		if key[0] == byte(o.kind) {
			o.base[key] = own.value
		}
	}
}

// Entities calls yield with each entity of the kind, in order of their flat keys, until it returns false. scan is that of
// the store: it calls yield with base of each entity in a range of keys. A minute that was folded after the overlay was made is
// recognised by base.
func (o *Overlay) Entities(scan func(from, to []byte, yield func(key, value []byte) bool) error, yield func(*Entity) bool) error {
	ours := slices.Sorted(maps.Keys(o.minutes))
	for key := range o.base {
		if _, ok := o.minutes[key]; !ok {
			ours = append(ours, key)
		}
	}
	slices.Sort(ours)
	var s Shard // for its scratch
	var damaged error
	more := true
	emit := func(key string, value []byte) bool {
		if own, ok := o.base[key]; ok {
			value = own
		}
		var e *Entity
		if e, damaged = s.compose(key, value, o.minutes[key]); damaged != nil {
			more = false
		} else if e != nil {
			more = yield(e)
		}
		return more
	}
	err := scan([]byte{byte(o.kind)}, []byte{byte(o.kind) + 1}, func(k, value []byte) bool {
		key := string(k)
		for len(ours) > 0 && ours[0] < key {
			next := ours[0]
			ours = ours[1:]
			if !emit(next, nil) {
				return false
			}
		}
		if len(ours) > 0 && ours[0] == key {
			ours = ours[1:]
		}
		return emit(key, value)
	})
	for len(ours) > 0 && more && err == nil {
		emit(ours[0], nil)
		ours = ours[1:]
	}
	if err == nil {
		err = damaged
	}
	return err
}

// compose returns the entity of a base, which may be nil, and pending minutes; nil if it has neither.
func (s *Shard) compose(key string, value []byte, minutes []pendingMinute) (*Entity, error) {
	k, ok := readKey([]byte(strings.Clone(key)))
	if !ok {
		return nil, errDamaged
	}
	folded := int64(noMinute)
	s.a.reset()
	if value != nil {
		if folded, ok = readBase(value, &s.a); !ok {
			return nil, errDamaged
		}
	}
	if value == nil && len(minutes) == 0 {
		return nil, nil
	}
	s.overlay(folded, minutes)
	return s.a.entity(k), nil
}

// EntityOn returns an entity of which base is known, with the pending minutes of the shard.
func (s *Shard) EntityOn(k Key, base []byte) (e *Entity, ok bool, err error) {
	key := string(k.Append(nil))
	var minutes []pendingMinute
	if p := s.pending[key]; p != nil {
		minutes = p.minutes
	}
	e, err = s.compose(key, base, minutes)
	return e, e != nil, err
}

// ReadBase returns the entity of base as the store has it.
func ReadBase(key, value []byte) (*Entity, error) {
	var s Shard
	e, err := s.compose(string(key), value, nil)
	if err == nil && e == nil {
		err = errDamaged
	}
	return e, err
}
