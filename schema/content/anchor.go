package content

import (
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
)

// anchor is a short text that every credential of a kind, or its name, contains. A text without a credential costs only the
// search for anchors.
type anchor struct {
	text string // in lower case if fold is set
	fold bool   // upper and lower case are equal
	// pair is the offset of the pair of bytes by which the anchor is noticed. The pair one byte further is looked for as
	// well, because the filter reads only pairs at even distances from the start of its search, and one of the two is at such
	// a distance. Pairs that are rare in prose make the filter fast.
	pair int
	find func(text string, p, done int) (region, bool)
}

// anchors lists all anchors. If several begin at one offset, the first one in the list is tried.
var anchors = []anchor{
	{text: "sk-", find: findSK},
	{text: "sk_live_", find: findStripe},
	{text: "sk_test_", find: findStripe},
	{text: "rk_live_", pair: 1, find: findStripe},
	{text: "ghp_", find: findGitHub},
	{text: "gho_", find: findGitHub},
	{text: "ghu_", find: findGitHub},
	{text: "ghs_", find: findGitHub},
	{text: "ghr_", find: findGitHub},
	{text: "github_pat_", pair: 5, find: findGitHub},
	{text: "AIza", pair: 1, find: findGoogle},
	{text: "xox", find: findSlack},
	{text: "eyJ", pair: 1, find: findJWT},
	{text: "-----BEGIN ", pair: 4, find: findPEM},
	{text: "whsec_", pair: 3, find: findWebhook},
	{text: "whsk_", pair: 1, find: findWebhook},
	{text: "AKIA", pair: 1, find: findAWSPair},
	{text: "ASIA", pair: 1, find: findAWSPair},
	{text: "://", find: findURL},
	{text: "bearer", fold: true, find: findBearer},
	{text: "basic", fold: true, pair: 2, find: findBasic},
	{text: "authorization", fold: true, pair: 6, find: findNamed},
	{text: "cookie", fold: true, pair: 2, find: findNamed},
	{text: "api-key", fold: true, pair: 2, find: findNamed},
	{text: "api_key", fold: true, pair: 2, find: findNamed},
	{text: "apikey", fold: true, pair: 2, find: findNamed},
	{text: "token", fold: true, pair: 1, find: findNamed},
	{text: "secret", fold: true, pair: 1, find: findNamed},
	{text: "password", fold: true, pair: 3, find: findNamed},
	{text: "passwd", fold: true, pair: 3, find: findNamed},
	{text: "passphrase", fold: true, pair: 3, find: findNamed},
	{text: "private-key", fold: true, pair: 6, find: findNamed},
	{text: "private_key", fold: true, pair: 6, find: findNamed},
	{text: "privatekey", fold: true, pair: 6, find: findNamed},
	{text: "master-key", fold: true, pair: 5, find: findNamed},
	{text: "master_key", fold: true, pair: 5, find: findNamed},
	{text: "masterkey", fold: true, pair: 5, find: findNamed},
	{text: "subscription-key", fold: true, pair: 11, find: findNamed},
}

// filter finds anchors by looking at 8 bytes of the text at a time: it tests whether any of their 4 pairs of bytes is a pair
// of some anchor, and compares whole anchors only then.
type filter struct {
	pairs  [1 << 10]uint64 // the set of pairs: bit second byte << 8 | first byte. Its 8 KiB stay in the first cache of a CPU
	rank   [1 << 10]uint16 // number of bits that are set in all words of pairs before this one
	probes [][]probe       // for each bit of pairs, in their order: the anchors that contain the pair
	first  [256][]*anchor  // the anchors that begin with a byte
	reach  int             // largest distance from the beginning of an anchor to a pair by which it is noticed
}

// probe is an anchor and the offset of a pair in it.
type probe struct {
	anchor *anchor
	offset int
}

// anchorFilter is built once from anchors and never changes.
var anchorFilter = newFilter(anchors)

