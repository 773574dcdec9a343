// Package clickhouse stores findings in ClickHouse. Entries may be written any number of times: rows hold absolute values,
// the table findings is a ReplacingMergeTree over revision, and the views read it with FINAL. Each block also has a token
// made of its outbox positions and content, by which the server skips a block that it already has. That saves work;
// correctness does not depend on it.
//
//	entries -> rows (values out of range are poison at once)
//	        -> blocks, limited in rows and months
//	        -> INSERT with a token -- the server is unavailable --> error: the same entries are written again
//	                               -- a row is refused ----------> the block is halved until bad rows are alone: Partial
//
// The package is made for findings, in blocks of 1,000 to 100,000 rows and one block a second, and not for raw events.
package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// DefaultRows is the default of the largest block. A block of 100,000 rows takes 440 MB on the server, and a tenth of
	// that here.
	DefaultRows = 10_000
	// DefaultLinger is the default of the time that entries wait for a block to fill. ClickHouse is made for about one
	// block a second and table.
	DefaultLinger = time.Second
	// maxBytes is the number of bytes of the outbox that one block holds at most.
	maxBytes = 16 << 20
	// maxRows is the largest value of Config.Rows. Larger blocks cost more memory than they save time.
	maxRows = 100_000

	// watchEvery is the time between two pings of Watch, and pingTimeout bounds one of them.
	watchEvery  = 5 * time.Second
	pingTimeout = 5 * time.Second
)

// Config is the configuration of one destination. Only DSN is required.
type Config struct {
	Name    string        // name of the sink; "" means "clickhouse"
	DSN     string        // clickhouse://user:password@host:port/database; the default database is aidr
	Cluster string        // the cluster on which tables are replicated; "" means a single server
	Migrate bool          // whether the schema is brought up to date before the first write
	Rows    int           // largest number of rows of a block; 0 means DefaultRows
	Linger  time.Duration // time that entries wait for a block to fill; 0 means DefaultLinger
	TTL     time.Duration // time for which rows are kept, in whole days; 0 means DefaultTTL; negative means no limit
	// EventsTTL is the time for which archived events are kept, in whole days; 0 means DefaultEventsTTL.
	EventsTTL time.Duration
}

// Sink is a connectors.Sink. Calls of Write must not overlap; all other methods may be called at any time.
type Sink struct {
	config  Config
	options *clickhouse.Options
	dialect dialect
	insert  string

	migrating   sync.Mutex // held during a migration
	schemaReady bool       // the schema was brought up to date; guarded by migrating

	mu          sync.Mutex
	conn        clickhouse.Conn // nil until it is needed
	closed      bool
	writeHealth connectors.Health // after the last Write
	rowHealth   connectors.Health // after the last write of the inventory
	pingHealth  connectors.Health // after the last ping of Watch
}

// New returns a sink for the destination. It does not connect, because an unavailable server must not keep the engine from
// starting.
func New(c Config) (*Sink, error) {
	options, database, err := parseDSN(c.DSN)
	if err != nil {
		return nil, err
	}
	if err := checkName("cluster", c.Cluster); err != nil {
		return nil, err
	}
	if c.Name == "" {
		c.Name = "clickhouse"
	}
	if c.Rows == 0 {
		c.Rows = DefaultRows
	}
	if c.Rows < 1 || c.Rows > maxRows {
		return nil, fmt.Errorf("clickhouse rows %d: want 1 to %d", c.Rows, maxRows)
	}
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	d := dialect{database: database, cluster: c.Cluster, ttl: c.TTL, eventsTTL: c.EventsTTL}
	return &Sink{config: c, options: options, dialect: d, insert: insertStatement(d)}, nil
}

// Name returns the sink's name.
func (s *Sink) Name() string { return s.config.Name }

// String returns a description of the destination without the password.
func (s *Sink) String() string {
	return fmt.Sprintf("clickhouse://%s@%s/%s", s.options.Auth.Username, s.options.Addr[0], s.dialect.database)
}

// Profile describes a sink of rows, which gets fixed blocks and slows the engine down when it falls behind. It wants every
// finding, also those of shadow rules, every response, the triage of findings, and the audit. Watch migrates, if that is configured, and pings the server.
func (s *Sink) Profile() connectors.Profile {
	return connectors.Profile{
		Dead:       schema.DeadRow,
		MaxEntries: s.config.Rows,
		MaxBytes:   maxBytes,
		Linger:     s.config.Linger,
		Wants: func(e connectors.Entry) bool {
			return e.Finding != nil || e.Response != nil || e.Triage != nil || e.Audit != nil
		},
		Rows:  s.writeInventory,
		Watch: s.watch,
	}
}

