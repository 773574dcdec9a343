package site

import (
	"strings"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// Limits of looking into arguments.
const (
	maxArguments = 64        // members of the outermost object
	maxStatement = 4 << 10   // bytes of a command or statement
	maxShape     = 256 << 10 // bytes of arguments
)

// The names of arguments by what their presence shows.
var (
	urlKeys       = setOf("url", "uri", "endpoint", "webhook", "webhook_url", "target_url", "callback_url", "href")
	bodyKeys      = setOf("body", "data", "payload", "json", "form", "files", "content", "params_body", "form_data", "request_body")
	recipientKeys = setOf("to", "recipient", "recipients", "cc", "bcc", "email", "emails", "to_email", "email_address", "phone", "phone_number",
		"iban", "channel", "channel_id", "user_email", "participants", "attendees", "invitees", "invitee", "webhook_url", "account_number", "payee")
	textKeys      = setOf("body", "message", "text", "content", "subject", "amount", "html", "msg", "blocks", "attachments", "attachment", "file", "role", "permission")
	statementKeys = setOf("sql", "query", "statement", "statements", "queries")
	commandKeys   = setOf("command", "cmd", "script", "code", "commands", "args", "argv", "shell_command", "chars")
)

// The words of commands and statements.
var (
	networkWords = setOf("curl", "wget", "nc", "ncat", "netcat", "ssh", "scp", "rsync", "sftp", "ftp", "telnet", "sendmail", "mail", "mutt", "httpie",
		"requests.post", "requests.put", "urlopen", "fetch", "axios.post", "invoke-webrequest", "invoke-restmethod", "iwr", "push", "publish", "upload", "s3", "gsutil",
		"rclone", "smtplib", "socket")
	destroyWords = setOf("rm", "rmdir", "del", "rd", "unlink", "shred", "mkfs", "dd", "drop", "delete", "truncate", "kill", "pkill", "killall", "shutdown",
		"destroy", "terminate", "shutil.rmtree", "os.remove", "remove-item", "purge", "wipefs")
	changeWords = setOf("insert", "update", "create", "alter", "grant", "revoke", "merge", "replace", "copy", "call", "exec", "execute", "set")
)

func setOf(words ...string) map[string]bool {
	out := map[string]bool{}
	for _, w := range words {
		out[w] = true
	}
	return out
}

// Shape returns the labels that the arguments of a call show:
//
//	a URL with a body, or with a method other than GET           egress, change
//	a recipient (to, email, channel, iban ...) with a text       egress, change
//	a statement of SQL that changes; that drops or deletes       change; destructive
//	a command that uses the network; that deletes or stops       egress; change, destructive
//
// Only the members of the outermost object are looked at.
func (c *Capabilities) Shape(arguments string) (labels predicate.Labels) {
	if len(arguments) > maxShape || arguments == "" {
		return 0
	}
	if arguments[0] != '{' {
		return ofCommand(arguments)
	}
	var hasURL, hasBody, hasRecipient, hasText, writes bool
	it := predicate.Items(arguments)
	for n := 0; n < maxArguments && it.Next(); n++ {
		key, value := strings.ToLower(strings.Trim(it.Key(), `"`)), it.Value()
		filled := value != `""` && value != "null" && value != "[]" && value != "{}"
		if !filled {
			continue
		}
		hasURL = hasURL || urlKeys[key]
		hasBody = hasBody || bodyKeys[key]
		hasRecipient = hasRecipient || recipientKeys[key]
		hasText = hasText || textKeys[key]
		switch {
		case key == "method" || key == "http_method":
			switch strings.ToUpper(strings.Trim(value, `"`)) {
			case "POST", "PUT", "PATCH":
				writes = true
			case "DELETE":
				writes = true
				labels |= predicate.Change | predicate.Destructive
			}
		case statementKeys[key]:
			labels |= ofStatement(value)
		case commandKeys[key]:
			labels |= ofCommand(value)
		}
	}
	if hasURL && (hasBody || writes) || hasRecipient && hasText {
		labels |= predicate.Egress | predicate.Change
	}
	return labels
}

// ofStatement returns the labels of a statement of SQL, or of several.
func ofStatement(value string) (labels predicate.Labels) {
	words := commandWords{text: value[:min(len(value), maxStatement)], after: ';'}
	for words.next() {
		switch {
		case words.after != ';':
		case destroyWords[string(words.word())]:
			labels |= predicate.Change | predicate.Destructive
		case changeWords[string(words.word())]:
			labels |= predicate.Change
		}
	}
	return labels
}

// ofCommand returns the labels of a command or a script.
func ofCommand(value string) (labels predicate.Labels) {
	words := commandWords{text: value[:min(len(value), maxStatement)], after: ';'}
	for words.next() {
		if networkWords[string(words.word())] {
			labels |= predicate.Egress
		}
		if destroyWords[string(words.word())] {
			labels |= predicate.Change | predicate.Destructive
		}
	}
	return labels
}

// commandWords reads the words of a text in JSON, in small letters. Words consist of letters, digits, points, dashes and
// underscores; longer ones than any word of interest are passed over.
type commandWords struct {
	text  string
	at    int
	after byte // the last mark before the word: ';', '|', '&', or a blank
	buf   [32]byte
	n     int
}

// word returns the word; it is valid until the next one.
func (r *commandWords) word() []byte { return r.buf[:r.n] }

func (r *commandWords) next() bool {
	if r.n > 0 {
		r.after = ' '
	}
	for r.at < len(r.text) {
		c := r.text[r.at]
		if !commandByte(c) {
			if c == ';' || c == '|' || c == '&' {
				r.after = c
			}
			if r.at++; c == '\\' {
				r.at++ // an escape is a blank or a mark of quotation
			}
			continue
		}
		start := r.at
		for r.at < len(r.text) && commandByte(r.text[r.at]) {
			r.at++
		}
		if r.n = r.at - start; r.n > len(r.buf) {
			r.n, r.after = 0, ' '
			continue
		}
		for k := range r.n {
			if r.buf[k] = r.text[start+k]; r.buf[k]-'A' < 26 {
				r.buf[k] |= 0x20
			}
		}
		return true
	}
	return false
}

func commandByte(c byte) bool {
	return c|0x20-'a' < 26 || c-'0' <= 9 || c == '.' || c == '-' || c == '_'
}
