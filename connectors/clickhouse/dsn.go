package clickhouse

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const (
	defaultDatabase = "aidr"

	// dialTimeout applies if the DSN sets none. It is short so that an unreachable server is noticed soon.
	dialTimeout = 5 * time.Second

	// maxConnections is one for writes, which do not overlap, and one for migrations and pings.
	maxConnections = 2

	dsnForm = "want clickhouse://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, with special characters of the password percent-encoded"
)

// parseDSN returns the client's options and the database of a DSN. The options name no default database, because the
// database may not exist yet; every query names it. Errors do not quote the DSN, because any part of a malformed DSN may
// be the password.
func parseDSN(dsn string) (options *clickhouse.Options, database string, err error) {
	if strings.Contains(dsn, "://") && !KnownScheme(dsn) { // the driver takes every other scheme for the native protocol
		return nil, "", errors.New("parse clickhouse dsn: unknown scheme: use clickhouse, http or https")
	}
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, "", errors.New("parse clickhouse dsn: " + dsnForm)
	}
	database = o.Auth.Database
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

// KnownScheme reports whether a DSN begins with a scheme that the driver supports: clickhouse and its older name tcp, for
// the native protocol, http and https.
func KnownScheme(dsn string) bool {
	scheme, _, _ := strings.Cut(dsn, "://")
	switch strings.ToLower(scheme) {
	case "clickhouse", "tcp", "http", "https":
		return true
	}
	return false
}

// checkName refuses names that would need escaping within backquotes. subject names the setting in errors.
func checkName(subject, name string) error {
	for _, r := range name {
		if r != '_' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return fmt.Errorf("%s name: contains %q: want letters, digits, '_', '-' and '.'", subject, r)
		}
	}
	if len(name) > 128 {
		return fmt.Errorf("%s name: %d bytes long, want at most 128", subject, len(name))
	}
	return nil
}
