package fold

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
)

// A key is the texts of its fields one after another, each with 0x00 written as 0x00 0xFF and followed by 0x00 0x01.
// So the order of keys as bytes is the order of their fields' texts, field by field, and no two keys are one.
// The key of a tenant's events begins with the tenant, escaped in the same way and followed by 0x00 0x02: what belongs to
// different tenants never meets. The form is part of finding ids: it never changes.
const (
	keyEscaped = "\x00\xff"
	keyEnd     = "\x00\x01"
	tenantEnd  = "\x00\x02"
)

// maxKeyText is the size in bytes above which a field's text in a key is cut: a key is kept in memory and in every item
// of it. The hash that is then added keeps different texts apart.
const maxKeyText = 1 << 10

// appendKeyText appends one field of a key.
func appendKeyText[T string | []byte](dst []byte, s T) []byte {
	return append(appendEscaped(dst, s), keyEnd...)
}

// appendTenant appends what the key of a tenant's events begins with; nothing where there is no tenant.
func appendTenant(dst []byte, tenant string) []byte {
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

// keyTexts returns the texts of a key's fields. What does not end as it should is taken as it is.
func keyTexts(key string) (texts []string) {
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

// appendValueText appends a value as text: what keys are made of.
func appendValueText(dst []byte, v schema.Value) []byte {
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
		return append(dst, canonical(v.Text)...)
	}
	return append(dst, v.Text...)
}

// canonical returns JSON text with its keys sorted and without blanks; text that is not JSON stays as it is.
func canonical(text string) string {
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

// distinguish returns the text as it may leave the worker, such that different texts stay different: one that is
// redacted or longer than limit ends in a hash of the whole.
func distinguish(text string, limit int, redact func(string) string) string {
	shown := text
	if redact != nil {
		shown = redact(text)
	}
	if shown == text && len(text) <= limit {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	mark := "~" + hex.EncodeToString(sum[:16])
	return cutText(shown, limit-len(mark)) + mark
}

// cutText cuts a text to at most n bytes, at the end of a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
