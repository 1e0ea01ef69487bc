package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// dialRecorder remembers the last connection that failed: the errors of the
// client do not always say which address it was.
type dialRecorder struct {
	lock sync.Mutex
	// place is the address and where it comes from.
	place string
	err   error
}

// OnBrokerConnect is kgo's hook for each attempt to connect and log in.
func (d *dialRecorder) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		return
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	d.place, d.err = net.JoinHostPort(meta.Host, fmt.Sprint(meta.Port)), err
	if meta.NodeID >= 0 {
		d.place += fmt.Sprintf(", which the cluster advertises for broker %d", meta.NodeID)
	}
}

func (d *dialRecorder) last() (place string, err error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.place, d.err
}

// Explain sorts an error that came out of the client and says in one line which
// place it is about and what can be done. Errors that are sorted stay as they are.
func (c *Client) Explain(err error) error {
	var sorted *problem.Problem
	if err == nil || errors.As(err, &sorted) {
		return err
	}
	err = problem.Cause(err)
	place, dialErr := c.dials.last()
	if place == "" {
		place = strings.Join(c.Seeds(), ",")
	}
	if refusal := c.loginRefusal(err); refusal != "" {
		return problem.Refused("broker %s: %s", place, refusal)
	}
	if out, ok := problem.FromKafka(err, "cluster", ""); ok {
		return out
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	// franz-go has no error value for this.
	if strings.Contains(err.Error(), "broker is too old") || strings.Contains(err.Error(), "request key is unknown") {
		return problem.Refused("the brokers do not know this request: they are older than it, or leave it out")
	}
	// A deadline hides why nobody could be reached in that time.
	if dialErr != nil && (errors.Is(err, context.DeadlineExceeded) || !isConnectionError(err)) {
		err = dialErr
	}
	reason, cure := c.diagnose(err)
	return problem.Unreachable("broker %s: %s; %s", place, reason, cure)
}

// loginRefusal says why a broker lets nobody in who logs in like this; empty if
// that is not what it said.
func (c *Client) loginRefusal(err error) string {
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed) && c.values.text("sasl-user") == "":
		return "login refused: the token has ended, is for somebody else, or nobody trusted has signed it"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "login refused: wrong user or password, or the mechanism is another (--sasl-mechanism)"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "login refused: it does not take this mechanism; name another with --sasl-mechanism"
	case errors.Is(err, kerr.IllegalSaslState):
		return "this listener takes no login; leave out the --sasl settings, or name another port"
	}
	return ""
}

// Reason is what went wrong with a connection, without place and cure.
func (c *Client) Reason(err error) string {
	reason, _ := c.diagnose(err)
	return reason
}

// isConnectionError says whether an error tells by itself what is wrong with a
// connection.
func isConnectionError(err error) bool {
	var dns *net.DNSError
	var operation *net.OpError
	var eof *kgo.ErrFirstReadEOF
	var header tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) || errors.As(err, &operation) || errors.As(err, &eof) ||
		errors.As(err, &header) || errors.As(err, &certificate)
}

// alertOperation is the operation of an error by which crypto/tls reports what
// the peer said; its type is not exported.
const alertOperation = "remote error"

// endOfDial is in the text of a kgo.ErrFirstReadEOF whose connection ended in TLS's
// handshake; its kind is not exported.
const endOfDial = "immediately after a dial"

// diagnose says what went wrong with a connection, and the cure.
func (c *Client) diagnose(err error) (reason, cure string) {
	var dns *net.DNSError
	var header tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var eof *kgo.ErrFirstReadEOF
	var network net.Error
	var operation *net.OpError
	switch {
	case errors.As(err, &dns):
		return "the name " + dns.Name + " is not known", "check --brokers (" + c.values["brokers"].Place + ") and the advertised listeners"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "is the broker running, and is this its address? (" + c.values["brokers"].Place + ")"
	case errors.Is(err, syscall.ECONNRESET): // brokerd and load balancers end so what they do not serve yet
		return "it reset the connection", "it may be starting still, or speak something else than Kafka"
	case errors.As(err, &header), errors.As(err, &eof) && strings.Contains(eof.Error(), endOfDial):
		return "the listener does not speak TLS", "leave out --tls or name the TLS port"
	case errors.As(err, &unknown):
		return "its certificate is signed by nobody that is trusted", "name the authority with --tls-ca"
	case errors.As(err, &host):
		return host.Error(), "name a host of the certificate, or --tls-server-name"
	case errors.As(err, &operation) && operation.Op == alertOperation:
		return operation.Err.Error(), "a client certificate may be wanted, or another one: --tls-cert and --tls-key"
	case errors.As(err, &eof) && c.values.wantsTLS():
		return "it closed the connection at once", "it may want a login (--sasl-user)"
	case errors.As(err, &eof):
		return "it closed the connection at once", "it may want TLS (--tls) or a login (--sasl-user)"
	case errors.Is(err, io.EOF) && (c.values.text("sasl-user") != "" || c.values.text("sasl-mechanism") != ""):
		return "it closed the connection during the login", "check user, password and --sasl-mechanism"
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		if c.values.wantsTLS() {
			return "no answer within " + c.Timeout().String(), "is this a TLS listener, and no firewall between? or allow more with --timeout"
		}
		return "no answer within " + c.Timeout().String(), "check the address and the firewall, or allow more with --timeout"
	}
	return err.Error(), "does it speak Kafka, and without TLS or a login?"
}
