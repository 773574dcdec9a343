package cloud

import "strings"

// Values of event.type.
const (
	typeRead   = "read"
	typeCreate = "create"
	typeUpdate = "update"
	typeDelete = "delete"
)

// maxVerb is the maximum length in bytes of a word that typeOfVerb looks up.
const maxVerb = 16

// typeOfVerb returns the event.type of a verb, in any case of letters and in the forms that audit logs use; "" if the verb is
// unknown.
func typeOfVerb(word string) string {
	if len(word) > maxVerb {
		return ""
	}
	var buf [maxVerb]byte
	for i := range len(word) {
		c := word[i]
		if isUpper(c) {
			c |= 0x20
		}
		buf[i] = c
	}
	switch string(buf[:len(word)]) {
	case "get", "list", "watch", "read", "view", "viewed", "search", "searched", "query", "fetch", "lookup", "describe", "access", "accessed",
		"download", "downloaded", "export", "exported", "previewed", "check", "test", "head", "clone", "count":
		return typeRead
	case "create", "created", "insert", "add", "added", "new", "register", "registered", "generate", "issue", "invite", "sent", "upload",
		"uploaded", "grant", "copied", "import", "publish", "enroll", "sign", "run", "post":
		return typeCreate
	case "delete", "deleted", "deletecollection", "remove", "removed", "destroy", "destroyed", "purge", "revoke", "revoked", "terminate",
		"archived", "unregister", "deregister", "recycled":
		return typeDelete
	case "update", "updated", "patch", "set", "edit", "modify", "modified", "write", "put", "replace", "change", "changed", "enable",
		"enabled", "disable", "disabled", "rename", "renamed", "move", "moved", "restore", "restored", "rotate", "regenerate", "reset",
		"transfer", "activate", "deactivate", "suspend", "unsuspend", "merge", "push", "start", "stop", "attach", "detach", "approve":
		return typeUpdate
	}
	return ""
}

// typeOfOperation returns the event.type of an operation's name, by its first word, else by its last: SetIamPolicy,
// New-InboxRule, storage_key_created, FileDownloaded.
func typeOfOperation(name string) string {
	if kind := typeOfVerb(firstWord(name)); kind != "" {
		return kind
	}
	return typeOfVerb(lastWord(name))
}

// firstWord returns the first word of a name in CamelCase, in snake_case or with spaces. A run of capitals is a word.
func firstWord(name string) string {
	i := 1
	if len(name) > 1 && isUpper(name[0]) && isUpper(name[1]) {
		for i < len(name) && isUpper(name[i]) {
			i++
		}
		return name[:i]
	}
	for i < len(name) && isLower(name[i]) {
		i++
	}
	return name[:min(i, len(name))]
}

// lastWord returns the last word of a name.
func lastWord(name string) string {
	i := len(name)
	for i > 0 && isLower(name[i-1]) {
		i--
	}
	if i > 0 && isUpper(name[i-1]) {
		i--
	}
	return name[i:]
}

// lastPart returns the part of a text after the last sep, or the whole text if sep does not occur.
func lastPart(text string, sep byte) string { return text[strings.LastIndexByte(text, sep)+1:] }

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
