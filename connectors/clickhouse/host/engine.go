package host

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultUser and DefaultDatabase are what an engine is started with where Options does not say.
	DefaultUser     = "aidr"
	DefaultDatabase = "aidr"

	// DefaultMemory is the engine's limit in bytes: it needs 204 MB idle and 440 MB for blocks of 100,000 rows.
	DefaultMemory = 2 << 30

	// startTimeout is how long an engine may take until it listens: 0.1 s when the library is in the page cache, some
	// seconds when 566 MB come from a slow disk.
	startTimeout = 60 * time.Second

	// stopTimeout is how long Stop waits before it kills: a clean stop takes 5 s while a client is connected.
	stopTimeout = 12 * time.Second

	// maxErrorText is how much of the engine's stderr an error quotes, in bytes.
	maxErrorText = 4 << 10
)

// Options say how to start an engine. Only Dir has no default.
type Options struct {
	Dir      string    // its configuration and data; made where absent. One engine at a time may use it.
	Library  string    // path of libchdb.so; default: where Install puts it
	User     string    // default DefaultUser
	Password string    // default: generated, see Engine.DSN
	Database string    // the one that User owns; "aidr*" means all whose name begins so. Default DefaultDatabase
	Grants   []string  // what User may do, as in GRANT statements without the user: "SELECT ON aidr.*". Default: all in Database
	Memory   int64     // bytes, default DefaultMemory
	Port     int       // native protocol, 0: any free one
	HTTP     bool      // listen for HTTP as well
	HTTPPort int       // 0: any free one
	Log      io.Writer // the engine's stderr; default: kept for errors only
}

// Engine is a running engine. It must be ended with Stop or Kill.
type Engine struct {
	Addr     string // host:port of the native protocol
	HTTPAddr string // "" without HTTP
	DSN      string // for clickhouse-go, with user, password and database
	Password string

	cmd    *exec.Cmd
	stdin  *os.File // both are held until the engine ends: closing them ends it
	hold   *os.File
	exited chan struct{} // closed when the process is gone; then err is set
	err    error
	stderr *tail
	once   sync.Once
}

// Start starts an engine in a child process and returns when it accepts connections. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	e := &Engine{Password: o.Password, exited: make(chan struct{}), stderr: &tail{also: o.Log}}
	ports, err := e.launch(o)
	if err != nil {
		return nil, fmt.Errorf("start clickhouse engine: %w", err)
	}
	defer ports.Close()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tcp, http, err := e.awaitPorts(ctx, ports)
	if err != nil {
		e.Kill()
		return nil, fmt.Errorf("start clickhouse engine: %w%s", err, e.stderr.quote())
	}
	e.Addr = net.JoinHostPort("127.0.0.1", tcp)
	if o.HTTP {
		e.HTTPAddr = net.JoinHostPort("127.0.0.1", http)
	}
	dsn := url.URL{Scheme: "clickhouse", User: url.UserPassword(o.User, o.Password), Host: e.Addr}
	if !strings.HasSuffix(o.Database, "*") {
		dsn.Path = "/" + o.Database
	}
	e.DSN = dsn.String()
	return e, nil
}

