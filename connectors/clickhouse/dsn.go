package clickhouse

import (
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const (
	defaultDatabase = "aidr"

	// dialTimeout holds where the DSN says nothing: a server that is away is to be seen soon.
	dialTimeout = 5 * time.Second

	// maxConnections: writes do not overlap; one more for migrations and probes.
	maxConnections = 2

	dsnForm = "want clickhouse://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, with special characters of the password percent-encoded"
)

// parseDSN reads a DSN into options that connect without a default database, which may not exist yet: every query
// names its own. No error holds text of the DSN, since any part of a broken one may be the password.
func parseDSN(dsn string) (*clickhouse.Options, string, error) {
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, "", errors.New("parse clickhouse dsn: " + dsnForm)
	}
	database := o.Auth.Database
	if database == "" {
		database = defaultDatabase
	}
	if err := checkName("database", database); err != nil {
		return nil, "", err
	}
	o.Auth.Database = ""
	if o.DialTimeout == 0 {
		o.DialTimeout = dialTimeout
	}
	o.MaxOpenConns, o.MaxIdleConns = maxConnections, 1
	if o.Compression == nil {
		o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	o.ClientInfo.Products = append(o.ClientInfo.Products, struct{ Name, Version string }{"aidr", ""})
	return o, database, nil
}

// checkName refuses what would need more than backquotes in SQL.
func checkName(what, name string) error {
	for _, r := range name {
		if r != '_' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return fmt.Errorf("%s name: it holds %q: want letters, digits, '_', '-' and '.'", what, r)
		}
	}
	if len(name) > 128 {
		return fmt.Errorf("%s name: %d bytes long, want at most 128", what, len(name))
	}
	return nil
}
