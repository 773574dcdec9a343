package maxmind

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/aidr-engine/aidr/schema"
)

func write(t testing.TB, name string, text []byte, changed time.Time) {
	t.Helper()
	// Updaters, too, write a new file and rename it.
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name+".new", changed, changed); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func countries(t testing.TB, code string) []byte {
	return database(t,
		network{"192.0.2.0/24", map[string]any{"country": map[string]any{"iso_code": code}, "registered_country": map[string]any{"iso_code": "US"}}},
		network{"2001:db8::/32", map[string]any{"country_code": "CH"}},
		network{"198.51.100.0/25", map[string]any{"country": "AT"}},
		network{"203.0.113.0/24", map[string]any{"country": "Atlantis"}},
	)
}

func systems(t testing.TB) []byte {
	return database(t,
		network{"192.0.2.0/25", map[string]any{"autonomous_system_number": uint32(64496)}},
		network{"2001:db8::/32", map[string]any{"asn": "AS4200000000"}},
		network{"198.51.100.0/24", map[string]any{"asn": "none"}},
	)
}

// files writes both files and returns a configuration that names them.
func files(t testing.TB) Config {
	t.Helper()
	dir := t.TempDir()
	c := Config{Country: filepath.Join(dir, "country.mmdb"), ASN: filepath.Join(dir, "asn.mmdb")}
	write(t, c.Country, countries(t, "DE"), time.Unix(1000, 0))
	write(t, c.ASN, systems(t), time.Unix(1000, 0))
	return c
}

func open(t testing.TB, c Config) *Database {
	t.Helper()
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEnrich(t *testing.T) {
	both := files(t)
	f := func(c Config, ip, country string, asn int64) {
		t.Helper()
		enrich := open(t, c).Enricher()
		for range 2 { // the second time from the cache
			e := &schema.Event{}
			e.SetText(schema.SourceIP, ip)
			enrich(e)
			if got := e.Text(schema.SourceGeoCountryISOCode); got != country || e.Has(schema.SourceGeoCountryISOCode) != (country != "") {
				t.Errorf("%s: country: got %q, want %q", ip, got, country)
			}
			if got := e.Int(schema.SourceASNumber); got != asn || e.Has(schema.SourceASNumber) != (asn != 0) {
				t.Errorf("%s: system: got %d, want %d", ip, got, asn)
			}
		}
	}
	f(both, "192.0.2.1", "DE", 64496)
	f(both, "192.0.2.200", "DE", 0)
	f(both, "::ffff:192.0.2.1", "DE", 64496)
	f(both, "2001:db8::7", "CH", 4200000000)
	f(both, "198.51.100.9", "AT", 0)
	f(both, "203.0.113.1", "", 0)
	f(both, "10.0.0.1", "", 0)
	f(both, "no address", "", 0)
	f(both, "", "", 0)
	f(Config{Country: both.Country}, "192.0.2.1", "DE", 0)
	f(Config{ASN: both.ASN}, "192.0.2.1", "", 64496)
	f(Config{Country: both.Country, ASN: both.Country}, "192.0.2.1", "DE", 0)
}

// Fields that the producer has set are kept.
func TestProducersFieldsAreKept(t *testing.T) {
	e := &schema.Event{}
	e.SetText(schema.SourceIP, "192.0.2.1")
	e.SetText(schema.SourceGeoCountryISOCode, "FR")
	e.SetInt(schema.SourceASNumber, 1)
	open(t, files(t)).Enricher()(e)
	if e.Text(schema.SourceGeoCountryISOCode) != "FR" || e.Int(schema.SourceASNumber) != 1 {
		t.Errorf("got %q, %d", e.Text(schema.SourceGeoCountryISOCode), e.Int(schema.SourceASNumber))
	}
}

func TestEnrichAllocatesNothing(t *testing.T) {
	enrich := open(t, files(t)).Enricher()
	e := &schema.Event{}
	f := func(ip string) {
		e.Reset()
		e.SetText(schema.SourceIP, ip)
		enrich(e)
	}
	if n := testing.AllocsPerRun(100, func() { f("192.0.2.1"); f("10.0.0.1"); f("no address") }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestReload(t *testing.T) {
	c := files(t)
	d := open(t, c)
	enrich := d.Enricher()
	country := func() string {
		e := &schema.Event{}
		e.SetText(schema.SourceIP, "192.0.2.1")
		enrich(e)
		return e.Text(schema.SourceGeoCountryISOCode)
	}
	f := func(want, wantErr string) {
		t.Helper()
		err := d.Reload()
		if got := country(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if (err != nil) != (wantErr != "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("got error %v, want %q", err, wantErr)
		}
	}
	f("DE", "")
	write(t, c.Country, countries(t, "IT"), time.Unix(2000, 0))
	f("IT", "")
	write(t, c.Country, []byte("no database"), time.Unix(3000, 0))
	f("IT", "MaxMind's format")
	whole := countries(t, "SE")
	write(t, c.Country, whole[:len(whole)/2], time.Unix(4000, 0))
	f("IT", "MaxMind's format")
	write(t, c.Country, whole, time.Unix(5000, 0))
	f("SE", "")
	if err := os.Remove(c.Country); err != nil {
		t.Fatal(err)
	}
	f("SE", "no such file")
}

func TestOpenFails(t *testing.T) {
	f := func(c Config, want string) {
		t.Helper()
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	write(t, empty, nil, time.Unix(1, 0))
	f(Config{}, "no file configured")
	f(Config{Country: filepath.Join(dir, "none")}, "no such file")
	f(Config{ASN: dir}, "not a regular file")
	f(Config{ASN: empty}, "MaxMind's format")
}

func TestWatch(t *testing.T) {
	c := files(t)
	d := open(t, c)
	synctest.Test(t, func(t *testing.T) {
		go d.watch(t.Context(), time.Second)
		previous := d.tables.Load()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if d.tables.Load() != previous {
			t.Errorf("the files were reloaded although nothing changed")
		}
		write(t, c.ASN, systems(t), time.Unix(2000, 0))
		time.Sleep(time.Second)
		synctest.Wait()
		if d.tables.Load() == previous {
			t.Errorf("the files were not reloaded although one changed")
		}
	})
}

// A lookup in a damaged file gives a valid location or none, and never a panic.
func FuzzFile(f *testing.F) {
	f.Add(countries(f, "DE"), "192.0.2.1")
	f.Add(systems(f), "2001:db8::1")
	f.Fuzz(func(t *testing.T, text []byte, ip string) {
		r, err := maxminddb.OpenBytes(text)
		if err != nil {
			return
		}
		both := tables{country: r, asn: r}
		if p := both.find(ip); p.country != "" && !isCountry(p.country) || p.asn < 0 {
			t.Errorf("got %+v", p)
		}
	})
}