// newFilter builds the filter of a list of anchors.
func newFilter(all []anchor) *filter {
	f := &filter{}
	by := map[uint16][]probe{}
	for i := range all {
		a := &all[i]
		for _, c := range a.cases(0) {
			f.first[c] = append(f.first[c], a)
		}
		a.addProbes(by, a.pair)
		a.addProbes(by, a.pair+1)
		f.reach = max(f.reach, a.pair+1)
	}
	for _, pair := range slices.Sorted(maps.Keys(by)) {
		f.pairs[pair>>6] |= 1 << (pair & 63)
		f.probes = append(f.probes, by[pair])
	}
	set := 0
	for i, word := range f.pairs {
		f.rank[i] = uint16(set)
		set += bits.OnesCount64(word)
	}
	return f
}

// addProbes adds the anchor to every pair that may occur at offset. The byte after the end of the anchor may be any byte.
func (a *anchor) addProbes(by map[uint16][]probe, offset int) {
	for _, c := range a.cases(offset) {
		for _, d := range a.cases(offset + 1) {
			pair := uint16(d)<<8 | uint16(c)
			by[pair] = append(by[pair], probe{a, offset})
		}
	}
}

// cases returns the bytes that may occur at offset i of the anchor: upper and lower case, or any byte after its end.
func (a *anchor) cases(i int) []byte {
	if i >= len(a.text) {
		every := make([]byte, 256)
		for c := range every {
			every[c] = byte(c)
		}
		return every
	}
	c := a.text[i]
	if a.fold && c-'a' < 26 {
		return []byte{c, c &^ 0x20}
	}
	return []byte{c}
}

// matches reports whether the anchor occurs at offset p.
func (a *anchor) matches(text string, p int) bool {
	if p < 0 || len(text)-p < len(a.text) {
		return false
	}
	if !a.fold {
		return text[p:p+len(a.text)] == a.text
	}
	for i := range len(a.text) {
		c := text[p+i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != a.text[i] {
			return false
		}
	}
	return true
}

// anchorAt returns the first anchor of the list that occurs at offset p, or nil.
func (f *filter) anchorAt(text string, p int) *anchor {
	for _, a := range f.first[text[p]] {
		if a.matches(text, p) {
			return a
		}
	}
	return nil
}

// bit returns 1 if some anchor contains the pair, else 0.
func (f *filter) bit(pair uint16) uint64 { return f.pairs[pair>>6] >> (pair & 63) & 1 }

// probesOf returns the probes of a pair.
func (f *filter) probesOf(pair uint16) []probe {
	if f.bit(pair) == 0 {
		return nil
	}
	below := f.pairs[pair>>6] & (1<<(pair&63) - 1)
	return f.probes[int(f.rank[pair>>6])+bits.OnesCount64(below)]
}

// notices reports whether some anchor contains one of the 4 pairs of the word w.
func (f *filter) notices(w uint64) bool {
	return f.bit(uint16(w))|f.bit(uint16(w>>16))|f.bit(uint16(w>>32))|f.bit(uint16(w>>48)) != 0
}

// confirms reports whether one of the 4 pairs of the word w, read at offset i, is part of an anchor in the text.
func (f *filter) confirms(text string, i int, w uint64) bool {
	for k := range 4 {
		for _, b := range f.probesOf(uint16(w >> (16 * k))) {
			if b.anchor.matches(text, i+2*k-b.offset) {
				return true
			}
		}
	}
	return false
}

// nextAnchor returns the first anchor in text[from:] and its offset, or len(text) and nil.
func nextAnchor(text string, from int) (int, *anchor) {
	f := anchorFilter
	i := from
	for ; len(text)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64([]byte(text[i:])[:8])
		if !f.notices(w) || !f.confirms(text, i, w) {
			continue
		}
		for p := max(from, i-f.reach); p < i+8; p++ { // the anchor began at most reach bytes before its pair
			if a := f.anchorAt(text, p); a != nil {
				return p, a
			}
		}
	}
	// The last word is filled up with zeros, because any byte may follow an anchor.
	var last [8]byte
	copy(last[:], text[i:])
	if w := binary.LittleEndian.Uint64(last[:]); f.notices(w) && f.confirms(text, i, w) {
		for p := max(from, i-f.reach); p < len(text); p++ {
			if a := f.anchorAt(text, p); a != nil {
				return p, a
			}
		}
	}
	return len(text), nil
}
