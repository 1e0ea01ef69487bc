package authn

import (
	"fmt"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
)

// Login is this node's own side of exchanges; it implements caller.Login.
type Login struct {
	mechanism      sasl.Mechanism
	name, password string
	token          string // for OAUTHBEARER
	nonces         *security.Nonces
	salted         sasl.Salted
}

// NewLogin returns how this node logs in at a listener by a mechanism; property
// is the one that names the mechanism.
func NewLogin(listener, property string, mechanism sasl.Mechanism, s *config.Sasl, nonces *security.Nonces) (*Login, error) {
	if mechanism == "" {
		return nil, fmt.Errorf("listener %s is SASL: %s must say how this node authenticates itself there", listener, property)
	}
	if mechanism == sasl.OAuthBearer {
		if s.Token.Value == "" {
			return nil, fmt.Errorf("%s is %s: sasl.oauthbearer.token.endpoint.url must name the file with this node's token", property, mechanism)
		}
		return &Login{mechanism: mechanism, token: s.Token.Value}, nil
	}
	entry := s.Login(mechanism)
	if entry == nil || entry.Username == "" {
		return nil, fmt.Errorf("%s is %s: listener.name.%s.%s.sasl.jaas.config must have a username and a password",
			property, mechanism, strings.ToLower(listener), strings.ToLower(mechanism))
	}
	return &Login{mechanism: mechanism, name: entry.Username, password: entry.Password, nonces: nonces}, nil
}

// SetToken replaces the bearer token, for the exchanges that begin from now on.
func (l *Login) SetToken(token string) { l.token = token }

// Mechanism implements caller.Login.
func (l *Login) Mechanism() sasl.Mechanism { return l.mechanism }

// Begin implements caller.Login.
func (l *Login) Begin() sasl.Client {
	if m, ok := sasl.ScramMechanismOf(l.mechanism); ok {
		return sasl.NewScramClient(m, l.name, l.password, l.nonces.Nonce(), &l.salted)
	}
	if l.mechanism == sasl.OAuthBearer {
		return sasl.NewOAuthBearerClient(l.token)
	}
	return sasl.NewPlainClient(l.name, l.password)
}
