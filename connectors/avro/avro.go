// Package avro converts Avro to JSON: single values with their schema, and object container files. Every byte of a
// value may be hostile: sizes, depth and output are bounded, and no input panics.
//
// The JSON is plain. A union is its value without a branch name, bytes are base64, timestamps and dates are RFC 3339 in
// UTC, a decimal is a text, and the keys of an object are sorted.
package avro

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/avro"
)

const (
	// MaxSchema is the largest text of a schema, in bytes. Generated schemas of large tables have 100 KB.
	MaxSchema = 1 << 20
	// MaxValue is the largest value in Avro, in bytes. In memory a value takes up to 60 times that while it is
	// converted.
	MaxValue = 4 << 20
	// MaxJSON is the largest JSON of one value, in bytes. A longer element is a dead letter of the decoder, too.
	MaxJSON = 16 << 20
	// maxDecimal is the largest number of digits after the point of a decimal; databases have up to 38.
	maxDecimal = 64
)

// The errors of a value. They are matched with errors.Is.
var (
	ErrSize    = errors.New("too large")
	ErrInvalid = errors.New("does not fit the schema")
)

// Schema is a parsed schema. It is safe for concurrent use.
type Schema struct{ schema *avro.Schema }

// Parse parses a schema, which may use the named types of the schemas before it. Texts over MaxSchema are refused.
func Parse(text string, before ...string) (*Schema, error) {
	size := len(text)
	for _, b := range before {
		size += len(b)
	}
	if size > MaxSchema {
		return nil, fmt.Errorf("parse Avro schema of %d bytes: %w: the limit is %d", size, ErrSize, MaxSchema)
	}
	var cache avro.SchemaCache
	lax := avro.WithLaxNames(nil)
	for _, b := range before {
		if _, err := cache.Parse(b, lax); err != nil {
			return nil, fmt.Errorf("parse referenced Avro schema: %w", err)
		}
	}
	s, err := cache.Parse(text, lax)
	if err != nil {
		return nil, fmt.Errorf("parse Avro schema: %w", err)
	}
	return &Schema{s}, nil
}

// AppendJSON appends the JSON of a value, which must take all of text. On an error dst is returned without the value.
func (s *Schema) AppendJSON(dst []byte, text string) (out []byte, err error) {
	if len(text) > MaxValue {
		return dst, fmt.Errorf("value of %d bytes in Avro: %w: the limit is %d", len(text), ErrSize, MaxValue)
	}
	defer func() { // the library reads hostile bytes with unsafe code
		if p := recover(); p != nil {
			out, err = dst, fmt.Errorf("value of %d bytes in Avro: %w", len(text), ErrInvalid)
		}
	}()
	var value any
	rest, err := s.schema.Decode([]byte(text), &value)
	if err != nil {
		return dst, fmt.Errorf("value of %d bytes in Avro: %w: %w", len(text), ErrInvalid, err)
	}
	if len(rest) > 0 {
		return dst, fmt.Errorf("value of %d bytes in Avro: %w: %d bytes follow the value", len(text), ErrInvalid, len(rest))
	}
	return appendBounded(dst, value)
}

// appendBounded appends the JSON of a decoded value, up to MaxJSON.
func appendBounded(dst []byte, value any) ([]byte, error) {
	limit := len(dst) + MaxJSON
	out := appendValue(dst, value, limit)
	if len(out) > limit {
		return dst, fmt.Errorf("JSON of the Avro value: %w: the limit is %d bytes", ErrSize, MaxJSON)
	}
	return out, nil
}

// appendValue appends JSON. It stops early, with incomplete JSON, once dst is longer than limit.
func appendValue(dst []byte, value any, limit int) []byte {
	if len(dst) > limit {
		return dst
	}
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int32:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float32:
		return appendFloat(dst, float64(v), 32)
	case float64:
		return appendFloat(dst, v, 64)
	case string:
		return AppendString(dst, v)
	case []byte:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), v), '"')
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst = appendValue(dst, item, limit); len(dst) > limit {
				return dst
			}
		}
		return append(dst, ']')
	case map[string]any:
		return appendObject(dst, v, limit)
	}
	return appendLogical(dst, value)
}

func appendObject(dst []byte, v map[string]any, limit int) []byte {
	dst = append(dst, '{')
	for i, key := range slices.Sorted(maps.Keys(v)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, key), ':')
		if dst = appendValue(dst, v[key], limit); len(dst) > limit {
			return dst
		}
	}
	return append(dst, '}')
}

// appendLogical appends the value of a logical type.
func appendLogical(dst []byte, value any) []byte {
	switch v := value.(type) {
	case time.Time:
		if year := v.Year(); year < 0 || year > 9999 { // RFC 3339 has four digits
			return strconv.AppendInt(dst, v.UnixMilli(), 10)
		}
		return append(v.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
	case time.Duration:
		return AppendString(dst, time.Time{}.Add(v).Format("15:04:05.999999999"))
	case *big.Rat:
		text := v.FloatString(maxDecimal)
		if n, exact := v.FloatPrec(); exact {
			text = v.FloatString(min(n, maxDecimal))
		}
		return AppendString(dst, text)
	case [16]byte:
		text := hex.EncodeToString(v[:])
		return AppendString(dst, text[:8]+"-"+text[8:12]+"-"+text[12:16]+"-"+text[16:20]+"-"+text[20:])
	}
	return AppendString(dst, fmt.Sprint(value)) // durations in months, days and milliseconds
}

// appendFloat appends a number. JSON has neither NaN nor infinities.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}
