package scan

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// The causes of an Error, for errors.Is.
var (
	ErrEmpty  = errors.New("empty")                 // nothing but blanks
	ErrSyntax = errors.New("malformed JSON")        // not RFC 8259
	ErrUTF8   = errors.New("invalid UTF-8")         // anywhere in the text
	ErrDepth  = errors.New("nested deeper than 64") // more than MaxDepth
	ErrLong   = errors.New("longer than 2 GiB")     // a Span has no place for it
)

// Error says why a text is not accepted and where. Where a text has several faults it tells one of them: the first,
// except that a fault inside a string is found before an ill-formed character further left in it.
type Error struct {
	Cause  error // one of ErrEmpty, ErrSyntax, ErrUTF8, ErrDepth, ErrLong
	Offset int   // byte in the source
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %v", e.Offset, e.Cause) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// A verdict is what skipping one value says of it, in one register: the Kind and whether it is escaped, or a fault.
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

// maxSource is the longest text in bytes: spans count in 32 bits.
const maxSource = math.MaxInt32

// sourceError is the error of a text that holds nothing, or too much.
func sourceError(src string) error {
	if len(src) > maxSource {
		return &Error{Cause: ErrLong, Offset: maxSource}
	}
	return &Error{Cause: ErrEmpty, Offset: len(src)}
}

// newError makes the error of a bad verdict. A byte that is no UTF-8 is called that also where it stands outside a
// string.
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
