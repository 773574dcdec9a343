package api

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of the connections of every listener. Without them, clients that send slowly, or nothing, hold memory and file
// descriptors for as long as they like.
const (
	// headerTime is the time that a client has to send the headers of its request.
	headerTime = 10 * time.Second
	// readTime is the time that a client has to send its whole request. No request is larger than maxBody.
	readTime = 30 * time.Second
	// idleTime is how long a connection stays open between two requests: longer than the usual scrape interval of 15 s to
	// 60 s, so that Prometheus keeps its connection.
	idleTime = 2 * time.Minute
	// maxHeader is the maximum size of the headers of a request, in bytes. Headers of scrapers and probes are a few hundred.
	maxHeader = 16 << 10
	// MaxConnections is the maximum number of open connections of one listener: many times those of scrapers and probes,
	// and few enough for the usual limit of 1,024 open files.
	MaxConnections = 128
)

// Server is an HTTP server whose connections have limits.
type Server struct {
	http http.Server
	opts ServerOptions
}

// ServerOptions are the options of a Server.
type ServerOptions struct {
	Log *slog.Logger
	// WriteTime bounds the time from a request to the end of its response; 0 is for responses that last, as those of tail.
	WriteTime time.Duration
	TLS       *tls.Config // nil: plain HTTP
	// Refused is called for each connection that is closed because MaxConnections are open; may be nil.
	Refused func()
}

// NewServer returns a server of h.
func NewServer(h http.Handler, opts ServerOptions) *Server {
	s := &Server{opts: opts, http: http.Server{
		Handler: withoutBody(h), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: opts.WriteTime,
		IdleTimeout: idleTime, MaxHeaderBytes: maxHeader, TLSConfig: opts.TLS, Protocols: new(http.Protocols), ConnContext: withCaller,
		ErrorLog: slog.NewLogLogger(opts.Log.Handler(), slog.LevelDebug),
	}}
	s.http.Protocols.SetHTTP1(true) // HTTP/2 would multiply the requests of one connection
	return s
}

// withoutBody ends readTime for a request without a body once its headers are there. Otherwise the context of a request
// that lasts longer, such as that of tail, would be cancelled.
func withoutBody(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			http.NewResponseController(w).SetReadDeadline(time.Time{}) // an error means that the connection is closed
		}
		h.ServeHTTP(w, r)
	})
}

// Serve accepts connections until Close. name is the name of the listener in the log.
func (s *Server) Serve(l net.Listener, name string) {
	l = &limited{Listener: l, server: s, name: name, slots: make(chan struct{}, MaxConnections)}
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(l, "", "") // the certificate is in TLSConfig
	} else {
		err = s.http.Serve(l)
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.opts.Log.Error("listener failed", "listener", name, "error", err)
	}
}

// Close closes the listener and all connections.
func (s *Server) Close() error { return s.http.Close() }

// limited is a listener that closes new connections while too many are open. In the kernel's queue they
// would wait for as long as the open ones like, and a probe could not distinguish that from a process that hangs.
type limited struct {
	net.Listener
	server *Server
	name   string
	slots  chan struct{} // one element for each open connection
	full   bool          // the last connection was refused; used by Accept only
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			l.full = false
			return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
		}
		c.Close()
		if l.server.opts.Refused != nil {
			l.server.opts.Refused()
		}
		if !l.full { // once per change
			l.full = true
			l.server.opts.Log.Warn("too many open connections, new ones are refused", "listener", l.name, "most", MaxConnections)
		}
	}
}

// limitedConn frees its slot when it is closed.
type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
