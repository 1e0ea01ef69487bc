package cli

import (
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/settings"
)

func byDefault(where string, pairs ...string) (list []settings.Given) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, settings.Given{KV: config.KV{Name: pairs[i], Value: pairs[i+1]}, Where: where})
	}
	return list
}

// devSession is the session of a broker on a developer's machine. After a kill
// the controller takes the old process for alive so long, and refuses the new
// one.
var devSession = []string{"broker.session.timeout.ms", "2000", "broker.heartbeat.interval.ms", "500"}

// devDefaults are the settings of --dev.
func devDefaults(data, listen string) []settings.Given {
	given := append(byDefault("--listen", "listeners", "PLAINTEXT://"+listen+",CONTROLLER://localhost:0"), byDefault("--data", "log.dirs", data)...)
	return append(given, byDefault("a default of --dev", append([]string{
		"node.id", "1",
		"process.roles", "broker,controller",
		"offsets.topic.replication.factor", "1",
		"group.initial.rebalance.delay.ms", "0",
	}, devSession...)...)...)
}

// controllersMax is how many nodes of a cluster on one machine are controllers
// too.
const controllersMax = 3

// clusterDefaults are what the nodes of a cluster on one machine have in common.
func clusterDefaults(nodes int) []string {
	copies := strconv.Itoa(min(nodes, 3))
	list := append([]string{
		"offsets.topic.replication.factor", copies,
		"default.replication.factor", copies,
		"group.initial.rebalance.delay.ms", "0",
	}, devSession...)
	if nodes >= 3 {
		list = append(list, "min.insync.replicas", "2")
	}
	return list
}
