package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed-604ea8f1/windtunnel/broker"
)

const (
	headerTime   = 5 * time.Second // for a request's header to arrive
	shutdownTime = 2 * time.Second // for requests under way at the end
)

// Viewer runs a function between two steps of a node.
type Viewer interface {
	View(ctx context.Context, look func()) error
}

// Server is the admin port of one node.
type Server struct {
	socket net.Listener
	http   http.Server
	done   chan error
}

// Serve listens on an address until Close.
func Serve(address string, view Viewer, node *broker.Node) (*Server, error) {
	socket, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("windtunnel.admin.listener: %w", err)
	}
	look := func(ctx context.Context) (s *snapshot, err error) {
		seen := make(chan *snapshot, 1)
		if err := view.View(ctx, func() { seen <- take(node) }); err != nil {
			return nil, err
		}
		return <-seen, nil
	}
	s := &Server{socket: socket, done: make(chan error, 1)}
	s.http = http.Server{Handler: handler(look), ReadHeaderTimeout: headerTime}
	go func() { s.done <- s.http.Serve(socket) }()
	return s, nil
}

// Address is where the server listens.
func (s *Server) Address() string { return s.socket.Addr().String() }

// Close ends the server.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if ended := <-s.done; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func handler(look func(context.Context) (*snapshot, error)) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{look}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		// A node that cannot be looked at in time is not well.
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
		defer cancel()
		_, err := look(ctx)
		answer(w, err)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
		defer cancel()
		s, err := look(ctx)
		if err == nil && !s.ready {
			err = errors.New("the cluster does not take this node for alive yet")
		}
		answer(w, err)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok") // the client has gone if it fails
}
