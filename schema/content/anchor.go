package content

import (
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
)

// An anchor is a few bytes that a credential, or the name of one, cannot be without. Looking for anchors is what a text
// without a credential costs.
type anchor struct {
	text string // in lower case where fold
	fold bool   // upper and lower case are one
	// pair is the place of the pair of bytes by which the anchor is noticed; the pair one further is looked for too, so
	// that one of the two stands at an even distance from any place. The rarer both are in prose, the better.
	pair int
	find func(text string, p, done int) (region, bool)
}

// anchors are tried in this order where several begin at one place.
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

// filter notices where an anchor may be, 8 bytes at a time.
type filter struct {
	marked [1 << 10]uint64 // bit second byte << 8 | first byte: the pair has probes. All that is looked at stays near the CPU
	before [1 << 10]uint16 // how many bits are set before the word
	probes [][]probe       // whose pair it is, in the order of the bits
	first  [256][]*anchor
	back   int // how far before a noticed pair an anchor may begin
}

// probe is an anchor and how far into it a pair stands.
type probe struct {
	anchor *anchor
	offset int
}

// anchorFilter is built once of the table above and never changes.
var anchorFilter = newFilter(anchors)

func newFilter(all []anchor) *filter {
	f := &filter{}
	by := map[uint16][]probe{}
	for i := range all {
		a := &all[i]
		for _, c := range a.cases(0) {
			f.first[c] = append(f.first[c], a)
		}
		a.file(by, a.pair)
		a.file(by, a.pair+1)
		f.back = max(f.back, a.pair+1)
	}
	for _, pair := range slices.Sorted(maps.Keys(by)) {
		f.marked[pair>>6] |= 1 << (pair & 63)
		f.probes = append(f.probes, by[pair])
	}
	set := 0
	for i, word := range f.marked {
		f.before[i] = uint16(set)
		set += bits.OnesCount64(word)
	}
	return f
}

// file files the anchor under the pairs that may stand at offset; behind the anchor's end any byte may.
func (a *anchor) file(by map[uint16][]probe, offset int) {
	for _, c := range a.cases(offset) {
		for _, d := range a.cases(offset + 1) {
			pair := uint16(d)<<8 | uint16(c)
			by[pair] = append(by[pair], probe{a, offset})
		}
	}
}

// cases returns the bytes that may stand at i.
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

// at says whether the anchor stands at p.
func (a *anchor) at(text string, p int) bool {
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

// anchorAt returns the first anchor of the table that stands at p, nil for none.
func (f *filter) anchorAt(text string, p int) *anchor {
	for _, a := range f.first[text[p]] {
		if a.at(text, p) {
			return a
		}
	}
	return nil
}

// marks is 1 where the pair has probes, else 0.
func (f *filter) marks(pair uint16) uint64 { return f.marked[pair>>6] >> (pair & 63) & 1 }

// of returns the pair's probes.
func (f *filter) of(pair uint16) []probe {
	if f.marks(pair) == 0 {
		return nil
	}
	below := f.marked[pair>>6] & (1<<(pair&63) - 1)
	return f.probes[int(f.before[pair>>6])+bits.OnesCount64(below)]
}

// notices says whether one of the 4 pairs of the word w has probes.
func (f *filter) notices(w uint64) bool {
	return f.marks(uint16(w))|f.marks(uint16(w>>16))|f.marks(uint16(w>>32))|f.marks(uint16(w>>48)) != 0
}

// confirms says whether one of the 4 pairs of the word w, read at i, belongs to an anchor that is there.
func (f *filter) confirms(text string, i int, w uint64) bool {
	for k := range 4 {
		for _, b := range f.of(uint16(w >> (16 * k))) {
			if b.anchor.at(text, i+2*k-b.offset) {
				return true
			}
		}
	}
	return false
}

// nextAnchor returns the leftmost place from `from` on where an anchor stands, nil where there is none.
func nextAnchor(text string, from int) (int, *anchor) {
	f := anchorFilter
	i := from
	for ; len(text)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64([]byte(text[i:])[:8])
		if !f.notices(w) || !f.confirms(text, i, w) {
			continue
		}
		for p := max(from, i-f.back); p < i+8; p++ { // what was noticed began at most back bytes earlier
			if a := f.anchorAt(text, p); a != nil {
				return p, a
			}
		}
	}
	// The last word is filled up with zeros: behind an anchor's end they are as good as any byte.
	var last [8]byte
	copy(last[:], text[i:])
	if w := binary.LittleEndian.Uint64(last[:]); f.notices(w) && f.confirms(text, i, w) {
		for p := max(from, i-f.back); p < len(text); p++ {
			if a := f.anchorAt(text, p); a != nil {
				return p, a
			}
		}
	}
	return len(text), nil
}
