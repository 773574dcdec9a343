package fold

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxLedger is the number of values that a ledger holds: the latest.
	maxLedger = rules.MaxBroughtValues
	// placeBits are the bits of a stamp for the place of a value in its text, which has at most 1<<placeBits values.
	placeBits = 9

	ledgerItemSize  = 8 + 8 + 2
	ledgerValueSize = item.ValueHashSize + 8
)

// A ledger is the values that the items of a key brought, each with the item that brought it last. In its flat form the
// values are sorted by hash, so that a lookup is a binary search and another item is merged in one pass:
//
//	n           2 bytes big-endian
//	n items     number, time (each 8 bytes big-endian), live: the number of values that it was the last to bring
//	            (2 bytes big-endian); in order, numbers ascending, each with at least one value
//	n           2 bytes big-endian
//	n values    hash (8 bytes), stamp (8 bytes big-endian): the item's number << placeBits + the place in its text
//
// Stamps order values by the last time they were brought. The values with the lowest stamps leave: those of items out of
// the window, and above maxLedger the oldest.
type ledger struct {
	items, values []byte
}

func readLedger(r *flat.Reader) (l ledger) {
	l.items = r.Bytes(int(readUint16(r)) * ledgerItemSize)
	l.values = r.Bytes(int(readUint16(r)) * ledgerValueSize)
	return l
}

func readUint16(r *flat.Reader) uint16 {
	if b := r.Bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (l ledger) len() int { return len(l.values) / ledgerValueSize }

func (l ledger) numItems() int { return len(l.items) / ledgerItemSize }

func (l ledger) item(i int) (it ledgerItem) {
	b := l.items[i*ledgerItemSize:][:ledgerItemSize]
	return ledgerItem{binary.BigEndian.Uint64(b), schema.Instant(binary.BigEndian.Uint64(b[8:])), int(binary.BigEndian.Uint16(b[16:]))}
}

func (l ledger) hash(i int) uint64  { return binary.BigEndian.Uint64(l.values[i*ledgerValueSize:]) }
func (l ledger) stamp(i int) uint64 { return binary.BigEndian.Uint64(l.values[i*ledgerValueSize+8:]) }

// search returns the index of the value with the hash, or the index at which to insert it.
func (l ledger) search(hash uint64) (at int, ok bool) {
	n := l.len()
	end := n
	for at < end {
		if mid := (at + end) / 2; l.hash(mid) < hash {
			at = mid + 1
		} else {
			end = mid
		}
	}
	return at, at < n && l.hash(at) == hash
}

// itemOf returns the index of the item with the number; ok is false if the ledger has none.
func (l ledger) itemOf(number uint64) (at int, ok bool) {
	n := l.numItems()
	end := n
	for at < end {
		if mid := (at + end) / 2; l.item(mid).number < number {
			at = mid + 1
		} else {
			end = mid
		}
	}
	return at, at < n && l.item(at).number == number
}

// find returns the index of the item that brought a value last; ok is false if none did in the window before t.
func (l ledger) find(hash uint64, t schema.Instant, within time.Duration) (at int, ok bool) {
	i, ok := l.search(hash)
	if !ok {
		return 0, false
	}
	if at, ok = l.itemOf(l.stamp(i) >> placeBits); !ok {
		return 0, false
	}
	return at, t.Since(l.item(at).time) < uint64(within)
}

// over reports whether the ledger has no item in the window before t.
func (l ledger) over(t schema.Instant, within time.Duration) bool {
	n := l.numItems()
	return n == 0 || t.Since(l.item(n-1).time) >= uint64(within)
}

// append appends the ledger unchanged.
func (l ledger) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(l.numItems()))
	dst = append(dst, l.items...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(l.len()))
	return append(dst, l.values...)
}

// valid reports whether the ledger has the form that its comment describes.
func (l ledger) valid() bool {
	if l.len() > maxLedger || l.numItems() > l.len() {
		return false
	}
	live := make([]int, l.numItems())
	for i := range l.len() {
		at, ok := l.itemOf(l.stamp(i) >> placeBits)
		if !ok || i > 0 && l.hash(i-1) >= l.hash(i) {
			return false
		}
		live[at]++
	}
	for i := range live {
		it := l.item(i)
		if live[i] != it.live || live[i] == 0 || it.number >= 1<<(64-placeBits)-1 {
			return false
		}
		if i > 0 && (l.item(i-1).number >= it.number || l.item(i-1).time > it.time) {
			return false
		}
	}
	return true
}

// ledgerItem is an item of a ledger.
type ledgerItem struct {
	number uint64
	time   schema.Instant
	live   int
}

// ledgerUpdate is the memory for adding the values of an item to a ledger. It is part of scratch.
type ledgerUpdate struct {
	first   int          // the index in the ledger of the first item in the window
	items   []ledgerItem // the items from there on; live is 0 for those that leave
	number  uint64       // of the item that is added
	brought []broughtValue
	stamps  []uint64
}

// broughtValue is a value that is added to a ledger.
type broughtValue struct {
	hash, stamp uint64
	at          int  // the index in the ledger of the value, or at which to insert it
	again       bool // the ledger has the value
}

