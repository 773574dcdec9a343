package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aidr-engine/aidr/connectors"
)

// probeTimeout bounds Probe, which makes a connection and up to 15 queries.
const probeTimeout = 10 * time.Second

// Probe implements connectors.Prober: it logs in, looks for the tables and prepares an insert, which needs the same rights as
// writing, without sending rows. If that works, it also compares the clocks and checks the rights that Roles names.
func (s *Sink) Probe(ctx context.Context) []connectors.Answer {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	text, warning, err := s.probe(ctx)
	if err != nil {
		text = strings.Join(strings.Fields(withAdvice(err, s.options.Auth.Username).Error()), " ")
	}
	answers := []connectors.Answer{{Text: text, Failed: err != nil, Warning: warning}}
	if err != nil {
		return answers
	}
	conn, err := s.connection()
	if err != nil {
		return answers
	}
	answers = append(answers, s.probeClock(ctx, conn), s.probeRights(ctx, conn))
	for i := range answers {
		answers[i].Text = strings.Join(strings.Fields(answers[i].Text), " ")
	}
	return answers
}

// probeClock compares the clock of the server with that of this machine.
func (s *Sink) probeClock(ctx context.Context, conn clickhouse.Conn) connectors.Answer {
	var micros int64
	asked := time.Now()
	if err := conn.QueryRow(ctx, "SELECT toUnixTimestamp64Micro(now64(6))").Scan(&micros); err != nil {
		return connectors.Answer{Subject: "clock", Text: "is unknown: " + err.Error(), Warning: true}
	}
	return connectors.ClockAnswer(time.UnixMicro(micros), asked, time.Now(), time.Microsecond)
}

// probeRights checks the rights of the role that the configuration needs, one by one. It sends nothing that changes the server.
func (s *Sink) probeRights(ctx context.Context, conn clickhouse.Conn) connectors.Answer {
	role := s.role()
	var lacking []string
	for _, right := range role.rights() {
		var granted uint8
		switch err := conn.QueryRow(ctx, "CHECK GRANT "+right).Scan(&granted); {
		case err != nil: // servers before 24.10 do not know the statement
			return connectors.Answer{Subject: "rights", Text: fmt.Sprintf("cannot be checked (%v): aidr migrate --grants lists what the user needs", err)}
		case granted == 0:
			lacking = append(lacking, right)
		}
	}
	if len(lacking) == 0 {
		return connectors.Answer{Subject: "rights", Text: "the user has all rights of the role " + role.Name}
	}
	return connectors.Answer{Subject: "rights", Warning: true, Text: fmt.Sprintf(
		"the user %q lacks rights of the role %s: let an administrator run: GRANT %s TO %s",
		s.options.Auth.Username, role.Name, strings.Join(lacking, "; GRANT "), s.options.Auth.Username)}
}

// role returns the role that this sink needs.
func (s *Sink) role() Role {
	name := "writer"
	if s.config.Migrate {
		name = "migrator"
	}
	for _, r := range s.Roles() {
		if r.Name == name {
			return r
		}
	}
	panic("BUG: there is no role " + name)
}

// rights returns the grants with one right each, such as "INSERT ON db.*".
func (r Role) rights() (out []string) {
	for _, g := range r.Grants {
		list, on, ok := strings.Cut(g, " ON ")
		if !ok {
			panic("BUG: the grant " + g + " is on nothing")
		}
		for _, right := range strings.Split(list, ", ") {
			out = append(out, right+" ON "+on)
		}
	}
	return out
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
