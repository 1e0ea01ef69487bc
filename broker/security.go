package broker

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/authn"
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/jwt"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
)

// Security is how the peers of a node's SASL listeners prove who they are.
type Security struct {
	// Sasl holds the settings of each listener, as many as Config.Listeners.All;
	// empty if none is SASL.
	Sasl []config.Sasl
	// Bootstrap are the SCRAM users of a new cluster, the same on each controller.
	Bootstrap config.BootstrapUsers
	// Secret feeds nonces and salts. A real host draws it from the system.
	Secret [32]byte
}

// saltBytes is the length of a bootstrap user's salt.
const saltBytes = 24

// CheckSecurity says what is missing before New can be called.
func (cfg *Config) CheckSecurity() error {
	for i := range cfg.Listeners.All {
		l := &cfg.Listeners.All[i]
		if !l.Protocol.SASL() {
			continue
		}
		if len(cfg.Security.Sasl) != len(cfg.Listeners.All) || cfg.Security.Secret == [32]byte{} {
			return fmt.Errorf("listener %s is %s: there are no settings for SASL, or no secret", l.Name, l.Protocol)
		}
		if l.Port == 0 { // of other nodes
			continue
		}
		if err := authn.Check(l.Name, &cfg.Security.Sasl[i]); err != nil {
			return err
		}
	}
	_, err := cfg.logins(security.NewNonces(cfg.Security.Secret))
	return err
}

// logins are how a node proves who it is; nil where it need not.
type logins struct{ brokers, controllers *authn.Login }

func (cfg *Config) logins(nonces *security.Nonces) (out logins, err error) {
	for _, side := range []struct {
		listener edge.Listener
		property string
		login    **authn.Login
	}{
		{cfg.Listeners.InterBroker, "sasl.mechanism.inter.broker.protocol", &out.brokers},
		{cfg.Listeners.Controllers, "sasl.mechanism.controller.protocol", &out.controllers},
	} {
		l := cfg.Listeners.Of(side.listener)
		if !l.Protocol.SASL() || side.login == &out.brokers && !cfg.IsBroker {
			continue
		}
		s := &cfg.Security.Sasl[side.listener]
		mechanism := s.InterBrokerMechanism
		if side.login == &out.controllers {
			mechanism = s.ControllerMechanism
		}
		if *side.login, err = authn.NewLogin(l.Name, side.property, mechanism, s, nonces); err != nil {
			return logins{}, err
		}
	}
	return out, nil
}

// set tells the caller of them. A login that there is none of is no Login at all.
func (l *logins) set(k *caller.Caller) {
	var brokers, controllers caller.Login
	if l.brokers != nil {
		brokers = l.brokers
	}
	if l.controllers != nil {
		controllers = l.controllers
	}
	k.SetLogins(brokers, controllers)
}

// secure sets up what a node with SASL listeners needs.
func (n *Node) secure(nonces *security.Nonces) {
	cfg := &n.cfg
	listeners := make(map[edge.Listener]*authn.Listener)
	for i := range cfg.Listeners.All {
		if l := &cfg.Listeners.All[i]; l.Protocol.SASL() {
			users := sasl.ScramUsers(brokerUsers{n})
			if l.Controller {
				users = controllerUsers{n}
			}
			listeners[edge.Listener(i)] = &authn.Listener{Sasl: cfg.Security.Sasl[i], Users: users}
		}
	}
	if len(listeners) == 0 {
		return
	}
	n.authn = authn.New(n.conns, listeners, nonces)
	var err error
	if n.logins, err = cfg.logins(nonces); err != nil {
		panic("broker: " + err.Error()) // CheckSecurity has not been asked
	}
	n.logins.set(n.caller)
}

// SetToken replaces the bearer token by which this node logs in at a listener. It
// is called between two steps.
func (n *Node) SetToken(l edge.Listener, token string) {
	if n.logins.brokers != nil && l == n.cfg.Listeners.InterBroker {
		n.logins.brokers.SetToken(token)
	}
	if n.logins.controllers != nil && l == n.cfg.Listeners.Controllers {
		n.logins.controllers.SetToken(token)
	}
}

// SetTokenKeys replaces the keys of the issuer of a SASL listener's tokens. It is
// called between two steps; what a node decides does not depend on it otherwise.
func (n *Node) SetTokenKeys(l edge.Listener, keys *jwt.KeySet) { n.authn.SetKeys(l, keys) }

// bootstrapUsers derives the credentials of a new cluster's users.
func (cfg *Config) bootstrapUsers(nonces *security.Nonces) (users []meta.ScramUser) {
	for _, u := range cfg.Security.Bootstrap {
		credential := sasl.NewScramCredential(u.Mechanism, u.Password, string(nonces.Bytes(saltBytes)), u.Iterations)
		users = append(users, meta.ScramUser{Name: u.Name, Mechanism: u.Mechanism, Credential: credential})
	}
	return users
}

// brokerUsers are the users that the broker's image knows.
type brokerUsers struct{ node *Node }

// ScramCredential implements sasl.ScramUsers.
func (u brokerUsers) ScramCredential(name string, m sasl.ScramMechanism) *sasl.ScramCredential {
	return u.node.image.ScramCredential(name, m)
}

// controllerUsers are the users that the controller's image knows. Before there
// is a cluster, controllers must be able to let each other in: with the users
// that it will be made with.
type controllerUsers struct{ node *Node }

// ScramCredential implements sasl.ScramUsers.
func (u controllerUsers) ScramCredential(name string, m sasl.ScramMechanism) *sasl.ScramCredential {
	if u.node.controller == nil {
		return nil
	}
	if image := u.node.controller.Image(); image.ClusterID != "" {
		return image.ScramCredential(name, m)
	}
	for i := range u.node.bootstrap {
		if b := &u.node.bootstrap[i]; b.Name == name && b.Mechanism == m {
			return &b.Credential
		}
	}
	return nil
}
