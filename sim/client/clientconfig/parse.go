package clientconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// inert is a group of properties that the Java client knows and the simulated
// one does not act upon, with the one reason that they share.
type inert struct {
	why   string
	names string
}

func inertRows[T any](groups []inert) []config.Row[T] {
	var rows []config.Row[T]
	for _, group := range groups {
		for _, name := range strings.Fields(group.names) {
			rows = append(rows, config.Row[T]{Property: config.Property{Name: name, Type: config.TypeString, Doc: group.why}})
		}
	}
	return rows
}

// DefaultProducer returns the Java producer's defaults.
func DefaultProducer() Producer { return producerTable.Defaults() }

// DefaultConsumer returns the Java consumer's defaults.
func DefaultConsumer() Consumer { return consumerTable.Defaults() }

// ProducerProperties is the table of producer properties, by name.
func ProducerProperties() []*config.Property { return producerTable.All() }

// ConsumerProperties is the table of consumer properties, by name.
func ConsumerProperties() []*config.Property { return consumerTable.All() }

// ParseProducer returns the defaults changed by overrides. As in the Java
// client, idempotence is on by default and quietly off when acks, retries or
// max.in.flight contradict it, unless it was asked for: then it is an error.
func ParseProducer(overrides []KV) (Producer, error) {
	p := DefaultProducer()
	if err := producerTable.Apply(overrides, &p); err != nil {
		return Producer{}, err
	}
	if p.EnableIdempotence {
		if err := checkIdempotence(&p); err != nil {
			if given(overrides, "enable.idempotence") {
				return Producer{}, err
			}
			p.EnableIdempotence = false
		}
	}
	if err := settleDelivery(&p, given(overrides, "delivery.timeout.ms")); err != nil {
		return Producer{}, err
	}
	return p, nil
}

// checkIdempotence holds KIP-679's conditions. Five requests in flight is what
// the broker's memory of sequence numbers covers (KAFKA-5494).
func checkIdempotence(p *Producer) error {
	fail := func(name, value, problem string) error {
		return &config.Error{What: "producer property", Name: name, Value: value, Problem: problem}
	}
	switch {
	case p.Acks != AcksAll:
		return fail("acks", p.Acks.String(), "must be all when enable.idempotence is true")
	case p.MaxInFlight > 5:
		return fail("max.in.flight.requests.per.connection", strconv.FormatInt(p.MaxInFlight, 10),
			"must be at most 5 when enable.idempotence is true")
	case p.Retries == 0:
		return fail("retries", "0", "must not be 0 when enable.idempotence is true")
	}
	return nil
}

// settleDelivery holds KIP-91's rule: a batch must have time to linger and to
// be sent once. A default that breaks the rule is raised, as the Java client
// does; a value that was given is an error.
func settleDelivery(p *Producer, asked bool) error {
	least := min(p.LingerMillis+p.RequestTimeoutMillis, 1<<31-1)
	if p.DeliveryTimeoutMillis >= least {
		return nil
	}
	if asked {
		return &config.Error{What: "producer property", Name: "delivery.timeout.ms",
			Value:   strconv.FormatInt(p.DeliveryTimeoutMillis, 10),
			Problem: fmt.Sprintf("must be at least linger.ms + request.timeout.ms (%d)", least)}
	}
	p.DeliveryTimeoutMillis = least
	return nil
}

// ParseConsumer returns the defaults changed by overrides.
func ParseConsumer(overrides []KV) (Consumer, error) {
	c := DefaultConsumer()
	if err := consumerTable.Apply(overrides, &c); err != nil {
		return Consumer{}, err
	}
	fail := func(name string, value int64, problem string) error {
		return &config.Error{What: "consumer property", Name: name, Value: strconv.FormatInt(value, 10), Problem: problem}
	}
	switch {
	case c.HeartbeatIntervalMillis >= c.SessionTimeoutMillis:
		return Consumer{}, fail("heartbeat.interval.ms", c.HeartbeatIntervalMillis,
			fmt.Sprintf("must be less than session.timeout.ms (%d)", c.SessionTimeoutMillis))
	case c.FetchMaxWaitMillis >= c.RequestTimeoutMillis:
		return Consumer{}, fail("fetch.max.wait.ms", c.FetchMaxWaitMillis,
			fmt.Sprintf("must be less than request.timeout.ms (%d), or every idle fetch times out", c.RequestTimeoutMillis))
	}
	return c, nil
}

func given(overrides []KV, name string) bool {
	return slices.ContainsFunc(overrides, func(kv KV) bool { return kv.Name == name })
}

func setByName[E ~uint8 | ~int8](dst *E, names []string, text string) bool {
	i := slices.Index(names, text)
	if i < 0 {
		return false
	}
	*dst = E(i)
	return true
}

// Set implements config.Choice.
func (a *Acks) Set(text string) bool {
	switch text {
	case "all", "-1":
		*a = AcksAll
	case "0":
		*a = AcksNone
	case "1":
		*a = AcksLeader
	default:
		return false
	}
	return true
}

// Set implements config.Choice.
func (c *Compression) Set(text string) bool { return setByName(c, compressionNames[:], text) }

// Set implements config.Choice.
func (p *Partitioner) Set(text string) bool { return setByName(p, partitionerNames[:], text) }

// Set implements config.Choice.
func (m *MetadataRecovery) Set(text string) bool { return setByName(m, recoveryNames[:], text) }

// Set implements config.Choice.
func (r *OffsetReset) Set(text string) bool { return setByName(r, resetNames[:], text) }

// Set implements config.Choice.
func (i *Isolation) Set(text string) bool { return setByName(i, isolationNames[:], text) }

// Set implements config.Choice; text is a list of class names.
func (a *Assignors) Set(text string) bool {
	*a = Assignors{}
	for _, name := range strings.Split(text, ",") {
		i := slices.Index(assignorNames[:], strings.TrimSpace(name))
		if i < 0 || a.Count == AssignorsMax {
			return false
		}
		a.List[a.Count] = Assignor(i)
		a.Count++
	}
	return true
}

// String implements config.Choice.
func (a *Assignors) String() string {
	names := make([]string, 0, a.Count)
	for _, assignor := range a.All() {
		names = append(names, assignor.String())
	}
	return strings.Join(names, ",")
}
