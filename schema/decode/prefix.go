package decode

import "strings"

// prefixed is a line of text with JSON, or with a line of an access log, at its end.
type prefixed struct {
	name     string // of the prefix
	json     string // the rest of the line, which begins with JSON, or is a line of an access log
	workload bool   // a workload wrote the rest
}

// cutPrefix removes what log systems write before a line: the header of a container runtime, of syslog, of the runtime of a
// Lambda function, or the time that CloudWatch Logs puts before each line in an export. It returns false for any other text.
// The JSON must be the whole message: text in front of it may have been chosen by a client, and so may JSON after such text.
func (d *Decoder) cutPrefix(line string) (p prefixed, ok bool) {
	if len(line) > 1 && line[0] == '<' {
		priority, _, found := strings.Cut(line[1:min(len(line), len("<191>"))], ">")
		if !found || !isNumber(priority) {
			return prefixed{}, false
		}
		line = line[len("<>")+len(priority):]
		if rest, found := strings.CutPrefix(line, "1 "); found {
			return d.cutSyslog5424(rest)
		}
		return d.cutSyslog(line)
	}
	time, _, found := strings.Cut(line[:min(len(line), maxTimePrefix)], " ")
	if tab := strings.IndexByte(time, '\t'); tab > 0 {
		time, found = time[:tab], true
	}
	if !found || !isTimestamp(time) {
		return d.cutSyslog(line)
	}
	rest := line[len(time)+1:]
	switch {
	case line[len(time)] == '\t':
		return d.cutLambda(rest)
	case beginsJSON(rest):
		return prefixed{"timestamp", rest, false}, true
	}
	if stream, tagged, _ := strings.Cut(rest, " "); stream == "stdout" || stream == "stderr" {
		_, message, _ := strings.Cut(tagged, " ")
		return d.textMessage("CRI", message)
	}
	return d.cutSyslog(line)
}

// maxTimePrefix is the length in bytes within which a time at the beginning of a line must end.
const maxTimePrefix = 48

// textMessage returns a workload's message, if that begins with JSON. The cookies @cee: and @json: may stand before it.
func (d *Decoder) textMessage(name, message string) (prefixed, bool) {
	message = strings.TrimLeft(strings.TrimPrefix(message, byteOrderMark), " ")
	for _, cookie := range [...]string{"@cee:", "@json:"} {
		if rest, ok := strings.CutPrefix(message, cookie); ok {
			message = strings.TrimLeft(rest, " ")
		}
	}
	if !beginsJSON(message) && !d.isAccessLine(message) {
		return prefixed{}, false
	}
	return prefixed{name, message, true}, true
}

// cutLambda removes the rest of the prefix of a Lambda function's runtime: the request's id and the level.
func (d *Decoder) cutLambda(rest string) (prefixed, bool) {
	if beginsJSON(rest) {
		return prefixed{"timestamp", rest, false}, true
	}
	fields := strings.SplitN(rest[:min(len(rest), maxHeader)], "\t", 3)
	if len(fields) < 3 {
		return prefixed{}, false
	}
	return d.textMessage("Lambda", rest[len(fields[0])+len(fields[1])+2:])
}

// maxHeader is the length in bytes within which the header of a line must end.
const maxHeader = 2048

// cutSyslog removes the header of RFC 3164, or of the files of rsyslog, without the priority: time, host and tag.
func (d *Decoder) cutSyslog(line string) (prefixed, bool) {
	head := line[:min(len(line), maxHeader)]
	time, rest, found := strings.Cut(head, " ")
	switch {
	case len(head) > len("May  1 10:00:00 ") && head[3] == ' ' && head[6] == ' ' && head[9] == ':' && head[12] == ':' && head[15] == ' ':
		rest = head[16:]
	case !found || !isTimestamp(time):
		return prefixed{}, false
	}
	for range 2 { // a host and a tag, or only a tag
		word, after, found := strings.Cut(rest, " ")
		if !found || word == "" {
			return prefixed{}, false
		}
		if rest = after; strings.HasSuffix(word, ":") && word[0] != '@' {
			return d.textMessage("syslog", line[len(head)-len(rest):])
		}
	}
	return prefixed{}, false
}

// cutSyslog5424 removes the header of RFC 5424 after the version: time, host, application, process, message id and the
// structured data.
func (d *Decoder) cutSyslog5424(rest string) (prefixed, bool) {
	for range 5 {
		i := strings.IndexByte(rest[:min(len(rest), maxHeader)], ' ')
		if i <= 0 {
			return prefixed{}, false
		}
		rest = rest[i+1:]
	}
	if message, ok := strings.CutPrefix(rest, "- "); ok {
		return d.textMessage("syslog", message)
	}
	quoted := false
	for i := 0; i < len(rest) && i < maxHeader; i++ {
		switch c := rest[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted && i > 0 && rest[0] == '[' && rest[i-1] == ']':
			return d.textMessage("syslog", rest[i+1:])
		}
	}
	return prefixed{}, false
}

// isTimestamp reports whether a word begins like a time in RFC 3339.
func isTimestamp(word string) bool {
	return len(word) >= len("2026-05-01T10:00:00") && word[4] == '-' && word[7] == '-' && word[10] == 'T' && word[13] == ':' && word[16] == ':' &&
		isNumber(word[:4]) && isNumber(word[17:19])
}

// isNumber reports whether a text consists of digits.
func isNumber(text string) bool {
	for i := range len(text) {
		if text[i]-'0' > 9 {
			return false
		}
	}
	return text != ""
}

// decodePrefixed decodes the JSON at the end of a line. part is the line, for a dead letter.
func (d *Decoder) decodePrefixed(part string, p prefixed, level int) {
	d.noteEnvelope(level, p.name)
	if !d.enter(level, part) {
		return
	}
	outer := d.workload
	d.workload = outer || p.workload
	text := p.json
	if record, ok := d.accessLine(text); ok {
		text = record
	}
	d.decodeText(text, level+1)
	d.workload = outer
}
