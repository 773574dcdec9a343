package llm

// remembered is a text of an earlier record, so that its consequences are not derived again from each record. It is a copy,
// because nothing may be kept of the texts of a record.
type remembered struct {
	text  []byte
	known bool
}

// maxRemembered is the length in bytes of the longest text that is kept. Names of services and scopes are shorter.
const maxRemembered = 256

// is reports whether the text is the remembered one.
func (r *remembered) is(text string) bool { return r.known && string(r.text) == text }

// keep remembers a text, unless it is too long.
func (r *remembered) keep(text string) {
	if r.known = len(text) <= maxRemembered; r.known {
		r.text = append(r.text[:0], text...)
	}
}
