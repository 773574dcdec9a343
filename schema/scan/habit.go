package scan

import "encoding/binary"

// Records of one source mostly have the same keys in the same order. A habit is the list of keys that objects at one node
// of a Trie had, and the selection compares each key with the next one of the list before it validates the key and looks
// it up. A key that is written byte for byte like a known one has the same verdict and the same node, so a habit changes
// the time that a selection takes, and never its result.

// habit holds the keys of the objects at one node, in the order of their text.
type habit struct {
	keys    []habitKey
	objects uint32 // at the node so far; it may wrap
}

// habitKey is one key as it is written, with its quotes, the colon, and the blanks up to the value. Its escape sequences,
// if it had any, would count as written, so only keys without them are remembered.
type habitKey struct {
	first, middle, last uint64 // 8 bytes of the text each, which together are all bytes of a text of at most 24 bytes
	mask                uint64 // the bytes of these that count, for a text of less than 8 bytes
	middleAt, lastAt    int32  // the offsets of middle and last

	words  int    // bytes that a source must have to be compared with them; more than any source has if they do not cover the text
	length int32  // of the text, in bytes
	quote  int32  // offset of the closing quote
	leaf   bool   // node has a place and nothing in its value is wanted or indexed
	missed uint32 // number of an object that did not have the key here, after the last one that did; 0: none
	node   *node  // nil: the key is not wanted
	text   [maxHabitText]byte
}

// maxHabitText is the longest text of a habitKey in bytes. Longer keys are looked up each time.
const maxHabitText = 48

// maxHabitKeys bounds the keys of all habits of one worker: 2,048, about 256 KiB. An object has up to 64 of them.
const (
	maxHabitKeys     = 2048
	maxHabitOfObject = 64
	maxHabitWords    = 24 // length in bytes of the longest text that first, middle and last cover
)

// habits holds the habits of one worker by the number of their node.
type habits struct {
	byNode []habit
	keys   int // of all of them
}

// newHabits returns the habits for the nodes of a complete trie.
func newHabits(t *Trie) *habits { return &habits{byNode: make([]habit, t.nodes)} }

// run is the use of a habit for one object.
type run struct {
	all    *habits // nil: no keys are remembered
	habit  *habit
	at     int    // index of the key that is expected next
	object uint32 // number of the object among those of the node
	misses int    // keys of the object that were not expected
}

// maxMisses is the number of unexpected keys after which an object is taken for one of another kind.
const maxMisses = 4

// noHabit is the habit of nodes whose keys are not remembered.
var noHabit habit

// begin returns the run for an object at a node.
func (h *habits) begin(n *node) run {
	if h == nil {
		return run{habit: &noHabit}
	}
	b := &h.byNode[n.number]
	b.objects++
	return run{all: h, habit: b, object: b.objects}
}

// expected returns the key at src[i:] if it is the expected one, or the one after that, or else nil.
func (r *run) expected(src string, i int) *habitKey {
	keys := r.habit.keys
	at := r.at
	if at >= len(keys) {
		return nil
	}
	k := &keys[at]
	if !k.is(src[i:]) && !k.isAll(src[i:]) {
		if at++; at >= len(keys) {
			return nil
		}
		if k = &keys[at]; !k.is(src[i:]) && !k.isAll(src[i:]) {
			return nil
		}
	}
	k.missed = 0
	r.at = at + 1
	return k
}

// is reports whether the text of the key is at the front of src, unless the text is too long or src too short for it. It is
// small enough to be inlined.
func (k *habitKey) is(src string) bool {
	return len(src) >= k.words && ((load8(src)^k.first)|(load8(src[k.middleAt:])^k.middle)|(load8(src[k.lastAt:])^k.last))&k.mask == 0
}

// isAll is the method is for any text and any src.
func (k *habitKey) isAll(src string) bool {
	return len(src) >= int(k.length) && src[:k.length] == string(k.text[:k.length])
}

// learn notes that the object has a key that was not expected. text is the key as it is written, up to its value, quote the
// offset of its closing quote, v its verdict, and n its node, or nil if it is not wanted. The key replaces the expected one
// if that one was missing from an earlier object, too: else the key may be an exception, and the expected one may follow.
func (r *run) learn(text string, quote int, v verdict, n *node) {
	if r.all == nil || v&escaped != 0 || len(text) > maxHabitText {
		return
	}
	h := r.habit
	switch {
	case r.at < len(h.keys):
		if r.misses++; r.misses > maxMisses {
			r.all, r.at = nil, len(h.keys)
			return
		}
		if k := &h.keys[r.at]; k.missed == 0 || k.missed == r.object {
			k.missed = r.object
			return
		}
	case len(h.keys) == maxHabitOfObject || r.all.keys == maxHabitKeys:
		return
	default:
		h.keys = append(h.keys, habitKey{})
		r.all.keys++
	}
	h.keys[r.at].set(text, quote, n)
	r.at++
}

// set makes k the key with this text.
func (k *habitKey) set(text string, quote int, n *node) {
	*k = habitKey{length: int32(len(text)), quote: int32(quote), node: n, leaf: n != nil && n.leaf(), words: maxSource, mask: 1<<64 - 1}
	copy(k.text[:], text)
	if len(text) <= maxHabitWords {
		k.words = max(len(text), 8)
	}
	if len(text) < 8 {
		k.mask = 1<<(8*len(text)) - 1
	} else {
		k.lastAt = int32(len(text) - 8)
		k.middleAt = min(k.lastAt, 8)
	}
	word := func(at int32) uint64 { return binary.LittleEndian.Uint64(k.text[at:]) & k.mask }
	k.first, k.middle, k.last = word(0), word(k.middleAt), word(k.lastAt)
}
