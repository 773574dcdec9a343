// Package maxmind says of addresses in which country they are and to which autonomous system they belong, from files in
// MaxMind's format that the user names: MaxMind's own, or those of others who write the same form. It asks no network.
//
// What an event gets depends on the files as they are at that moment: they are knowledge of the day, not of the record.
package maxmind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/aidr-engine/aidr/schema"
)

const (
	// MaxFile is the largest file that is read, in bytes: the largest that are sold are a quarter of that.
	MaxFile = 2 << 30
	// DefaultEvery is how often the files are looked at for a change. They change once a day at most.
	DefaultEvery = 10 * time.Second
)

// Config of a Database. At least one file is named.
type Config struct {
	Country string       // file that tells countries; "" for none
	ASN     string       // file that tells autonomous systems; "" for none. It may be the same.
	Log     *slog.Logger // nil: nothing is logged
}

// Database is what the files say. It may be used by all workers at once.
type Database struct {
	cfg     Config
	loading sync.Mutex // one load at a time; guards seen
	seen    [2]version
	tables  atomic.Pointer[tables]
}

// version is how a file looked when it was read.
type version struct {
	size    int64
	changed time.Time
}

// tables are the files of one moment. They are in memory, not mapped: a file that is written over while it is read
// would end the process.
type tables struct {
	country, asn *maxminddb.Reader // nil where no file is named
}

// Open reads the files.
func Open(c Config) (*Database, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Country == "" && c.ASN == "" {
		return nil, errors.New("open enrichment: no file is named")
	}
	d := &Database{cfg: c}
	return d, d.Reload()
}

// Reload reads files that changed. Where one can not be read, what was read before stands.
func (d *Database) Reload() error {
	d.loading.Lock()
	defer d.loading.Unlock()
	next, seen := tables{}, d.seen
	if old := d.tables.Load(); old != nil {
		next = *old
	}
	country, err := load(d.cfg.Country, &seen[0], &next.country)
	if err != nil {
		return err
	}
	asn, err := load(d.cfg.ASN, &seen[1], &next.asn)
	if err != nil || !country && !asn {
		return err
	}
	d.seen = seen
	d.tables.Store(&next)
	return nil
}

// load reads a file into r if it is another one than seen.
func load(name string, seen *version, r **maxminddb.Reader) (changed bool, err error) {
	if name == "" {
		return false, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return false, fmt.Errorf("open enrichment: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("open enrichment: %w", err)
	}
	now := version{info.Size(), info.ModTime()}
	switch {
	case *r != nil && now == *seen:
		return false, nil
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("open enrichment %q: it is no file", name)
	case info.Size() > MaxFile:
		return false, fmt.Errorf("open enrichment %q: %d bytes are more than %d", name, info.Size(), int64(MaxFile))
	}
	text := make([]byte, info.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		return false, fmt.Errorf("read enrichment %q: %w: it may be being written", name, err)
	}
	made, err := maxminddb.OpenBytes(text)
	if err != nil {
		return false, fmt.Errorf("read enrichment %q: %w: name a file in MaxMind's format (.mmdb)", name, err)
	}
	*r, *seen = made, now
	return true, nil
}

// Watch reloads files that change until ctx ends.
func (d *Database) Watch(ctx context.Context) { d.watch(ctx, DefaultEvery) }

func (d *Database) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := d.tables.Load()
		why := ""
		if err := d.Reload(); err != nil {
			why = err.Error()
		}
		switch {
		case why != "" && why != said:
			d.cfg.Log.Warn("enrichment goes on with what was read before", "error", why)
		case d.tables.Load() != before:
			d.cfg.Log.Info("enrichment was read again")
		}
		said = why
	}
}

// maxCached is how many addresses a worker remembers; then it forgets all. Some 100 bytes each.
const maxCached = 1 << 14

// place is what is known of an address.
type place struct {
	country string // ISO 3166-1 alpha-2, "" where it is not known
	asn     int64  // 0 where it is not known
}

// lookup is one worker's.
type lookup struct {
	db     *Database
	of     *tables // whose answers are cached
	cached map[string]place
}

// Enricher returns, for one worker, what sets source.geo.country_iso_code and source.as.number of events that have a
// source.ip and not yet the field. An address that was asked before costs no allocation.
func (d *Database) Enricher() func(e *schema.Event) {
	l := &lookup{db: d, cached: map[string]place{}}
	return l.enrich
}

func (l *lookup) enrich(e *schema.Event) {
	ip := e.Text(schema.SourceIP)
	if ip == "" {
		return
	}
	if now := l.db.tables.Load(); now != l.of || len(l.cached) >= maxCached {
		clear(l.cached)
		l.of = now
	}
	p, known := l.cached[ip]
	if !known {
		p = l.of.find(ip)
		l.cached[strings.Clone(ip)] = p
	}
	if p.country != "" && !e.Has(schema.SourceGeoCountryISOCode) {
		e.SetText(schema.SourceGeoCountryISOCode, p.country)
	}
	if p.asn != 0 && !e.Has(schema.SourceASNumber) {
		e.SetInt(schema.SourceASNumber, p.asn)
	}
}

// find looks an address up. Damage in a file is nothing known.
func (t *tables) find(text string) (p place) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return p
	}
	ip = ip.Unmap().WithZone("")
	if t.country != nil {
		p.country = countryOf(t.country.Lookup(ip))
	}
	if t.asn != nil {
		p.asn = systemOf(t.asn.Lookup(ip))
	}
	return p
}

// countryOf reads a country as MaxMind writes it, else as IPinfo and others do.
func countryOf(r maxminddb.Result) string {
	if !r.Found() {
		return ""
	}
	for _, path := range [...][]any{{"country", "iso_code"}, {"country_code"}, {"country"}} {
		var code string
		if r.DecodePath(&code, path...) == nil && isCountry(code) {
			return code
		}
	}
	return ""
}

func isCountry(code string) bool {
	return len(code) == 2 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z'
}

// systemOf reads an autonomous system as MaxMind writes it, else as IPinfo does: AS64496.
func systemOf(r maxminddb.Result) int64 {
	if !r.Found() {
		return 0
	}
	var number uint32
	if r.DecodePath(&number, "autonomous_system_number") == nil && number != 0 {
		return int64(number)
	}
	var text string
	if r.DecodePath(&text, "asn") != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "AS"), 10, 32)
	if err != nil {
		return 0
	}
	return int64(n)
}
