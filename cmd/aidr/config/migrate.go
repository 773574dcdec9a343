package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
)

// No key of the configuration has been renamed or removed since the first version. Values that earlier versions accepted and this one
// refuses are in migrations. A change of a key gets a row there, so that a file of any earlier version can be brought up to date.

// Change is one changed value of a configuration file.
type Change struct {
	Line     int    // from 1
	Old, New string // the values, without their secrets
	Why      string
}

// migration finds what to change in a file. It passes the scalar, its new value and the reason to change.
type migration func(root *yaml.Node, change func(n *yaml.Node, to, why string))

var migrations = [...]migration{migrateScheme, migrateGroups}

// Migrate returns a configuration file of an earlier version with the values that this version needs. Everything else, comments and
// blanks too, stays as it is. It resolves no ${...}.
func Migrate(src []byte) (out []byte, changes []Change, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil || len(doc.Content) != 1 {
		return nil, nil, errors.New("the file is not YAML: aidr config check shows the place")
	}
	lines := bytes.Split(src, []byte("\n"))
	for _, m := range migrations {
		m(doc.Content[0], func(n *yaml.Node, to, why string) {
			line := string(lines[n.Line-1])
			changed, ok := splice(line, n, to)
			if !ok {
				err = errors.Join(err, fmt.Errorf("line %d: write %s here: %s", n.Line, to, why))
				return
			}
			changes = append(changes, Change{n.Line, shown(n.Value), shown(to), why})
			lines[n.Line-1] = []byte(changed)
		})
	}
	return bytes.Join(lines, []byte("\n")), changes, err
}

// shown returns a value without its secrets. The values that change are addresses and names.
func shown(value string) string {
	if strings.Contains(value, "://") {
		return addressOnly(value, secretURL)
	}
	return value
}

// splice replaces a scalar in its line. ok is false if the scalar is written in another form, such as a block or with escapes.
func splice(line string, n *yaml.Node, to string) (changed string, ok bool) {
	column := 0 // in bytes; that of a node counts runes
	for i := range line {
		if column++; column == n.Column {
			for _, quote := range []string{"", `"`, "'"} {
				if rest, ok := strings.CutPrefix(line[i:], quote+n.Value+quote); ok {
					return line[:i] + quote + to + quote + rest, true
				}
			}
		}
	}
	return "", false
}

// at returns the value of a key of a mapping, or nil.
func at(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var found *yaml.Node
		if n != nil && n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == key {
					found = n.Content[i+1]
				}
			}
		}
		if n = found; n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
	}
	return n
}

// migrateScheme gives a DSN with the scheme native, which the driver never documented, the scheme clickhouse.
func migrateScheme(root *yaml.Node, change func(*yaml.Node, string, string)) {
	dsn := at(root, "sinks", "clickhouse", "dsn")
	if dsn == nil || dsn.Kind != yaml.ScalarNode || clickhouse.KnownScheme(dsn.Value) {
		return
	}
	if rest, ok := strings.CutPrefix(dsn.Value, "native://"); ok {
		change(dsn, "clickhouse://"+rest, "the native interface of ClickHouse has the scheme clickhouse")
	}
}

// migrateGroups gives sources that share a consumer group a group each. Positions are in the state directory by the name of the source,
// so nothing is read twice.
func migrateGroups(root *yaml.Node, change func(*yaml.Node, string, string)) {
	sources := at(root, "sources")
	if sources == nil || sources.Kind != yaml.SequenceNode {
		return
	}
	taken := map[string]bool{}
	for i, s := range sources.Content {
		group := at(s, "kafka", "group")
		if group == nil || group.Kind != yaml.ScalarNode {
			continue
		}
		if !taken[group.Value] {
			taken[group.Value] = true
			continue
		}
		name := fmt.Sprintf("source-%d", i+1)
		if n := at(s, "name"); n != nil {
			name = n.Value
		}
		taken[DefaultGroup(name)] = true
		change(group, DefaultGroup(name), "a group gives all partitions to one member, so one of two sources with one group reads nothing")
	}
}
