package host

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// The environment of tests.
const (
	// EnvServer names a real server's DSN, whose user may create databases: tests use it in place of an engine.
	EnvServer = "AIDR_TEST_CLICKHOUSE"
	// EnvRequire lists what must not be skipped; "clickhouse" is this package's word.
	EnvRequire = "AIDR_TEST_REQUIRE"

	envMissing = "AIDR_TEST_CLICKHOUSE_MISSING" // why there is none; set by Test
	envOwn     = "AIDR_TEST_CLICKHOUSE_OWN"     // the DSN of the package's own engine; set by Test

	installTimeout = 10 * time.Minute // 178 MB on a slow line
)

// TB is the part of testing.TB that is needed here; the package must not bring `testing` into the program.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
	TempDir() string
	Cleanup(func())
}

// Test runs a package's tests with one engine for all of them:
//
//	func TestMain(m *testing.M) { os.Exit(host.Test(m.Run)) }
//
// The engine is installed into the cache the first time. Where AIDR_TEST_CLICKHOUSE names a server none is started.
// Where there can be none, tests that call ForTest are skipped with the reason, or fail if AIDR_TEST_REQUIRE contains
// "clickhouse".
func Test(run func() int) int {
	Main()
	if os.Getenv(EnvServer) != "" {
		return run()
	}
	stop, err := startForTests()
	if err != nil {
		os.Setenv(envMissing, err.Error())
		return run()
	}
	defer stop()
	return run()
}

func startForTests() (stop func(), err error) {
	library, err := Installed()
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
		defer cancel()
		if library, err = Install(ctx, "", nil); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "aidr-clickhouse-")
	if err != nil {
		return nil, err
	}
	e, err := Start(context.Background(), Options{Dir: dir, Library: library, Database: testPrefix + "*"})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	os.Setenv(envOwn, e.DSN)
	return func() {
		e.Kill() // what it holds goes with the directory
		os.RemoveAll(dir)
	}, nil
}

// testPrefix begins the names of all databases that tests make.
const testPrefix = "aidr_test_"

// ForTest returns the DSN of a server with a database of the test's own in it, which does not exist yet: the test, or
// what it tests, creates it. An engine's databases go with the engine; on a real server the test drops its own.
func ForTest(tb TB) (dsn string) {
	tb.Helper()
	server := os.Getenv(EnvServer)
	if server == "" {
		server = os.Getenv(envOwn)
	}
	if server == "" {
		missing(tb, def(os.Getenv(envMissing), "its TestMain does not call host.Test"))
		return ""
	}
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("%s: not a DSN", EnvServer) // the text may hold a password
	}
	u.Path = "/" + TestDatabase()
	return u.String()
}

// TestDatabase is a new database's name.
func TestDatabase() string {
	var b [8]byte
	rand.Read(b[:])
	return testPrefix + hex.EncodeToString(b[:])
}

// StartForTest starts an engine that the test may kill; it goes with the test. Its user owns every database whose name
// TestDatabase gives. With AIDR_TEST_CLICKHOUSE set it starts one all the same, if one is installed: a test must not kill a server
// that others use.
func StartForTest(tb TB, o Options) *Engine {
	tb.Helper()
	if _, err := Installed(); err != nil {
		missing(tb, def(os.Getenv(envMissing), err.Error()))
		return nil
	}
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	o.Database = def(o.Database, testPrefix+"*")
	e, err := Start(context.Background(), o)
	if err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	tb.Cleanup(e.Kill)
	return e
}

func missing(tb TB, why string) {
	tb.Helper()
	if strings.Contains(os.Getenv(EnvRequire), "clickhouse") {
		tb.Fatalf("no clickhouse: %s", why)
		return
	}
	tb.Skipf("no clickhouse: %s", why)
}

// String describes the engine without its password.
func (e *Engine) String() string { return fmt.Sprintf("clickhouse engine %s at %s", Version, e.Addr) }
