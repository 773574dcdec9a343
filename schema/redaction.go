package schema

import (
	"crypto/sha256"
	"encoding/hex"
)

// Exposure limits how much of a value may leave the worker, into findings, State and dead letters. Matching never depends
// on it: rules see every value unchanged.
type Exposure uint8

// The exposures. If several apply to one value, the highest wins.
const (
	Redacted Exposure = iota // the value with the credentials in it replaced
	Kept                     // the value unchanged, with its credentials
	Hashed                   // the hash of the value, by which equal values can be recognised
	Dropped                  // nothing
)

// Redaction holds the exposure of each field, raw path and dead letter. In a nil Redaction everything is Redacted.
type Redaction struct {
	fields [NumFields]Exposure
	raws   []rawExposure
	dead   Exposure
}

type rawExposure struct {
	path []string
	Exposure
}

// SetField sets the exposure of a field.
func (r *Redaction) SetField(f Field, x Exposure) { r.fields[f] = x }

// SetRaw sets the exposure of the value at raw.<path>.
func (r *Redaction) SetRaw(path []string, x Exposure) {
	r.raws = append(r.raws, rawExposure{path, x})
}

// SetDeadLetters sets the exposure of the bodies of dead letters, which are whole records.
func (r *Redaction) SetDeadLetters(x Exposure) { r.dead = x }

// Field returns the exposure of a field.
func (r *Redaction) Field(f Field) Exposure {
	if r == nil {
		return Redacted
	}
	return r.fields[f]
}

// Raw returns the exposure of a raw path. Dropped and Hashed apply to the path that they were set for, to everything below
// it and to the objects that contain it. Kept applies to the path and to everything below it only, because the rest of a
// containing object was not named.
func (r *Redaction) Raw(path []string) (x Exposure) {
	if r == nil {
		return Redacted
	}
	for _, named := range r.raws {
		switch within, around := hasPrefix(path, named.path), hasPrefix(named.path, path); {
		case !within && !around:
		case named.Exposure > x && (within || named.Exposure != Kept):
			x = named.Exposure
		}
	}
	return x
}

func hasPrefix(path, prefix []string) bool {
	if len(path) < len(prefix) {
		return false
	}
	for i, key := range prefix {
		if path[i] != key {
			return false
		}
	}
	return true
}

// DeadLetters returns the exposure of the bodies of dead letters.
func (r *Redaction) DeadLetters() Exposure {
	if r == nil {
		return Redacted
	}
	return r.dead
}

// Strictest returns the exposure, of all that are set, that exposes the least.
func (r *Redaction) Strictest() (x Exposure) {
	for _, f := range r.fields {
		x = max(x, f)
	}
	for _, raw := range r.raws {
		x = max(x, raw.Exposure)
	}
	if x == Kept {
		return Redacted
	}
	return x
}

// Expose returns the part of a text that may leave the worker. It calls redact, unless that is nil, to replace the
// credentials in a text that is Redacted. The result for an empty text is "".
func (x Exposure) Expose(text string, redact func(string) string) string {
	switch {
	case text == "" || x == Dropped:
		return ""
	case x == Hashed:
		return HashText(text)
	case x == Redacted && redact != nil:
		return redact(text)
	}
	return text
}

// HashText returns "sha256:" and the first 128 bits of the text's SHA-256 in hex. Equal texts have equal hashes, so a
// guess at the text can be confirmed.
func HashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:16])
}
