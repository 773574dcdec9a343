package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
)

// The maps that read the lines of text of web servers and load balancers, once they are JSON with the names that these maps
// know. A line counts only if its map is among the formats of the source.
const (
	combinedMap = "nginx_json"
	loadBalMap  = "aws_alb"
)

// maxAccessLine is the length in bytes of the longest line that is read; servers refuse longer requests.
const maxAccessLine = 64 << 10

// accessLine returns a line of an access log as a JSON object: the combined and the common log format of Apache and NGINX,
// also with a host in front and with the fields that NGINX's packages and ingress-nginx add at the end, and the lines of AWS
// Application Load Balancers. ok is false for any other text. The text of the client is between quotation marks, which
// servers escape, so a client cannot add fields.
func (d *Decoder) accessLine(text string) (record string, ok bool) {
	if !d.combined && !d.loadBalancer || len(text) < minAccessLine || len(text) > maxAccessLine {
		return "", false
	}
	if text[0] <= ' ' || strings.IndexByte(`{["<`, text[0]) >= 0 {
		return "", false
	}
	line := strings.TrimRight(text, "\r\n")
	if strings.IndexByte(line, '\n') >= 0 {
		return "", false
	}
	switch {
	case d.loadBalancer && isLoadBalancerLine(line):
		d.line, ok = appendLoadBalancerLine(d.line[:0], line)
	case d.combined:
		d.line, ok = appendCombinedLine(d.line[:0], line)
	}
	if !ok {
		return "", false
	}
	return d.elem.Arena.Copy(d.line), true
}

// minAccessLine is the length in bytes of the shortest line: a, -, -, a time, an empty request, a status and no size.
const minAccessLine = len(`a - - [10/Oct/2026:13:55:36 +0000] "" 200 -`)

// isAccessLine reports whether a line is one that accessLine reads, without reading all of it.
func (d *Decoder) isAccessLine(line string) bool {
	if len(line) < minAccessLine || len(line) > maxAccessLine {
		return false
	}
	if d.loadBalancer && isLoadBalancerLine(line) {
		return true
	}
	if !d.combined {
		return false
	}
	_, _, ok := cutCombinedTime(line)
	return ok
}

// combinedTime is the form of a time in an access log.
const combinedTime = "[10/Oct/2026:13:55:36 +0000] \""

// cutCombinedTime returns the text before and after the time in a line of the combined format. The name of a user, which a
// client may choose, can have a time in it, but no quotation mark after it.
func cutCombinedTime(line string) (head, rest string, ok bool) {
	for from := 0; ; {
		i := strings.Index(line[from:], " [")
		if i < 0 || len(line)-from-i-1 < len(combinedTime) || strings.IndexByte(line[from:from+i], '"') >= 0 {
			return "", "", false
		}
		at := from + i + 1
		if isCombinedTime(line[at : at+len(combinedTime)]) {
			return line[:at-1], line[at:], isCombinedHead(line[:at-1])
		}
		from = at
	}
}

// isCombinedTime reports whether a text has the form of combinedTime.
func isCombinedTime(text string) bool {
	for i := range len(combinedTime) {
		switch c, form := text[i], combinedTime[i]; {
		case form == '+' && (c == '+' || c == '-'):
		case '0' <= form && form <= '9':
			if c-'0' > 9 {
				return false
			}
		case 'A' <= form&^0x20 && form&^0x20 <= 'Z':
			if c|0x20 < 'a' || c|0x20 > 'z' {
				return false
			}
		case c != form:
			return false
		}
	}
	return true
}

// appendCombinedLine appends a line of the combined format as JSON.
func appendCombinedLine(dst []byte, line string) (record []byte, ok bool) {
	head, rest, ok := cutCombinedTime(line)
	if !ok {
		return dst, false
	}
	w := members{dst: append(dst, '{')}
	address, user, _ := strings.Cut(head, " - ")           // the user may have blanks
	if host, client, ok := strings.Cut(address, " "); ok { // Apache's vhost_combined
		w.text("host", host)
		address = client
	}
	w.text("remote_addr", address)
	w.text("remote_user", unquoted(user))
	w.text("time_local", rest[1:len(combinedTime)-len(`] "`)])
	f := fields{rest: rest[len(combinedTime)-1:]}
	w.text("request", f.quoted())
	status := f.word()
	w.text("status", status)
	w.text("body_bytes_sent", f.word())
	if f.failed || !isStatus(status) {
		return dst, false
	}
	if f.isQuoted() {
		w.text("http_referer", f.quoted())
	}
	if f.isQuoted() {
		w.text("http_user_agent", f.quoted())
	}
	if f.isQuoted() {
		w.text("http_x_forwarded_for", f.quoted())
	} else if f.rest != "" {
		appendIngress(&w, &f)
	}
	if f.failed {
		return dst, false
	}
	return append(w.dst, '}'), true
}