var (
	userName     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	databaseName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}\*?$`)
)

// complete fills what is not said and refuses what cannot be: names become XML elements and SQL.
func (o *Options) complete() (err error) {
	if err := supported(); err != nil {
		return err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("start clickhouse engine: directory: %w", err)
	}
	o.User = def(o.User, DefaultUser)
	o.Database = def(o.Database, DefaultDatabase)
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if !userName.MatchString(o.User) || o.User == "default" {
		return fmt.Errorf("start clickhouse engine: user %q: want a lower-case name other than default", o.User)
	}
	if !databaseName.MatchString(o.Database) {
		return fmt.Errorf("start clickhouse engine: database %q: want a lower-case name", o.Database)
	}
	if o.Password == "" {
		var b [24]byte
		rand.Read(b[:]) // never fails since Go 1.24
		o.Password = base64.RawURLEncoding.EncodeToString(b[:])
	}
	if o.Library == "" {
		if o.Library, err = Installed(); err != nil {
			return err
		}
	}
	return nil
}

func def(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// launch starts the child and returns the pipe on which it tells its ports.
func (e *Engine) launch(o Options) (ports *os.File, err error) {
	if err := os.MkdirAll(filepath.Join(o.Dir, dataDir), 0o700); err != nil {
		return nil, err
	}
	set := settings{users: filepath.Join(o.Dir, usersFile), user: o.User, password: o.Password, database: o.Database, rights: o.Grants, memory: o.Memory}
	if err := set.write(o.Dir); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var p pipes
	defer p.closeChilds()
	if err := p.open(); err != nil {
		return nil, err
	}
	e.stdin, e.hold = p.stdinW, p.holdW
	e.cmd = exec.Command(self, append([]string{hostArgument, o.Library}, o.arguments()...)...)
	e.cmd.Dir = o.Dir
	e.cmd.Env = []string{"TZ=UTC", "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + o.Dir}
	e.cmd.Stdin, e.cmd.Stdout, e.cmd.Stderr = p.stdinR, e.stderr, e.stderr
	e.cmd.ExtraFiles = []*os.File{p.portsW, p.holdR} // 3 and 4 in the child
	ownGroup(e.cmd)
	if err := e.cmd.Start(); err != nil {
		p.closeOurs()
		return nil, err
	}
	go func() {
		defer close(e.exited)
		e.err = e.cmd.Wait()
	}()
	return p.portsR, nil
}

// pipes are the three between parent and child. All ends close on exec, so that no other child holds them open.
type pipes struct {
	stdinR, stdinW, portsR, portsW, holdR, holdW *os.File
}

func (p *pipes) open() (err error) {
	for _, ends := range [][2]**os.File{{&p.stdinR, &p.stdinW}, {&p.portsR, &p.portsW}, {&p.holdR, &p.holdW}} {
		if *ends[0], *ends[1], err = os.Pipe(); err != nil {
			p.closeOurs()
			return err
		}
	}
	return nil
}

func (p *pipes) closeChilds() { closeAll(p.stdinR, p.portsW, p.holdR) }
func (p *pipes) closeOurs()   { closeAll(p.stdinW, p.portsR, p.holdW) }

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// arguments is the engine's command line: listen, tell the ports on fd 3, then read fd 4 until it is closed.
func (o *Options) arguments() []string {
	const (
		port = "getServerPort('tcp_port')"
		hold = "INSERT INTO FUNCTION null('line String') FROM INFILE '/proc/self/fd/4' FORMAT LineAsString"
	)
	args := []string{
		"--listen_host=127.0.0.1",
		"--tcp_port=" + strconv.Itoa(o.Port),
		"--path=" + filepath.Join(o.Dir, dataDir),
		"--config-file=" + filepath.Join(o.Dir, configFile),
	}
	listen, tell := "SYSTEM START LISTEN TCP; ", "toString("+port+"), '0'"
	if o.HTTP {
		args = append(args, "--http_port="+strconv.Itoa(o.HTTPPort))
		listen += "SYSTEM START LISTEN HTTP; "
		tell = "toString(" + port + "), toString(getServerPort('http_port'))"
	}
	return append(args, "--query="+listen+"SELECT "+tell+" INTO OUTFILE '/proc/self/fd/3' TRUNCATE FORMAT TSV; "+hold)
}

// awaitPorts reads the line "tcp<TAB>http" that the child writes when it listens.
func (e *Engine) awaitPorts(ctx context.Context, r *os.File) (tcp, http string, err error) {
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1) // the reader ends at the latest when the caller closes r
	go func() {
		line, err := bufio.NewReaderSize(r, 64).ReadString('\n')
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			<-e.exited
			return "", "", e.endedEarly()
		}
		tcp, http, _ = strings.Cut(strings.TrimSpace(a.line), "\t")
		if n, err := strconv.Atoi(tcp); err != nil || n <= 0 {
			return "", "", fmt.Errorf("it told port %q", tcp)
		}
		return tcp, http, nil
	case <-e.exited:
		return "", "", e.endedEarly()
	case <-ctx.Done():
		return "", "", fmt.Errorf("it does not listen: %w", ctx.Err())
	}
}

func (e *Engine) endedEarly() error {
	return fmt.Errorf("it ended before it listened (%v)", e.cmd.ProcessState)
}

// Exited is closed when the engine's process is gone, by Stop, by Kill, or by itself.
func (e *Engine) Exited() <-chan struct{} { return e.exited }

// Stop ends the engine cleanly and waits for it; one that does not end in time is killed. Close clients first: with one
// connected it takes about 5 s.
func (e *Engine) Stop() error {
	e.release()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-e.exited:
		if e.err != nil {
			return fmt.Errorf("stop clickhouse engine: %w%s", e.err, e.stderr.quote())
		}
		return nil
	case <-timer.C:
		e.Kill()
		return fmt.Errorf("stop clickhouse engine: killed, it had not ended after %v", stopTimeout)
	}
}

// Kill ends the engine at once, as kill -9 does, and waits until it is gone.
func (e *Engine) Kill() {
	if err := killGroup(e.cmd.Process); err != nil {
		_ = e.cmd.Process.Kill() // the group is gone; then so is the process
	}
	<-e.exited
	e.release()
}

func (e *Engine) release() {
	e.once.Do(func() { closeAll(e.hold, e.stdin) })
}

// tail keeps the last maxErrorText bytes that are written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
	also io.Writer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if n := len(t.last) - maxErrorText; n > 0 {
		t.last = append(t.last[:0], t.last[n:]...)
	}
	if t.also != nil {
		return t.also.Write(p)
	}
	return len(p), nil
}

// quote is what an error adds of it: nothing where nothing was written.
func (t *tail) quote() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(string(t.last)); text != "" {
		return ": it wrote: " + text
	}
	return ""
}
