package decision

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// Limits of the connections. Without them, clients that send slowly, or nothing, hold memory and file descriptors for as long
// as they like.
const (
	headerTime = 10 * time.Second
	readTime   = 30 * time.Second
	idleTime   = 5 * time.Minute // longer than the pauses of a gateway's pool
	maxHeader  = 128 << 10       // bytes; Envoy's own limit for the headers of a request is 60 KiB
	// MaxConnections is the number of open connections of a listener: those of the pools of many gateways. Further ones wait in
	// the kernel's queue.
	MaxConnections = 4096
)

// Addresses are the addresses of a Server: each host:port, or "" for no listener.
type Addresses struct {
	HTTP, GRPC string
	TLS        *tls.Config // nil: without TLS
}

// Listener is a Server that accepts connections.
type Listener struct {
	http       *http.Server
	grpc       *grpc.Server
	HTTP, GRPC net.Addr // as bound; nil: no listener
}

// Listen opens the listeners and serves until Close.
func (s *Server) Listen(a Addresses) (*Listener, error) {
	l := &Listener{}
	if a.HTTP != "" {
		tcp, err := net.Listen("tcp", a.HTTP)
		if err != nil {
			return nil, fmt.Errorf("open the listener for decisions (decisions.listen): %w", err)
		}
		l.HTTP = tcp.Addr()
		l.http = &http.Server{
			Handler: s.Handler(), ReadHeaderTimeout: headerTime, ReadTimeout: readTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
			TLSConfig: a.TLS, ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		}
		go s.serve(l.http, netutil.LimitListener(tcp, MaxConnections))
	}
	if a.GRPC != "" {
		tcp, err := net.Listen("tcp", a.GRPC)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the gRPC listener for decisions (decisions.grpc): %w", err), l.Close())
		}
		l.GRPC = tcp.Addr()
		opts := []grpc.ServerOption{
			grpc.MaxRecvMsgSize(2 * maxQuestion), grpc.MaxConcurrentStreams(1000), grpc.ConnectionTimeout(headerTime),
			grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime}),
		}
		if a.TLS != nil {
			opts = append(opts, grpc.Creds(credentials.NewTLS(a.TLS)))
		}
		l.grpc = grpc.NewServer(opts...)
		s.Register(l.grpc)
		go func() {
			if err := l.grpc.Serve(netutil.LimitListener(tcp, MaxConnections)); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				s.opts.Log.Error("listener failed", "listener", "decisions.grpc", "error", err)
			}
		}()
	}
	return l, nil
}

func (s *Server) serve(server *http.Server, l net.Listener) {
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "") // the certificate is in TLSConfig
	} else {
		err = server.Serve(l)
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.opts.Log.Error("listener failed", "listener", "decisions", "error", err)
	}
}

// Close closes the listeners and all connections.
func (l *Listener) Close() (err error) {
	if l.http != nil {
		err = l.http.Close()
	}
	if l.grpc != nil {
		l.grpc.Stop()
	}
	return err
}