// isCombinedHead reports whether a text is the part of a line before the time: the address of the client, perhaps after a host and
// its port, a dash, which is all that servers know of the client's own account, and a user or a dash.
func isCombinedHead(head string) bool {
	address, user, ok := strings.Cut(head, " - ")
	if !ok || address == "" || user == "" {
		return false
	}
	host, client, both := strings.Cut(address, " ")
	if !both {
		return true
	}
	_, port, ok := strings.Cut(host, ":")
	return ok && isNumber(port) && client != "" && strings.IndexByte(client, ' ') < 0
}

// isStatus reports whether a text is an HTTP status.
func isStatus(text string) bool { return len(text) == 3 && isNumber(text) }

// appendIngress appends the fields that ingress-nginx adds, if there are all of them. Others, which anyone may configure,
// are left out.
func appendIngress(w *members, f *fields) {
	words := strings.Split(f.rest, " ")
	if len(words) < 9 || !strings.HasPrefix(words[2], "[") || !strings.HasPrefix(words[3], "[") {
		return
	}
	w.text("request_length", words[0])
	w.text("request_time", words[1])
	w.text("proxy_upstream_name", strings.Trim(words[2], "[]"))
	w.text("req_id", words[len(words)-1])
}

// isLoadBalancerLine reports whether a line begins as those of Application Load Balancers do: the kind of request, a time, and the
// name of the balancer.
func isLoadBalancerLine(line string) bool {
	kind, rest, ok := strings.Cut(line[:min(len(line), maxHeader)], " ")
	if !ok {
		return false
	}
	switch kind {
	case "http", "https", "h2", "grpcs", "ws", "wss":
	default:
		return false
	}
	time, rest, ok := strings.Cut(rest, " ")
	return ok && isTimestamp(time) && strings.HasPrefix(rest, "app/")
}

// loadBalancerFields are the names of the fields of a line, in their order, as AWS's documentation has them. The names of
// those that are quoted begin with a quotation mark. Older lines end earlier.
var loadBalancerFields = [...]string{
	"type", "time", "elb", "client:port", "target:port", "request_processing_time", "target_processing_time", "response_processing_time",
	"elb_status_code", "target_status_code", "received_bytes", "sent_bytes", `"request`, `"user_agent`, "ssl_cipher", "ssl_protocol",
	"target_group_arn", `"trace_id`, `"domain_name`, `"chosen_cert_arn`, "matched_rule_priority", "request_creation_time",
	`"actions_executed`, `"redirect_url`, `"error_reason`, `"target:port_list`, `"target_status_code_list`, `"classification`,
	`"classification_reason`, "conn_trace_id",
}

// leastLoadBalancerFields is the number of fields up to the user agent, which all lines have.
const leastLoadBalancerFields = 14

// appendLoadBalancerLine appends a line of an Application Load Balancer as JSON.
func appendLoadBalancerLine(dst []byte, line string) (record []byte, ok bool) {
	w, f := members{dst: append(dst, '{')}, fields{rest: line}
	for i, name := range loadBalancerFields {
		if f.rest == "" && i >= leastLoadBalancerFields {
			break
		}
		if quoted, ok := strings.CutPrefix(name, `"`); ok {
			w.text(quoted, f.quoted())
		} else {
			w.text(name, f.word())
		}
	}
	if f.failed {
		return dst, false
	}
	return append(w.dst, '}'), true
}

// fields cuts the fields of a line, which are separated by single blanks.
type fields struct {
	rest   string
	failed bool // a field is missing, or a quotation mark
}

// word returns the next field without quotation marks.
func (f *fields) word() string {
	if f.failed = f.failed || f.rest == "" || f.rest[0] == '"'; f.failed {
		return ""
	}
	word, rest, _ := strings.Cut(f.rest, " ")
	f.rest = rest
	return word
}

// isQuoted reports whether the next field is quoted.
func (f *fields) isQuoted() bool { return strings.HasPrefix(f.rest, `"`) }

// quoted returns the text of the next field, which is between quotation marks.
func (f *fields) quoted() string {
	if f.failed = f.failed || !f.isQuoted(); f.failed {
		return ""
	}
	for i := 1; i < len(f.rest); i++ {
		switch f.rest[i] {
		case '\\':
			i++
		case '"':
			text := f.rest[1:i]
			f.rest, f.failed = f.rest[i+1:], len(f.rest) > i+1 && f.rest[i+1] != ' '
			f.rest = strings.TrimPrefix(f.rest, " ")
			return unquoted(text)
		}
	}
	f.failed = true
	return ""
}

// unquoted returns a text without the escapes of NGINX and Apache: \x22, and a backslash before a quotation mark, a backslash
// or a letter.
func unquoted(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c != '\\' || i+1 == len(text):
			plain = append(plain, c)
		case isHexEscape(text[i:]):
			plain = append(plain, hexDigit(text[i+2])<<4|hexDigit(text[i+3]))
			i += 3
		default:
			i++
			switch c = text[i]; c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			}
			plain = append(plain, c)
		}
	}
	return string(plain)
}

// members writes the members of an object.
type members struct {
	dst []byte
}

func (w *members) text(key, value string) {
	if len(w.dst) > 1 {
		w.dst = append(w.dst, ',')
	}
	w.dst = formats.AppendString(append(formats.AppendString(w.dst, key), ':'), value)
}
