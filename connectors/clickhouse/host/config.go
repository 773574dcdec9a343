package host

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The engine's files in Options.Dir.
const (
	configFile = "config.xml"
	usersFile  = "users.xml"
	dataDir    = "data"
)

// settings is what the two files are made of.
type settings struct {
	users    string // absolute path of users.xml
	user     string
	password string
	database string   // may end in * : every database whose name begins so
	rights   []string // of the user; nil: all in database
	memory   int64    // bytes
}

// configXML: the memory limit holds for the whole engine; nothing is sent to anyone; the logs stay on stderr.
func (s settings) configXML() string {
	return fmt.Sprintf(`<clickhouse>
    <users_config>%s</users_config>
    <max_server_memory_usage>%d</max_server_memory_usage>
    <send_crash_reports><enabled>false</enabled></send_crash_reports>
    <listen_host>127.0.0.1</listen_host>
</clickhouse>
`, escape(s.users), s.memory)
}

// usersXML: without it any local process would have every right, file() included. User default is the engine's own
// session; it has no password and cannot be given one, so it may do nothing but what that session does. The other user
// owns its database and reaches no source outside (file, url, remote ...): those are grants that it does not get.
func (s settings) usersXML() string {
	sum := sha256.Sum256([]byte(s.password))
	return fmt.Sprintf(`<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password></password>
            <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants>
                <query>GRANT SYSTEM LISTEN ON *.*</query>
                <query>GRANT CREATE TEMPORARY TABLE ON *.*</query>
            </grants>
        </default>
        <%[1]s>
            <password_sha256_hex>%[2]s</password_sha256_hex>
            <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants>
%[3]s            </grants>
        </%[1]s>
    </users>
</clickhouse>
`, s.user, hex.EncodeToString(sum[:]), s.grants())
}

// engines are those that a user may create tables of: what migrations use, and their plain forms for an analyst.
func engines() []string {
	return []string{"MergeTree", "ReplacingMergeTree", "AggregatingMergeTree", "View", "MaterializedView", "Memory", "Null"}
}

// grants renders the user's rights. A tag in a name cannot break out of its line: it is escaped.
func (s settings) grants() string {
	rights := s.rights
	if rights == nil {
		rights = s.ownership()
	}
	var b strings.Builder
	for _, r := range rights {
		fmt.Fprintf(&b, "                <query>GRANT %s</query>\n", escape(r))
	}
	return b.String()
}

// ownership is every right in the database and none elsewhere.
func (s settings) ownership() (rights []string) {
	on := s.database + ".*"
	if !strings.HasSuffix(s.database, "*") {
		on = "`" + s.database + "`.*"
	}
	for _, r := range []string{"SHOW", "SELECT", "INSERT", "ALTER", "CREATE", "DROP", "UNDROP TABLE", "TRUNCATE", "OPTIMIZE"} {
		rights = append(rights, r+" ON "+on)
	}
	rights = append(rights, "CREATE TEMPORARY TABLE ON *.*", "KILL QUERY ON *.*", "SELECT ON system.*")
	for _, e := range engines() {
		rights = append(rights, "TABLE ENGINE ON "+e)
	}
	return rights
}

// write puts both files into dir, readable by their owner only.
func (s settings) write(dir string) error {
	for name, text := range map[string]string{configFile: s.configXML(), usersFile: s.usersXML()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write engine configuration: %w", err)
		}
		if err := os.Chmod(path, 0o600); err != nil { // WriteFile keeps an older file's mode
			return fmt.Errorf("write engine configuration: %w", err)
		}
	}
	return nil
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
