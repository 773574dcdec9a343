// Package maxmind adds the country and the autonomous system of source addresses to events, from local files in MaxMind's
// format: those of MaxMind itself or of other providers. It makes no network requests.
//
// The result for an event depends on the files at the time of decoding, and not on the record alone: if the same record
// is read again after the files changed, it may get another country.
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
	// MaxFile is the largest file that is read, in bytes. The largest files on sale are a quarter of that.
	MaxFile = 2 << 30
	// DefaultInterval is the interval at which the files are checked for changes. They change once a day at most.
	DefaultInterval = 10 * time.Second
)

// Config configures a Database. At least one of the files is set.
type Config struct {
	Country string       // path of the file with countries; "" to add no countries
	ASN     string       // path of the file with autonomous systems, which may be the same; "" to add no systems
	Log     *slog.Logger // nil: no logging
}

// Database holds the contents of the files. It is safe for concurrent use.
type Database struct {
	cfg     Config
	loading sync.Mutex // one load at a time; guards seen
	seen    [2]version
	tables  atomic.Pointer[tables]
}

// version identifies the contents of a file, so that a change is noticed.
type version struct {
	size    int64
	changed time.Time
}

// tables holds the files as of one moment. They are read into memory and not mapped, because overwriting a mapped file
// could crash the process.
type tables struct {
	country, asn *maxminddb.Reader // nil if the file is not configured
}

// Open reads the files and returns their Database.
func Open(c Config) (*Database, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Country == "" && c.ASN == "" {
		return nil, errors.New("open enrichment: no file configured: name a file with countries or with autonomous systems")
	}
	d := &Database{cfg: c}
	return d, d.Reload()
}

// Reload reads the files that have changed. If one of them cannot be read, the Database keeps its previous contents.
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

// load reads a file into r, unless it is the version seen.
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
		return false, fmt.Errorf("open enrichment %q: not a regular file", name)
	case info.Size() > MaxFile:
		return false, fmt.Errorf("open enrichment %q: %d bytes are over the limit of %d", name, info.Size(), int64(MaxFile))
	}
	text := make([]byte, info.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		return false, fmt.Errorf("read enrichment %q: %w: the file may still be being written", name, err)
	}
	reader, err := maxminddb.OpenBytes(text)
	if err != nil {
		return false, fmt.Errorf("read enrichment %q: %w: name a file in MaxMind's format (.mmdb)", name, err)
	}
	*r, *seen = reader, now
	return true, nil
}

// Watch reloads the files when they change, until ctx ends.
func (d *Database) Watch(ctx context.Context) { d.watch(ctx, DefaultInterval) }

func (d *Database) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	logged := "" // the last error, so that a lasting one is logged once
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		previous := d.tables.Load()
		problem := ""
		if err := d.Reload(); err != nil {
			problem = err.Error()
		}
		switch {
		case problem != "" && problem != logged:
			d.cfg.Log.Warn("enrichment files cannot be reloaded, using the previous contents", "error", problem)
		case d.tables.Load() != previous:
			d.cfg.Log.Info("enrichment files reloaded")
		}
		logged = problem
	}
}

// maxCached is the number of addresses that a worker caches, at about 100 bytes each. When the cache is full, it is
// cleared.
const maxCached = 1 << 14

// location is the country and the autonomous system of an address.
type location struct {
	country string // ISO 3166-1 alpha-2; "" if unknown
	asn     int64  // 0 if unknown
}

// lookup is the state of one worker.
type lookup struct {
	db     *Database
	tables *tables // the source of the cached locations
	cached map[string]location
}

// Enricher returns a function that sets source.geo.country_iso_code and source.as.number of events that have a source.ip,
// if the field is not set yet. The function belongs to one worker. A cached address costs no allocation.
func (d *Database) Enricher() func(e *schema.Event) {
	l := &lookup{db: d, cached: map[string]location{}}
	return l.enrich
}

func (l *lookup) enrich(e *schema.Event) {
	ip := e.Text(schema.SourceIP)
	if ip == "" {
		return
	}
	if now := l.db.tables.Load(); now != l.tables || len(l.cached) >= maxCached {
		clear(l.cached)
		l.tables = now
	}
	p, ok := l.cached[ip]
	if !ok {
		p = l.tables.find(ip)
		l.cached[strings.Clone(ip)] = p
	}
	if p.country != "" && !e.Has(schema.SourceGeoCountryISOCode) {
		e.SetText(schema.SourceGeoCountryISOCode, p.country)
	}
	if p.asn != 0 && !e.Has(schema.SourceASNumber) {
		e.SetInt(schema.SourceASNumber, p.asn)
	}
}

// find returns the location of an address. It is unknown if the file is damaged there.
func (t *tables) find(text string) (p location) {
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

// countryOf reads a country in the form of MaxMind, or else in those of IPinfo and other providers.
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

// isCountry reports whether code has the form of a country code.
func isCountry(code string) bool {
	return len(code) == 2 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z'
}

// systemOf reads an autonomous system in the form of MaxMind, or else in that of IPinfo: AS64496.
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