// add appends the ledger after an item at t that brings values, in the form of item.Brought; there must be some. gone is
// the number of values in the window that left because of the limit.
func (u *ledgerUpdate) add(dst []byte, l ledger, values string, t schema.Instant, within time.Duration) (out []byte, gone int) {
	u.begin(l, t, within)
	u.read(l, values)
	total := len(u.brought)
	for i := range u.items {
		total += u.items[i].live
	}
	floor := u.floor()
	if gone = max(0, total-maxLedger); gone > 0 {
		floor = u.evict(l, gone)
	}
	dst = u.appendItems(dst, t)
	at := len(dst)
	dst = append(dst, 0, 0)
	done := 0
	for i := range u.brought {
		b := &u.brought[i]
		dst = l.appendFrom(dst, done, b.at, floor)
		if done = b.at; b.again {
			done++
		}
		dst = binary.BigEndian.AppendUint64(dst, b.hash)
		dst = binary.BigEndian.AppendUint64(dst, b.stamp)
	}
	dst = l.appendFrom(dst, done, l.len(), floor)
	binary.BigEndian.PutUint16(dst[at:], uint16((len(dst)-at-2)/ledgerValueSize))
	return dst, gone
}

// begin reads the items in the window.
func (u *ledgerUpdate) begin(l ledger, t schema.Instant, within time.Duration) {
	n := l.numItems()
	u.first, u.items, u.number = 0, u.items[:0], 0
	if n > 0 {
		u.number = l.item(n-1).number + 1
	}
	for u.first < n && t.Since(l.item(u.first).time) >= uint64(within) {
		u.first++
	}
	for i := u.first; i < n; i++ {
		u.items = append(u.items, l.item(i))
	}
}

// read reads the values of the item, and takes those that the ledger has from the items that brought them before. Values
// that are out of order, in damaged data, are ignored.
func (u *ledgerUpdate) read(l ledger, values string) {
	u.brought = u.brought[:0]
	for len(values) >= item.BroughtSize && len(u.brought) < 1<<placeBits {
		b := broughtValue{hash: uint64At(values)}
		place := uint64(values[8])<<8 | uint64(values[9])
		values = values[item.BroughtSize:]
		if n := len(u.brought); n > 0 && u.brought[n-1].hash >= b.hash || place >= 1<<placeBits {
			continue
		}
		b.stamp = u.number<<placeBits | place
		b.at, b.again = l.search(b.hash)
		if b.again {
			if i, ok := l.itemOf(l.stamp(b.at) >> placeBits); ok && i >= u.first {
				u.items[i-u.first].live--
			}
		}
		u.brought = append(u.brought, b)
	}
}

// floor returns the lowest stamp of the window.
func (u *ledgerUpdate) floor() uint64 {
	if len(u.items) == 0 {
		return u.number << placeBits
	}
	return u.items[0].number << placeBits
}

// evict takes the oldest values from their items. It returns the lowest stamp of the values that stay.
func (u *ledgerUpdate) evict(l ledger, excess int) (floor uint64) {
	for i := range u.items {
		it := &u.items[i]
		if excess < it.live {
			floor = u.place(l, it.number, excess)
			it.live -= excess
			return floor
		}
		excess -= it.live
		it.live = 0
		floor = (it.number + 1) << placeBits
	}
	return floor
}

// place returns the stamp above those of the first n values of an item that no later item brings.
func (u *ledgerUpdate) place(l ledger, number uint64, n int) uint64 {
	u.stamps = u.stamps[:0]
	next := 0
	for i := range l.len() {
		for next < len(u.brought) && (u.brought[next].at < i || !u.brought[next].again) {
			next++
		}
		again := next < len(u.brought) && u.brought[next].at == i
		if stamp := l.stamp(i); stamp>>placeBits == number && !again {
			u.stamps = append(u.stamps, stamp)
		}
	}
	if n == 0 {
		return number << placeBits
	}
	slices.Sort(u.stamps)
	return u.stamps[min(n, len(u.stamps))-1] + 1
}

// appendItems appends the items that still have values, and the new one.
func (u *ledgerUpdate) appendItems(dst []byte, t schema.Instant) []byte {
	at := len(dst)
	dst = append(dst, 0, 0)
	u.items = append(u.items, ledgerItem{u.number, t, len(u.brought)})
	for i := range u.items {
		if it := &u.items[i]; it.live > 0 {
			dst = binary.BigEndian.AppendUint64(dst, it.number)
			dst = flat.AppendInstant(dst, it.time)
			dst = binary.BigEndian.AppendUint16(dst, uint16(it.live))
		}
	}
	binary.BigEndian.PutUint16(dst[at:], uint16((len(dst)-at-2)/ledgerItemSize))
	return dst
}

// appendFrom appends the values from index i up to end whose stamp is at least floor.
func (l ledger) appendFrom(dst []byte, i, end int, floor uint64) []byte {
	if l.numItems() > 0 && l.item(0).number<<placeBits >= floor { // no value leaves
		return append(dst, l.values[i*ledgerValueSize:end*ledgerValueSize]...)
	}
	for i < end {
		from := i
		for i < end && l.stamp(i) >= floor {
			i++
		}
		dst = append(dst, l.values[from*ledgerValueSize:i*ledgerValueSize]...)
		i++
	}
	return dst
}

// uint64At returns the first 8 bytes of a text, big-endian.
func uint64At(s string) uint64 {
	_ = s[7]
	return uint64(s[0])<<56 | uint64(s[1])<<48 | uint64(s[2])<<40 | uint64(s[3])<<32 |
		uint64(s[4])<<24 | uint64(s[5])<<16 | uint64(s[6])<<8 | uint64(s[7])
}
