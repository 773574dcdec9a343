package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aidr-engine/aidr/connectors"
)

// probeTimeout bounds Probe, which makes a connection and up to five queries.
const probeTimeout = 10 * time.Second

// Probe implements connectors.Prober: it logs in, looks for the tables and prepares an insert, which needs the same rights as
// writing, without sending rows.
func (s *Sink) Probe(ctx context.Context) []connectors.Answer {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	text, warning, err := s.probe(ctx)
	if err != nil {
		text = strings.Join(strings.Fields(withAdvice(err, s.options.Auth.Username).Error()), " ")
	}
	return []connectors.Answer{{Text: text, Failed: err != nil, Warning: warning}}
}

func (s *Sink) probe(ctx context.Context) (text string, warning bool, err error) {
	conn, err := s.connection()
	if err != nil {
		return "", false, err
	}
	var version string
	if err := conn.QueryRow(ctx, "SELECT version()").Scan(&version); err != nil {
		return "", false, err
	}
	var tables uint64
	err = conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'findings'",
		clickhouse.Named("database", s.dialect.database)).Scan(&tables)
	if err != nil {
		return "", false, err
	}
	if tables == 0 {
		return s.probeMissing(ctx, conn, version)
	}
	batch, err := conn.PrepareBatch(ctx, s.insert)
	if err != nil {
		if c, reason := classify(err); c == classTable && s.config.Migrate {
			return fmt.Sprintf("version %s, the tables of %q are older (%s): aidr run updates them", version, s.dialect.database, reason), true, nil
		}
		return "", false, err
	}
	if err := batch.Abort(); err != nil {
		return "", false, err
	}
	return fmt.Sprintf("version %s, database %q is writable", version, s.dialect.database), false, nil
}

// probeMissing answers for a database without tables. Servers before 24.10 cannot check grants; the answer is then a guess.
func (s *Sink) probeMissing(ctx context.Context, conn clickhouse.Conn, version string) (text string, warning bool, err error) {
	if !s.config.Migrate {
		return "", false, fmt.Errorf("version %s, database %q has no table of findings and sinks.clickhouse.migrate is false: run aidr migrate",
			version, s.dialect.database)
	}
	var granted uint8
	err = conn.QueryRow(ctx, "CHECK GRANT CREATE TABLE, INSERT ON "+quoteName(s.dialect.database)+".*").Scan(&granted)
	if err == nil && granted == 0 {
		return "", false, fmt.Errorf("version %s, user %q may not create tables and insert: let an administrator run: GRANT ALL ON %s.* TO %s",
			version, s.options.Auth.Username, s.dialect.database, s.options.Auth.Username)
	}
	return fmt.Sprintf("version %s, database %q has no table of findings yet: aidr run creates it", version, s.dialect.database), false, nil
}
