package scan

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// The causes of an Error, for errors.Is.
var (
	ErrEmpty  = errors.New("empty")                 // only blanks
	ErrSyntax = errors.New("malformed JSON")        // not RFC 8259
	ErrUTF8   = errors.New("invalid UTF-8")         // anywhere in the text
	ErrDepth  = errors.New("nested deeper than 64") // more than MaxDepth
	ErrLong   = errors.New("longer than 2 GiB")     // the offsets of a Span have 32 bits
)

// Error is the error of a text that is not accepted. If the text has several faults, it reports the first one, except that
// a fault inside a string is found before an ill-formed character further left in that string.
type Error struct {
	Cause  error // one of ErrEmpty, ErrSyntax, ErrUTF8, ErrDepth, ErrLong
	Offset int   // byte in the source
}

// Error returns the offset and the cause.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %v", e.Offset, e.Cause) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// verdict is the result of skipping one value, in one register: the Kind and whether the value is escaped, or a fault.
type verdict uint8

const (
	kindMask  verdict = 1<<3 - 1
	escaped   verdict = 1 << 3
	badSyntax verdict = 1 << 4
	badUTF8   verdict = 1 << 5
	badDepth  verdict = 1 << 6
)

func (v verdict) bad() bool  { return v >= badSyntax }
func (v verdict) kind() Kind { return Kind(v & kindMask) }

// maxSource is the length in bytes of the longest text that is accepted, because a Span has offsets of 32 bits.
const maxSource = math.MaxInt32

// sourceError returns the error of a text that is empty or too long.
func sourceError(src string) error {
	if len(src) > maxSource {
		return &Error{Cause: ErrLong, Offset: maxSource}
	}
	return &Error{Cause: ErrEmpty, Offset: len(src)}
}

// newError returns the error of a bad verdict. A byte that is not UTF-8 has the cause ErrUTF8 outside of strings, too.
func newError(src string, at int, v verdict) error {
	e := &Error{Cause: ErrSyntax, Offset: at}
	switch {
	case v == badDepth:
		e.Cause = ErrDepth
	case v == badUTF8:
		e.Cause = ErrUTF8
	case at < len(src):
		if r, size := utf8.DecodeRuneInString(src[at:]); r == utf8.RuneError && size == 1 {
			e.Cause = ErrUTF8
		}
	}
	return e
}
