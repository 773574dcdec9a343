package cloud

import "strings"

// The values of event.type.
const (
	typeRead   = "read"
	typeCreate = "create"
	typeUpdate = "update"
	typeDelete = "delete"
)

// maxVerb is the longest verb that is looked for, in bytes.
const maxVerb = 16

// typeOfVerb returns what a verb does, in any case of letters and in the forms that audit logs use; "" where it is not
// known.
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
		"enabled", "disable", "disabled", "rename", "renamed", "move", "moved", "restore", "restored", "rotate", "regenerate", "reset", "transfer", "activate",
		"deactivate", "suspend", "unsuspend", "merge", "push", "start", "stop", "attach", "detach", "approve":
		return typeUpdate
	}
	return ""
}

// typeOfOperation looks at the first word of a name and then at the last: SetIamPolicy, New-InboxRule, storage_key_created
// and FileDownloaded.
func typeOfOperation(name string) string {
	if kind := typeOfVerb(firstWord(name)); kind != "" {
		return kind
	}
	return typeOfVerb(lastWord(name))
}

// firstWord returns the word that a name in CamelCase, snake_case or of words begins with. A run of capitals is one.
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

// lastWord returns the word that a name ends with.
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

// lastPart returns what stands behind the last sep, the whole where there is none.
func lastPart(text string, sep byte) string { return text[strings.LastIndexByte(text, sep)+1:] }

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
