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

// The files of the engine in Options.Dir.
const (
	configFile = "config.xml"
	usersFile  = "users.xml"
	dataDir    = "data"
)

// settings holds the values that configXML and usersXML render.
type settings struct {
	users    string // absolute path of users.xml
	user     string
	password string
	database string   // a trailing * means every database with this prefix
	rights   []string // of the user; nil: every right in database
	memory   int64    // limit of the engine, in bytes
}

// configXML returns config.xml. The memory limit applies to the whole engine, crash reports are not sent, and logs go to
// stderr.
func (s settings) configXML() string {
	return fmt.Sprintf(`<clickhouse>
    <users_config>%s</users_config>
    <max_server_memory_usage>%d</max_server_memory_usage>
    <send_crash_reports><enabled>false</enabled></send_crash_reports>
    <listen_host>127.0.0.1</listen_host>
</clickhouse>
`, escape(s.users), s.memory)
}

// usersXML returns users.xml. Without it, every local process would have every right, including file(). User default is
// that of the engine's own session. It cannot have a password, so its rights are limited to the statements of that
// session. The other user owns its database. It lacks the grants for outside sources such as file, url and remote.
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

// engines returns the table engines that a user may use: those of the migrations, and simple ones for an analyst.
func engines() []string {
	return []string{"MergeTree", "ReplacingMergeTree", "AggregatingMergeTree", "View", "MaterializedView", "Memory", "Null"}
}

// grants returns the user's rights as XML. They are escaped, so a tag in a name cannot end its element.
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

// ownership returns every right in the database, and elsewhere only those that clients need.
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

// write writes both files to dir, readable only by their owner.
func (s settings) write(dir string) error {
	for name, text := range map[string]string{configFile: s.configXML(), usersFile: s.usersXML()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write engine configuration: %w", err)
		}
		if err := os.Chmod(path, 0o600); err != nil { // WriteFile keeps the mode of an existing file
			return fmt.Errorf("write engine configuration: %w", err)
		}
	}
	return nil
}

// escape returns s as XML text.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // writing to a Builder cannot fail
	return b.String()
}
