package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// Environment variables of tests.
const (
	// EnvServer holds the DSN of a real server, which tests then use in place of an engine. Its user needs the right to
	// create databases.
	EnvServer = "AIDR_TEST_CLICKHOUSE"
	// EnvRequire lists the dependencies without which tests fail instead of being skipped; this package looks for
	// "clickhouse".
	EnvRequire = "AIDR_TEST_REQUIRE"

	envMissing = "AIDR_TEST_CLICKHOUSE_MISSING" // the reason for the lack of an engine; set by Test
	envOwn     = "AIDR_TEST_CLICKHOUSE_OWN"     // the DSN of the tested package's engine; set by Test

	installTimeout = 10 * time.Minute // 178 MB on a slow line
)

// TB is the part of testing.TB that this package uses. Importing testing would make it a part of the program.
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
// The engine is installed into the cache the first time. If AIDR_TEST_CLICKHOUSE names a server, no engine is started. If
// an engine cannot be started, tests that call ForTest are skipped with the reason, or fail if AIDR_TEST_REQUIRE contains
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
		e.Kill() // a clean stop is not needed: the data is removed next
		os.RemoveAll(dir)
	}, nil
}

// testPrefix is the prefix of the names of all databases of tests.
const testPrefix = "aidr_test_"

// ForTest returns the DSN of a server and of a new database for this test. The database does not exist yet: the test, or
// the code that it tests, creates it. The databases of an engine are removed with the engine; on a real server, the test
// drops its database.
func ForTest(tb TB) (dsn string) {
	tb.Helper()
	server := os.Getenv(EnvServer)
	if server == "" {
		server = os.Getenv(envOwn)
	}
	if server == "" {
		missing(tb, cmp.Or(os.Getenv(envMissing), "its TestMain does not call host.Test"))
		return ""
	}
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("%s: not a DSN", EnvServer) // the text may hold a password
	}
	u.Path = "/" + TestDatabase()
	return u.String()
}

// TestDatabase returns the name of a new database.
func TestDatabase() string {
	var b [8]byte
	rand.Read(b[:])
	return testPrefix + hex.EncodeToString(b[:])
}

// StartForTest starts an engine that the test may kill; it is ended with the test. Its user owns every database with a
// name from TestDatabase. If an engine is installed, StartForTest starts one even if AIDR_TEST_CLICKHOUSE is set, because
// a test must not kill a server that others use.
func StartForTest(tb TB, o Options) *Engine {
	tb.Helper()
	if _, err := Installed(); err != nil {
		missing(tb, cmp.Or(os.Getenv(envMissing), err.Error()))
		return nil
	}
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	o.Database = cmp.Or(o.Database, testPrefix+"*")
	e, err := Start(context.Background(), o)
	if err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	tb.Cleanup(e.Kill)
	return e
}

// missing skips the test, or fails it if EnvRequire demands clickhouse.
func missing(tb TB, reason string) {
	tb.Helper()
	if strings.Contains(os.Getenv(EnvRequire), "clickhouse") {
		tb.Fatalf("no clickhouse: %s", reason)
		return
	}
	tb.Skipf("no clickhouse: %s", reason)
}

// String describes the engine without its password.
func (e *Engine) String() string { return fmt.Sprintf("clickhouse engine %s at %s", Version, e.Addr) }
