package schema

import (
	"crypto/sha256"
	"encoding/hex"
)

// Exposure says how much of a value may leave the worker: into findings, State and dead letters. What matches and what
// decides never depends on it: rules see every value as it is.
type Exposure uint8

// A higher one says something special of a value, and goes before a lower one where both are meant.
const (
	Redacted Exposure = iota // as it is, but for the credentials in it
	Kept                     // as it is, credentials too
	Hashed                   // its hash: equal values can still be told to be equal
	Dropped                  // nothing
)

// Redaction says how much of each field may leave the worker. A nil one says Redacted of all.
type Redaction struct {
	fields [NumFields]Exposure
	raws   []rawExposure
	dead   Exposure
}

type rawExposure struct {
	path []string
	Exposure
}

// SetField sets a field's exposure.
func (r *Redaction) SetField(f Field, x Exposure) { r.fields[f] = x }

// SetRaw sets the exposure of what stands at raw.<path>.
func (r *Redaction) SetRaw(path []string, x Exposure) {
	r.raws = append(r.raws, rawExposure{path, x})
}

// SetDead sets the exposure of the bodies of dead letters, which are whole records.
func (r *Redaction) SetDead(x Exposure) { r.dead = x }

// Field returns a field's exposure.
func (r *Redaction) Field(f Field) Exposure {
	if r == nil {
		return Redacted
	}
	return r.fields[f]
}

// Raw returns the exposure of a raw path: what is dropped or hashed stays so within the objects around it and below it,
// what is kept only below it.
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

func hasPrefix(path, front []string) bool {
	if len(path) < len(front) {
		return false
	}
	for i, key := range front {
		if path[i] != key {
			return false
		}
	}
	return true
}

// Dead returns the exposure of the bodies of dead letters.
func (r *Redaction) Dead() Exposure {
	if r == nil {
		return Redacted
	}
	return r.dead
}

// Strictest returns the exposure that shows least of all that are set.
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

// Expose returns what of a text may be shown: secrets takes the credentials out of one that is Redacted. Of a text that
// is not there it is "".
func (x Exposure) Expose(text string, secrets func(string) string) string {
	switch {
	case text == "" || x == Dropped:
		return ""
	case x == Hashed:
		return HashText(text)
	case x == Redacted && secrets != nil:
		return secrets(text)
	}
	return text
}

// HashText returns what stands for a text that is hashed: equal for equal texts. Who can guess the text can confirm it.
func HashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:16])
}
