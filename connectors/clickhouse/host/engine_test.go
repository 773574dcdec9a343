package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// open connects to dsn without its database, which may not exist yet.
func open(t *testing.T, dsn string) (driver.Conn, string) {
	t.Helper()
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	database := o.Auth.Database
	o.Auth.Database = ""
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, database
}

// exec1 executes one statement, and fails the test if that fails.
func exec1(t *testing.T, c driver.Conn, format string, args ...any) {
	t.Helper()
	if err := c.Exec(context.Background(), fmt.Sprintf(format, args...)); err != nil {
		t.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
}

// code returns the code of an error from ClickHouse, or 0.
func code(err error) int32 {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestEngineServes(t *testing.T) {
	c, db := open(t, ForTest(t))
	exec1(t, c, "CREATE DATABASE %s", db)
	exec1(t, c, "CREATE TABLE %s.t (a UInt64, at DateTime64(9, 'UTC')) ENGINE = ReplacingMergeTree ORDER BY a", db)
	b, err := c.PrepareBatch(context.Background(), "INSERT INTO "+db+".t (a, at)")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1767225600, 123456789).UTC()
	if err := errors.Join(b.Append(uint64(7), at), b.Append(uint64(7), at), b.Send()); err != nil {
		t.Fatal(err)
	}
	var n uint64
	var got time.Time
	if err := c.QueryRow(context.Background(), "SELECT count(), any(at) FROM "+db+".t FINAL").Scan(&n, &got); err != nil {
		t.Fatal(err)
	}
	if n != 1 || !got.Equal(at) {
		t.Errorf("got %d rows at %v, want 1 at %v", n, got, at)
	}
	exec1(t, c, "DROP DATABASE %s", db)
}

// The user may not reach outside sources, and the user without a password has almost no rights.
func TestRights(t *testing.T) {
	e := StartForTest(t, Options{})
	c, _ := open(t, e.DSN)
	ctx := context.Background()
	const denied = 497
	for _, q := range []string{
		"SELECT * FROM file('/etc/passwd', 'LineAsString')",
		"SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
		"SELECT * FROM remote('127.0.0.1:1', system.one)",
		"CREATE DATABASE elsewhere",
		"SYSTEM SHUTDOWN",
		"CREATE FUNCTION f AS (x) -> x",
	} {
		if err := c.Exec(ctx, q); code(err) != denied {
			t.Errorf("%s: got %v, want code %d", q, err, denied)
		}
	}
	db := TestDatabase()
	exec1(t, c, "CREATE DATABASE %s", db)
	exec1(t, c, "CREATE TABLE %s.t (a UInt64) ENGINE = MergeTree ORDER BY a", db)

	other, _ := open(t, "clickhouse://default@"+e.Addr)
	for _, q := range []string{
		"SELECT * FROM " + db + ".t",
		"SELECT * FROM file('/etc/passwd', 'LineAsString')",
		"CREATE DATABASE " + TestDatabase(),
	} {
		if err := other.Exec(ctx, q); code(err) != denied {
			t.Errorf("default: %s: got %v, want code %d", q, err, denied)
		}
	}
	wrong, _ := open(t, "clickhouse://aidr:wrong@"+e.Addr)
	if err := wrong.Ping(ctx); err == nil {
		t.Error("a wrong password is accepted")
	}
	for _, name := range []string{configFile, usersFile} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(e.cmd.Dir), filepath.Base(e.cmd.Dir), name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), e.Password) {
			t.Errorf("%s holds the password", name)
		}
	}
	if strings.Contains(e.String(), e.Password) {
		t.Error("String contains the password")
	}
}

func TestHTTPOnlyOnRequest(t *testing.T) {
	if e := StartForTest(t, Options{}); e.HTTPAddr != "" {
		t.Errorf("got HTTP at %s, want none", e.HTTPAddr)
	}
	e := StartForTest(t, Options{HTTP: true})
	resp, err := http.Get("http://" + e.HTTPAddr + "/ping")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "Ok.\n" {
		t.Errorf("got %q, want Ok.", body)
	}
}

// Data survives a clean stop and a kill.
func TestKeepsData(t *testing.T) {
	o := Options{Dir: t.TempDir(), Password: "the same for all"}
	db := TestDatabase()
	first := StartForTest(t, o)
	c, _ := open(t, first.DSN)
	exec1(t, c, "CREATE DATABASE %s", db)
	exec1(t, c, "CREATE TABLE %s.t (a UInt64) ENGINE = MergeTree ORDER BY a", db)
	exec1(t, c, "INSERT INTO %s.t VALUES (1)", db)
	c.Close()
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := StartForTest(t, o)
	c, _ = open(t, second.DSN)
	exec1(t, c, "INSERT INTO %s.t VALUES (2)", db)
	second.Kill()
	select {
	case <-second.Exited():
	default:
		t.Error("Kill returned before the engine had ended")
	}
	third := StartForTest(t, o)
	c, _ = open(t, third.DSN)
	var sum uint64
	if err := c.QueryRow(context.Background(), "SELECT sum(a) FROM "+db+".t").Scan(&sum); err != nil || sum != 3 {
		t.Errorf("got sum %d, %v; want 3", sum, err)
	}
}

func TestRefuses(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		if supported() != nil {
			t.Skip(supported())
		}
		if o.Dir == "" {
			o.Dir = t.TempDir()
		}
		e, err := Start(t.Context(), o)
		if err == nil {
			e.Kill()
			t.Fatalf("%+v: started", o)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	f(Options{User: "default"}, `user "default"`)
	f(Options{User: "x/><y"}, `user "x/><y"`)
	f(Options{Database: "a`b"}, "database \"a`b\"")
	f(Options{Library: "/does/not/exist.so"}, "/does/not/exist.so")
}

// TestEndsWithParent kills the parent process of an engine and waits for the end of the engine.
func TestEndsWithParent(t *testing.T) {
	if os.Getenv("AIDR_TEST_PARENT_DIR") != "" {
		e, err := Start(t.Context(), Options{Dir: os.Getenv("AIDR_TEST_PARENT_DIR")})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("ADDR %s\n", e.DSN)
		select {} // until killed
	}
	ForTest(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestEndsWithParent$")
	cmd.Env = append(os.Environ(), "AIDR_TEST_PARENT_DIR="+t.TempDir(), EnvServer+"=none")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dsn string
	if _, err := fmt.Fscanf(out, "ADDR %s\n", &dsn); err != nil {
		t.Fatal(err)
	}
	c, _ := open(t, dsn)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for deadline := time.Now().Add(orphanGrace + 5*time.Second); ; time.Sleep(20 * time.Millisecond) {
		again, _ := open(t, dsn)
		err := again.Ping(t.Context())
		again.Close()
		if err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the engine outlives its parent")
		}
	}
}
