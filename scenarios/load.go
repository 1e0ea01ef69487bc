package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Load reads and checks a scenario. name is only used in errors and reports;
// nothing is read from it. The error is an *Error.
func Load(data []byte, name string) (*Scenario, error) {
	l := &loader{source: source{file: name}, places: map[string]*node{}}
	root, err := l.parse(data)
	if err != nil {
		return nil, err
	}
	s := &Scenario{File: name}
	if err := l.decodeStruct(root, "", "the scenario", reflect.ValueOf(s).Elem()); err != nil {
		return nil, err
	}
	if err := l.check(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Validate is Load for those who only want to know. The error is an *Error.
func Validate(data []byte, name string) error {
	_, err := Load(data, name)
	return err
}

// Node is one simulated machine.
type Node struct {
	Name       string // broker-1, controller-1
	ID         int32  // node.id: brokers from 1, controllers from 1001
	Zone       string
	Controller bool
	AddedBy    int // 1 + the index of the event that adds it; 0: it is there from the start
}

// controllerIDBase keeps the ids of controllers apart from those of brokers.
const controllerIDBase = 1000

// Nodes lists the machines: brokers by id, those that are added at the end, then
// controllers by id.
func (c *Cluster) Nodes() []Node {
	var out []Node
	broker := func(zone string, addedBy int) {
		id := len(out) + 1
		out = append(out, Node{Name: fmt.Sprintf("broker-%d", id), ID: int32(id), Zone: zone, AddedBy: addedBy})
	}
	for _, zone := range placement(c.Zones, c.Brokers.PerZone, c.Brokers.Count, c.Brokers.Nodes) {
		broker(zone, 0)
	}
	for _, added := range c.Brokers.Added {
		broker(added.Zone, added.Event+1)
	}
	for i, zone := range placement(c.Zones, c.Controllers.PerZone, c.Controllers.Count, c.Controllers.Nodes) {
		out = append(out, Node{Name: fmt.Sprintf("controller-%d", i+1), ID: int32(controllerIDBase + i + 1), Zone: zone, Controller: true})
	}
	return out
}

// brokerCount is how many brokers there are at the start.
func (c *Cluster) brokerCount() int64 {
	return c.Brokers.PerZone*int64(len(c.Zones)) + c.Brokers.Count + int64(len(c.Brokers.Nodes))
}

// placement gives the zone of each node: listed, zone after zone, or in turn.
func placement(zones []string, perZone, count int64, listed []string) []string {
	out := append([]string(nil), listed...)
	for _, zone := range zones {
		for range perZone {
			out = append(out, zone)
		}
	}
	for i := range count {
		out = append(out, zones[int(i)%len(zones)])
	}
	return out
}

// ClientZone is the zone of the client with this index in a group of clients.
func (c *Cluster) ClientZone(zone string, index int) string {
	if zone != "" {
		return zone
	}
	return c.Zones[index%len(c.Zones)]
}

// Inhabited tells whether a zone has a node or a client.
func (s *Scenario) Inhabited(zone string) bool {
	has := slices.ContainsFunc(s.Cluster.Nodes(), func(n Node) bool { return n.Zone == zone })
	client := func(at string, count int64) {
		for i := range int(count) {
			has = has || s.Cluster.ClientZone(at, i) == zone
		}
	}
	for i := range s.Workload.Producers {
		client(s.Workload.Producers[i].Zone, s.Workload.Producers[i].Count)
	}
	for i := range s.Workload.Consumers {
		client(s.Workload.Consumers[i].Zone, s.Workload.Consumers[i].Count)
	}
	return has
}

// legalName reports whether s can name a zone, a client or a scenario.
func legalName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == "" && s[0] != '-'
}

// legalTopic is Kafka's rule for topic names.
func legalTopic(s string) bool {
	return s != "." && s != ".." && len(s) <= 249 && s != "" &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}
