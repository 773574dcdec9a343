// Package clickhouse stores findings in ClickHouse. It is right whatever is sent again: rows hold absolute values,
// findings is a ReplacingMergeTree over revision, and the views read it with FINAL. A token per block, from its outbox
// positions and content, spares the server the work where a block comes twice; correctness does not stand on it.
//
//	entries -> lines (bad times and names are poison at once)
//	        -> cut into blocks: rows, months
//	        -> INSERT with a token   -- retry class --> error: the same entries come again
//	                                 -- row class ----> halve until the bad rows stand alone: connectors.Partial
//
// For findings: 1,000 to 100,000 rows a block, one block a second. It is not made for raw events.
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
	// DefaultRows is the largest block: 440 MB on the server at 100,000, a tenth of it here.
	DefaultRows = 10_000
	// DefaultLinger is how long entries may wait for company: ClickHouse wants about one block a second and table.
	DefaultLinger = time.Second
	// maxBytes is how much of the outbox a block holds at most.
	maxBytes = 16 << 20
	// maxRows: a larger block takes more memory than it saves time.
	maxRows = 100_000

	// watchEvery is how often Watch asks, and askTimeout how long it waits for an answer.
	watchEvery = 5 * time.Second
	askTimeout = 5 * time.Second
)

// Config is one destination.
type Config struct {
	Name    string        // of the sink; default "clickhouse"
	DSN     string        // clickhouse://user:password@host:port/database; default database "aidr"
	Cluster string        // tables are replicated on it; "" for a single server
	Migrate bool          // before the first write
	Rows    int           // most rows of a block, default DefaultRows
	Linger  time.Duration // default DefaultLinger
	TTL     time.Duration // whole days; 0: DefaultTTL, negative: rows are kept for ever
}

// Sink is a connectors.Sink. Write must not overlap; everything else may be called at any time.
type Sink struct {
	config  Config
	options *clickhouse.Options
	dialect dialect
	insert  string

	schema sync.Mutex // one migration at a time
	ready  bool       // the schema is there; schema guards it

	mu     sync.Mutex
	conn   clickhouse.Conn // nil until it is needed
	closed bool
	wrote  connectors.Health // as the last write was
	asked  connectors.Health // as Watch last found the server
}

// New checks the configuration. It connects to nothing: a server that is away must not keep the engine from starting.
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
	d := dialect{database: database, cluster: c.Cluster, ttl: c.TTL}
	return &Sink{config: c, options: options, dialect: d, insert: insertStatement(d)}, nil
}

// Name is the sink's name.
func (s *Sink) Name() string { return s.config.Name }

// String describes the destination without its password.
func (s *Sink) String() string {
	return fmt.Sprintf("clickhouse://%s@%s/%s", s.options.Auth.Username, s.options.Addr[0], s.dialect.database)
}

// Profile implements connectors.Sink: every finding is stored, shadow findings too.
func (s *Sink) Profile() connectors.Profile {
	return connectors.Profile{
		Dead:       schema.DeadRow,
		MaxEntries: s.config.Rows,
		MaxBytes:   maxBytes,
		Linger:     s.config.Linger,
		Wants:      func(e connectors.Entry) bool { return e.Finding != nil },
		Watch:      s.watch,
	}
}

// Write stores the entries; see connectors.Sink.
func (s *Sink) Write(ctx context.Context, entries []connectors.Entry) error {
	good, failed := lines(entries)
	err := s.write(ctx, good, &failed)
	s.note(ctx, &s.wrote, err)
	if err != nil {
		return fmt.Errorf("write findings to %v: %w", s, explain(err, s.options.Auth.Username))
	}
	if len(failed) > 0 {
		return &connectors.Partial{Entries: failed}
	}
	return nil
}

func (s *Sink) write(ctx context.Context, good []line, failed *[]connectors.Undelivered) error {
	if len(good) == 0 {
		return nil
	}
	conn, err := s.connection()
	if err != nil {
		return err
	}
	if err := s.makeReady(ctx); err != nil {
		return err
	}
	w := &writer{conn: conn, insert: s.insert}
	for _, b := range cut(good, s.config.Rows) {
		if err := w.write(ctx, b); err != nil {
			if c, _ := classify(err); c == classSchema {
				s.setReady(false) // dropped, or never made: the next Write migrates
			}
			return err
		}
	}
	*failed = append(*failed, w.failed...)
	return nil
}

// makeReady migrates once, where that is configured.
func (s *Sink) makeReady(ctx context.Context) error {
	s.schema.Lock()
	defer s.schema.Unlock()
	if !s.config.Migrate || s.ready {
		return nil
	}
	if _, err := s.Migrate(ctx); err != nil {
		return err
	}
	s.ready = true
	return nil
}

func (s *Sink) setReady(ready bool) {
	s.schema.Lock()
	defer s.schema.Unlock()
	s.ready = ready
}

// watch migrates, where that is configured, and then asks the server now and then whether it is there, so that Health
// is true while there is nothing to write. It returns when ctx ends.
func (s *Sink) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		s.note(ctx, &s.asked, s.ask(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Sink) ask(ctx context.Context) error {
	conn, err := s.connection()
	if err != nil {
		return err
	}
	if err := s.makeReady(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = conn.Ping(ctx)
	if err != nil { // perhaps a connection that broke long ago: the next one is new
		err = conn.Ping(ctx)
	}
	if err != nil {
		return fmt.Errorf("ask %v: %w", s, err)
	}
	return nil
}

var errClosed = errors.New("the clickhouse sink is closed")

// connection returns the pool, which dials when it is used.
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

// note keeps what Health shows. What its caller ended says nothing about the server.
func (s *Sink) note(ctx context.Context, h *connectors.Health, err error) {
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
		h.Degraded, h.Reason = true, explain(err, s.options.Auth.Username).Error()
	}
}

// Health is the zero Health while the last write went in and the server answered.
func (s *Sink) Health() connectors.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrote.Degraded {
		return s.wrote
	}
	return s.asked
}

// Close gives the connections back.
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
