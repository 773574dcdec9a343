package item

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// A key consists of the texts of its fields, one after another, each with 0x00 escaped as 0x00 0xFF and terminated by
// 0x00 0x01. Comparing two keys as bytes therefore compares their fields' texts one by one, and different fields never
// make the same key.
//
// The keys of a tenant's events begin with the tenant, escaped in the same way and terminated by 0x00 0x02, so that
// events of different tenants never meet. The form is part of the ids of findings and never changes.
const (
	keyEscaped = "\x00\xff"
	keyEnd     = "\x00\x01"
	tenantEnd  = "\x00\x02"
)

// MaxKeyText is the size in bytes above which the text of a field is truncated in a key. A key is held in memory once
// for a cell and once for each of its items; the hash added to a truncated text keeps different texts apart.
const MaxKeyText = 1 << 10

// AppendKeyText appends the text of one field to a key.
func AppendKeyText[T string | []byte](dst []byte, s T) []byte {
	return append(appendEscaped(dst, s), keyEnd...)
}

// AppendTenant appends the beginning of a key of the tenant's events. It is empty if tenant is.
func AppendTenant(dst []byte, tenant string) []byte {
	if tenant == "" {
		return dst
	}
	return append(appendEscaped(dst, tenant), tenantEnd...)
}

func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	from := 0
	for i := range len(s) {
		if s[i] == 0 {
			dst = append(append(dst, s[from:i]...), keyEscaped...)
			from = i + 1
		}
	}
	return append(dst, s[from:]...)
}

// KeyTexts returns the texts of a key's fields, without the tenant. A last text without its terminator is accepted.
func KeyTexts(key string) (texts []string) {
	if i := strings.Index(key, tenantEnd); i >= 0 {
		key = key[i+len(tenantEnd):]
	}
	for key != "" {
		text, rest, _ := strings.Cut(key, keyEnd)
		texts = append(texts, strings.ReplaceAll(text, keyEscaped, "\x00"))
		key = rest
	}
	return texts
}

// TenantOf returns the tenant of a key, "" if the key has none.
func TenantOf(key string) string {
	i := strings.Index(key, tenantEnd)
	if i < 0 {
		return ""
	}
	return strings.ReplaceAll(key[:i], keyEscaped, "\x00")
}

// AppendValueText appends a value as the text that a key has for it.
func AppendValueText(dst []byte, v schema.Value) []byte {
	switch v.Kind {
	case schema.KindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case schema.KindDouble:
		return strconv.AppendFloat(dst, v.Double(), 'g', -1, 64)
	case schema.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case schema.KindTimestamp:
		return time.Unix(0, v.Int()).UTC().AppendFormat(dst, time.RFC3339Nano)
	case schema.KindJSON:
		return append(dst, Canonical(v.Text)...)
	}
	return append(dst, v.Text...)
}

// Canonical returns a JSON text with its keys sorted and without blanks, so that equal values have equal keys. Text that
// is not JSON is returned unchanged.
func Canonical(text string) string {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return text
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return text
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Distinguish returns the text as it may leave the worker, redacted and at most limit bytes long, such that different
// texts stay different: a text that was redacted or truncated ends in a hash of the original. A nil redact changes
// nothing.
func Distinguish(text string, limit int, redact func(string) string) string {
	shown := text
	if redact != nil {
		shown = redact(text)
	}
	if shown == text && len(text) <= limit {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	suffix := "~" + hex.EncodeToString(sum[:16])
	return schema.Truncate(shown, limit-len(suffix)) + suffix
}
