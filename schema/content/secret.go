package content

import "math/bits"

// KindSet is a set of kinds of credentials.
type KindSet uint32

// kinds lists all kinds, sorted. The index of a kind is its bit in a KindSet.
var kinds = [...]string{
	kindClaude, kindKey, kindAuth, kindAWS, kindBasic, kindCookie, kindGitHub, kindGoogle, kindJWT, kindOpenAI, kindPEM,
	kindSecret, kindSlack, kindStripe, kindToken, kindURL, kindWebhook,
}

// Kinds returns the kinds of the credentials that the first pass of Redact replaces in a text. It does not allocate.
func Kinds(text string) (found KindSet) {
	done := 0
	for at := 0; ; {
		p, a := nextAnchor(text, at)
		if a == nil {
			return found
		}
		r, ok := a.find(text, p, done)
		if !ok {
			at = p + 1
			continue
		}
		found |= kindBit(r.kind)
		done, at = r.end, r.end
	}
}

// AllKinds returns the names of all kinds, sorted.
func AllKinds() []string { return append([]string(nil), kinds[:]...) }

// kindBit returns the set of one kind, or the empty set for an unknown kind.
func kindBit(name string) KindSet {
	for i, k := range kinds {
		if k == name {
			return 1 << i
		}
	}
	return 0
}

// Has reports whether a kind is in the set.
func (s KindSet) Has(kind string) bool { return s&kindBit(kind) != 0 }

// Len returns the number of kinds in the set.
func (s KindSet) Len() int { return bits.OnesCount32(uint32(s)) }

// Names returns the names of the kinds in the set, sorted.
func (s KindSet) Names() (names []string) {
	for i, k := range kinds {
		if s&(1<<i) != 0 {
			names = append(names, k)
		}
	}
	return names
}