// Write stores the entries; see connectors.Sink.
func (s *Sink) Write(ctx context.Context, entries []connectors.Entry) error {
	rows, failed := rowsOf(entries)
	responses, poison := responseRowsOf(entries)
	failed = append(failed, poison...)
	refused, err := s.writeRows(ctx, s.insert, rows)
	if err == nil {
		var more []connectors.Undelivered
		more, err = s.writeRows(ctx, insertResponses(s.dialect), responses)
		refused = append(refused, more...)
	}
	if err == nil {
		var more []connectors.Undelivered
		more, err = s.writeRecords(ctx, entries)
		refused = append(refused, more...)
	}
	s.updateHealth(ctx, &s.writeHealth, err)
	if err != nil {
		return fmt.Errorf("write findings to %v: %w", s, withAdvice(err, s.options.Auth.Username))
	}
	failed = append(failed, refused...)
	if len(failed) > 0 {
		return &connectors.Partial{Entries: failed}
	}
	return nil
}

// writeRows stores rows of one table, block by block, and returns those that were not stored. After an error the state of every row is
// unknown.
func (s *Sink) writeRows(ctx context.Context, insert string, rows []row) (failed []connectors.Undelivered, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	conn, err := s.connection()
	if err != nil {
		return nil, err
	}
	if err := s.ensureSchema(ctx); err != nil {
		return nil, err
	}
	w := &writer{conn: conn, insert: insert}
	for _, b := range blocks(rows, s.config.Rows) {
		if err := w.write(ctx, b); err != nil {
			if c, _ := classify(err); c == classSchema {
				s.forgetSchema() // it was dropped or never created: the next Write migrates
			}
			return nil, err
		}
	}
	return w.failed, nil
}

// ensureSchema migrates once, if that is configured.
func (s *Sink) ensureSchema(ctx context.Context) error {
	s.migrating.Lock()
	defer s.migrating.Unlock()
	if !s.config.Migrate || s.schemaReady {
		return nil
	}
	if _, err := s.Migrate(ctx); err != nil {
		return err
	}
	s.schemaReady = true
	return nil
}

// forgetSchema makes the next ensureSchema migrate again.
func (s *Sink) forgetSchema() {
	s.migrating.Lock()
	defer s.migrating.Unlock()
	s.schemaReady = false
}

// watch migrates, if that is configured, and pings the server at intervals until ctx ends, so that Health is correct while
// there is nothing to write.
func (s *Sink) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		s.updateHealth(ctx, &s.pingHealth, s.ping(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ping migrates, if that is configured, and reports an error if the server does not answer.
func (s *Sink) ping(ctx context.Context) error {
	conn, err := s.connection()
	if err != nil {
		return err
	}
	if err := s.ensureSchema(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	err = conn.Ping(ctx)
	if err != nil { // the pooled connection may have broken while it was idle; the next one is new
		err = conn.Ping(ctx)
	}
	if err != nil {
		return fmt.Errorf("ping %v: %w", s, err)
	}
	return nil
}

var errClosed = errors.New("the clickhouse sink is closed")

// connection returns the pool of connections, which dials when it is used.
func (s *Sink) connection() (clickhouse.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.conn == nil {
		conn, err := clickhouse.Open(s.options)
		if err != nil {
			return nil, fmt.Errorf("open %v: %w", s, err)
		}
		s.conn = conn
	}
	return s.conn, nil
}

// updateHealth sets h, a part of Health, after a call that returned err. If the caller ended the call, h is left as it is,
// because the error is not the server's.
func (s *Sink) updateHealth(ctx context.Context, h *connectors.Health, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		*h = connectors.Health{}
	case ctx.Err() != nil:
	default:
		if !h.Degraded {
			h.Since = time.Now()
		}
		h.Degraded, h.Reason = true, withAdvice(err, s.options.Auth.Username).Error()
	}
}

// Health is degraded if the last Write, or the last write of the inventory, failed, or else if the last ping of Watch did.
func (s *Sink) Health() connectors.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeHealth.Degraded {
		return s.writeHealth
	}
	if s.rowHealth.Degraded {
		return s.rowHealth
	}
	return s.pingHealth
}

// Close closes the connections. Later calls of Write fail.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.conn == nil {
		return nil
	}
	conn := s.conn
	s.conn = nil
	return conn.Close()
}
