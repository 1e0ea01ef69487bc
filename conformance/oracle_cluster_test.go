//go:build jvm

package conformance

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func configScript(o *oracle) {
	const topic, broker = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
	version := max(o.ranges[int16(kmsg.DescribeConfigs)].min, o.ranges[int16(kmsg.DescribeConfigs)].max-o.pass)
	describe := func(name string, kind kmsg.ConfigResourceType, resource func(s *side) string, names ...string) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.IncludeSynonyms, req.IncludeDocumentation = true, false
			req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: resource(s), ConfigNames: names}}
			return req
		})
	}
	_ = version
	is := func(name string) func(*side) string { return func(*side) string { return name } }
	orders := func(s *side) string { return s.nameOf("orders") }
	describe("topic", topic, orders)
	describe("some of a topic", topic, orders, "retention.ms", "no.such.config", "segment.bytes")
	describe("none of a topic", topic, orders, []string{}...)
	describe("unknown topic", topic, is("nowhere"))
	describe("bad topic", topic, is("a b"))
	describe("empty topic", topic, is(""))
	describe("this broker", broker, is("1"), "log.retention.ms", "message.max.bytes", "log.cleaner.threads", "no.such.config", "min.insync.replicas", "node.id", "log.dirs")
	describe("all brokers", broker, is(""))
	describe("another broker", broker, is("2"))
	describe("a broker of another name", broker, is("one"))
	describe("a group", 32, is("g"))
	describe("an unknown type", 99, is("x"))
	describe("a logger", 8, is("1"), "none")
	describe("client metrics", 16, is("x"))
	listResourcesScript(o) // before there are groups with configs

	type op = kmsg.IncrementalAlterConfigOp
	const set, remove, add, subtract = op(0), op(1), op(2), op(3)
	alter := func(name string, kind kmsg.ConfigResourceType, resource func(s *side) string, validate bool, changes ...kmsg.IncrementalAlterConfigsRequestResourceConfig) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			req.ValidateOnly = validate
			req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kind, ResourceName: resource(s), Configs: changes}}
			return req
		})
	}
	change := func(name string, o op, value *string) kmsg.IncrementalAlterConfigsRequestResourceConfig {
		return kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Op: o, Value: value}
	}
	alter("set", topic, orders, false, change("retention.bytes", set, pointer("1000000")))
	alter("set to an invalid value", topic, orders, false, change("retention.ms", set, pointer("soon")))
	alter("set to null", topic, orders, false, change("retention.ms", set, nil))
	alter("unknown", topic, orders, false, change("no.such.config", set, pointer("1")))
	alter("delete", topic, orders, false, change("retention.bytes", remove, nil))
	alter("delete what is not set", topic, orders, false, change("flush.ms", remove, nil))
	alter("delete what is unknown", topic, orders, false, change("no.such.config", remove, nil))
	alter("append to a list", topic, orders, false, change("cleanup.policy", add, pointer("compact")))
	alter("append what is there", topic, orders, false, change("cleanup.policy", add, pointer("compact")))
	alter("append to what is no list", topic, orders, false, change("retention.ms", add, pointer("1")))
	alter("subtract", topic, orders, false, change("cleanup.policy", subtract, pointer("delete")))
	alter("subtract what is not there", topic, orders, false, change("cleanup.policy", subtract, pointer("delete")))
	alter("unknown operation", topic, orders, false, change("retention.ms", 9, pointer("1")))
	alter("the same twice", topic, orders, false, change("retention.ms", set, pointer("1")), change("retention.ms", set, pointer("2")))
	alter("validate only", topic, orders, true, change("retention.ms", set, pointer("77")))
	alter("nothing", topic, orders, false)
	alter("empty name", topic, orders, false, change("", set, pointer("1")))
	alter("unknown topic", topic, is("nowhere"), false, change("retention.ms", set, pointer("1")))
	alter("bad topic", topic, is("a b"), false, change("retention.ms", set, pointer("1")))
	alter("empty topic", topic, is(""), false, change("retention.ms", set, pointer("1")))
	alter("broker", broker, is("1"), false, change("log.cleaner.backoff.ms", set, pointer("15000")))
	alter("all brokers", broker, is(""), false, change("log.retention.ms", set, pointer("100000000")))
	alter("broker, read-only", broker, is("1"), false, change("node.id", set, pointer("5")))
	alter("broker, unknown", broker, is("1"), false, change("no.such.config", set, pointer("5")))
	alter("another broker", broker, is("7"), false, change("log.retention.ms", set, pointer("1")))
	alter("broker of another name", broker, is("one"), false, change("log.retention.ms", set, pointer("1")))
	alter("unknown type", 99, is("x"), false, change("a", set, pointer("1")))
	alter("group", 32, func(s *side) string { return s.nameOf("g") }, false, change("consumer.session.timeout.ms", set, pointer("50000")))
	o.ask("the same resource twice", func(s *side) kmsg.Request {
		one := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: topic, ResourceName: orders(s), Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{change("retention.ms", set, pointer("5"))}}
		return &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{one, one}}
	})
	describe("topic, altered", topic, orders, "retention.ms", "retention.bytes", "cleanup.policy", "flush.ms")
	describe("this broker, altered", broker, is("1"), "log.retention.ms", "log.cleaner.backoff.ms")
	describe("all brokers, altered", broker, is(""))
	alter("all brokers, back", broker, is(""), false, change("log.retention.ms", remove, nil))
	alter("broker, back", broker, is("1"), false, change("log.cleaner.backoff.ms", remove, nil))
	replace := func(name string, kind kmsg.ConfigResourceType, resource func(s *side) string, validate bool, configs ...kmsg.AlterConfigsRequestResourceConfig) {
		o.ask(name, func(s *side) kmsg.Request {
			return &kmsg.AlterConfigsRequest{ValidateOnly: validate, Resources: []kmsg.AlterConfigsRequestResource{{ResourceType: kind, ResourceName: resource(s), Configs: configs}}}
		})
	}
	replace("set", topic, orders, false, kmsg.AlterConfigsRequestResourceConfig{Name: "segment.bytes", Value: pointer("2000000")})
	replace("null", topic, orders, false, kmsg.AlterConfigsRequestResourceConfig{Name: "segment.bytes"})
	replace("invalid", topic, orders, false, kmsg.AlterConfigsRequestResourceConfig{Name: "segment.bytes", Value: pointer("x")})
	replace("unknown topic", topic, is("nowhere"), false)
	replace("unknown type", 99, is("x"), false)
	replace("validate only", topic, orders, true)
	describe("topic, replaced", topic, orders, "retention.ms", "segment.bytes", "cleanup.policy")
	replace("nothing", topic, orders, false)
}

func listResourcesScript(o *oracle) {
	list := func(name string, types ...int8) {
		o.look(name, func(*side) kmsg.Request { return &kmsg.ListConfigResourcesRequest{ResourceTypes: types} })
	}
	if o.ranges[int16(kmsg.ListConfigResources)].max-o.pass >= 1 {
		list("brokers", 4)
		list("brokers and loggers", 4, 8)
		list("unknown", 99)
		list("groups", 32)
	}
	list("client metrics", 16)
}

func clusterScript(o *oracle) {
	version := func(key kmsg.Key) int16 { r := o.ranges[int16(key)]; return max(r.min, r.max-o.pass) }
	cluster := func(name string, change func(r *kmsg.DescribeClusterRequest)) {
		o.look(name, func(*side) kmsg.Request {
			req := kmsg.NewPtrDescribeClusterRequest()
			change(req)
			return req
		})
	}
	cluster("plain", func(*kmsg.DescribeClusterRequest) {})
	cluster("with operations", func(r *kmsg.DescribeClusterRequest) { r.IncludeClusterAuthorizedOperations = true })
	if version(kmsg.DescribeCluster) >= 1 {
		cluster("controllers", func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 2 })
		cluster("unknown endpoints", func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 9 })
	}
	if version(kmsg.DescribeCluster) >= 2 {
		cluster("with fenced brokers", func(r *kmsg.DescribeClusterRequest) { r.IncludeFencedBrokers = true })
	}
	elect := func(name string, kind int8, topics func(s *side) []kmsg.ElectLeadersRequestTopic) {
		o.ask(name, func(s *side) kmsg.Request {
			return &kmsg.ElectLeadersRequest{ElectionType: kind, TimeoutMillis: 5000, Topics: topics(s)}
		})
	}
	some := func(name string, partitions ...int32) func(s *side) []kmsg.ElectLeadersRequestTopic {
		return func(s *side) []kmsg.ElectLeadersRequestTopic {
			return []kmsg.ElectLeadersRequestTopic{{Topic: s.nameOf(name), Partitions: partitions}}
		}
	}
	elect("preferred, led already", 0, some("orders", 0, 1))
	elect("unknown partition", 0, some("orders", 9))
	elect("unknown topic", 0, some("nowhere", 0))
	elect("nothing", 0, func(*side) []kmsg.ElectLeadersRequestTopic { return []kmsg.ElectLeadersRequestTopic{} })
	elect("everything", 0, func(*side) []kmsg.ElectLeadersRequestTopic { return nil })
	if version(kmsg.ElectLeaders) >= 1 {
		elect("unclean, led already", 1, some("orders", 0))
		elect("unknown type", 7, some("orders", 0))
	}
	reassignScript(o)
	dirs := func(name string, topics func(s *side) []kmsg.DescribeLogDirsRequestTopic) {
		o.look(name, func(s *side) kmsg.Request { return &kmsg.DescribeLogDirsRequest{Topics: topics(s)} })
	}
	dirs("some", func(s *side) []kmsg.DescribeLogDirsRequestTopic {
		return []kmsg.DescribeLogDirsRequestTopic{{Topic: s.nameOf("log"), Partitions: []int32{0, 1, 9}}, {Topic: "nowhere", Partitions: []int32{0}}}
	})
	dirs("unknown", func(s *side) []kmsg.DescribeLogDirsRequestTopic {
		return []kmsg.DescribeLogDirsRequestTopic{{Topic: "nowhere", Partitions: []int32{0}}}
	})
	dirs("none", func(s *side) []kmsg.DescribeLogDirsRequestTopic { return []kmsg.DescribeLogDirsRequestTopic{} })
	quorum := func(name, topic string, partition int32) {
		o.look(name, func(*side) kmsg.Request {
			return &kmsg.DescribeQuorumRequest{Topics: []kmsg.DescribeQuorumRequestTopic{{Topic: topic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: partition}}}}}
		})
	}
	quorum("metadata", "__cluster_metadata", 0)
	quorum("unknown topic", "nowhere", 0)
	quorum("unknown partition", "__cluster_metadata", 1)
	features := func(name, feature string, level int16, change func(r *kmsg.UpdateFeaturesRequest)) {
		o.ask(name, func(*side) kmsg.Request {
			u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			u.Feature, u.MaxVersionLevel = feature, level
			u.UpgradeType = 1
			req := &kmsg.UpdateFeaturesRequest{TimeoutMillis: 5000, ValidateOnly: true, FeatureUpdates: []kmsg.UpdateFeaturesRequestFeatureUpdate{u}}
			if change != nil {
				change(req)
			}
			return req
		})
	}
	if version(kmsg.UpdateFeatures) >= 1 {
		features("unknown", "no.such.feature", 1, nil)
		features("too high", "metadata.version", 999, nil)
		features("negative", "metadata.version", -1, nil)
		features("empty", "", 1, nil)
		features("unknown type", "metadata.version", 20, func(r *kmsg.UpdateFeaturesRequest) { r.FeatureUpdates[0].UpgradeType = 9 })
	}
	features("none", "", 0, func(r *kmsg.UpdateFeaturesRequest) { r.FeatureUpdates = nil })
	o.ask("unknown", func(*side) kmsg.Request { return &kmsg.UnregisterBrokerRequest{BrokerID: 77} })
	o.ask("negative", func(*side) kmsg.Request { return &kmsg.UnregisterBrokerRequest{BrokerID: -1} })
}

func reassignScript(o *oracle) {
	move := func(name, topic string, partition int32, replicas []int32) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
			req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: s.nameOf(topic), Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: partition, Replicas: replicas}}}}
			return req
		})
	}
	move("where it is", "orders", 0, []int32{1})
	move("to nobody", "orders", 0, []int32{})
	move("to an unknown broker", "orders", 0, []int32{1, 5})
	move("to a negative broker", "orders", 0, []int32{-3})
	move("to the same twice", "orders", 0, []int32{1, 1})
	move("cancel nothing", "orders", 0, nil)
	move("unknown partition", "orders", 9, []int32{1})
	move("unknown topic", "nowhere", 0, []int32{1})
	o.ask("the same twice", func(s *side) kmsg.Request {
		p := kmsg.AlterPartitionAssignmentsRequestTopicPartition{Partition: 0, Replicas: []int32{1}}
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: s.nameOf("orders"), Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{p, p}}}
		return req
	})
	list := func(name string, topics func(s *side) []kmsg.ListPartitionReassignmentsRequestTopic) {
		o.look(name, func(s *side) kmsg.Request {
			return &kmsg.ListPartitionReassignmentsRequest{TimeoutMillis: 5000, Topics: topics(s)}
		})
	}
	list("all", func(*side) []kmsg.ListPartitionReassignmentsRequestTopic { return nil })
	list("some", func(s *side) []kmsg.ListPartitionReassignmentsRequestTopic {
		return []kmsg.ListPartitionReassignmentsRequestTopic{{Topic: s.nameOf("orders"), Partitions: []int32{0, 9}}}
	})
	list("unknown", func(s *side) []kmsg.ListPartitionReassignmentsRequestTopic {
		return []kmsg.ListPartitionReassignmentsRequestTopic{{Topic: "nowhere", Partitions: []int32{0}}}
	})
}

func securityScript(o *oracle) {
	o.ask("without an authorizer", func(*side) kmsg.Request {
		return &kmsg.DescribeACLsRequest{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}
	})
	o.ask("without an authorizer", func(*side) kmsg.Request {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = 2, "t", 3
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:a", "*", 3, 3
		return &kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{c}}
	})
	o.ask("without an authorizer", func(*side) kmsg.Request {
		return &kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}}}
	})
	scram := func(name string, change func(s *side, r *kmsg.AlterUserSCRAMCredentialsRequest)) {
		o.ask(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
			change(s, req)
			return req
		})
	}
	type request = kmsg.AlterUserSCRAMCredentialsRequest
	upsert := func(user string, mechanism int8, iterations int32) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
		return kmsg.AlterUserSCRAMCredentialsRequestUpsertion{Name: user, Mechanism: mechanism, Iterations: iterations, Salt: []byte("salt"), SaltedPassword: make([]byte, 32)}
	}
	remove := func(user string, mechanism int8) kmsg.AlterUserSCRAMCredentialsRequestDeletion {
		return kmsg.AlterUserSCRAMCredentialsRequestDeletion{Name: user, Mechanism: mechanism}
	}
	scram("upsert", func(s *side, r *request) { r.Upsertions = append(r.Upsertions, upsert(s.nameOf("u"), 1, 4096)) })
	scram("mechanism 0", func(s *side, r *request) { r.Upsertions = append(r.Upsertions, upsert(s.nameOf("u"), 0, 4096)) })
	scram("mechanism 9", func(s *side, r *request) { r.Upsertions = append(r.Upsertions, upsert(s.nameOf("u"), 9, 4096)) })
	scram("few iterations", func(s *side, r *request) { r.Upsertions = append(r.Upsertions, upsert(s.nameOf("u"), 1, 10)) })
	scram("many iterations", func(s *side, r *request) { r.Upsertions = append(r.Upsertions, upsert(s.nameOf("u"), 1, 20_000)) })
	scram("no user", func(_ *side, r *request) { r.Upsertions = append(r.Upsertions, upsert("", 1, 4096)) })
	scram("the same twice", func(s *side, r *request) {
		r.Upsertions = append(r.Upsertions, upsert(s.nameOf("u"), 1, 4096), upsert(s.nameOf("u"), 1, 5000))
	})
	scram("delete and upsert", func(s *side, r *request) {
		r.Upsertions, r.Deletions = append(r.Upsertions, upsert(s.nameOf("u"), 1, 4096)), append(r.Deletions, remove(s.nameOf("u"), 1))
	})
	scram("delete what is unknown", func(_ *side, r *request) { r.Deletions = append(r.Deletions, remove("nobody", 1)) })
	scram("nothing", func(*side, *request) {})
	describe := func(name string, users ...string) {
		o.look(name, func(s *side) kmsg.Request {
			req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
			for _, u := range users {
				if u == "u" {
					u = s.nameOf(u)
				}
				req.Users = append(req.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: u})
			}
			return req
		})
	}
	describe("all")
	describe("one", "u")
	describe("unknown", "nobody")
	describe("twice", "u", "u")
	scram("delete", func(s *side, r *request) { r.Deletions = append(r.Deletions, remove(s.nameOf("u"), 1)) })
	o.ask("on a plaintext listener", func(*side) kmsg.Request { return &kmsg.SASLHandshakeRequest{Mechanism: "PLAIN"} })
	o.ask("on a plaintext listener", func(*side) kmsg.Request { return &kmsg.SASLAuthenticateRequest{SASLAuthBytes: []byte("x")} })
}

func apiVersions(name, version string) *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = name, version
	return req
}

// framesScript is about what is no request.
func framesScript(o *oracle) {
	o.ask("with a name", func(*side) kmsg.Request {
		return apiVersions("oracle", "1.0")
	})
	if o.ranges[int16(kmsg.ApiVersions)].max-o.pass >= 3 {
		o.ask("without a name", func(*side) kmsg.Request { return apiVersions("", "") })
		o.ask("with a bad name", func(*side) kmsg.Request {
			return apiVersions("a b!", "1")
		})
	}
	if o.ranges[int16(kmsg.ApiVersions)].max-o.pass >= 5 { // KIP-1242
		meant := func(name string, cluster *string, node int32) {
			o.ask(name, func(*side) kmsg.Request {
				req := apiVersions("oracle", "1.0")
				req.ClusterID, req.NodeID = cluster, node
				return req
			})
		}
		meant("for this node", pointer(clusterID), 1)
		meant("for this cluster", pointer(clusterID), -1)
		meant("for a node of some cluster", nil, 1)
		meant("for another node", pointer(clusterID), 2)
		meant("for another cluster", pointer("elsewhere"), 1)
	}
	if o.pass > 0 {
		return
	}
	header := func(key, version int16, correlation int32, client string) []byte {
		raw := binary.BigEndian.AppendUint16(nil, uint16(key))
		raw = binary.BigEndian.AppendUint16(raw, uint16(version))
		raw = binary.BigEndian.AppendUint32(raw, uint32(correlation))
		raw = binary.BigEndian.AppendUint16(raw, uint16(len(client)))
		return append(raw, client...)
	}
	length := func(frame []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
	}
	nullClient := append(header(18, 0, 1, "")[:8], 0xff, 0xff)
	frames := []struct {
		name string
		raw  []byte
	}{
		{"ApiVersions too high", length(header(18, 99, 1, "c"))},
		{"ApiVersions negative", length(header(18, -1, 1, "c"))},
		{"ApiVersions without client id", length(nullClient)},
		{"ApiVersions with bytes behind it", length(append(header(18, 0, 1, "c"), 1, 2, 3))},
		{"unknown key", length(header(999, 0, 1, "c"))},
		{"negative key", length(header(-1, 0, 1, "c"))},
		{"Metadata too high", length(header(3, 99, 1, "c"))},
		{"Metadata cut off", length(append(header(3, 1, 1, "c"), 0, 0))},
		{"Metadata with bytes behind it", length(append(header(3, 1, 1, "c"), 0, 0, 0, 0, 9, 9))},
		{"an array of two thousand million", length(append(header(3, 1, 1, "c"), 0x7f, 0xff, 0xff, 0xff))},
		{"an array of negative length", length(append(header(3, 1, 1, "c"), 0xff, 0xff, 0xff, 0xfe))},
		{"empty frame", length(nil)},
		{"half a header", length([]byte{0, 18, 0})},
		{"negative length", []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}},
		{"length of 2 GB", []byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"client id longer than the frame", length(append(header(18, 0, 1, "")[:8], 0x7f, 0xff))},
		{"key of brokers only", length(header(4, 7, 1, "c"))},
		{"key of controllers only", length(header(62, 0, 1, "c"))},
		{"acks=0, then ApiVersions", o.silentProduce(length(header(18, 0, 5, "c")))},
	}
	for _, f := range frames {
		var answers [2]map[string]string
		for i, s := range o.sides {
			answers[i] = map[string]string{"Outcome": s.raw(f.raw)}
		}
		o.note("frame: "+f.name, "raw", diff(answers[0], answers[1]))
	}
}

// silentProduce is a request that is not answered, to an unknown topic, before another.
func (o *oracle) silentProduce(next []byte) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, 0, 1000
	w := &wire{}
	frame := w.frame(req)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...), next...)
}

// raw says what follows bytes: an answer, known by its first bytes, or the end.
func (s *side) raw(bytes []byte) string {
	const known = 6 // correlation id and, in most answers, an error code
	w, err := dial(s.address)
	if err != nil {
		return err.Error()
	}
	defer w.close()
	if _, err := w.conn.Write(bytes); err != nil {
		return err.Error()
	}
	frame, err := w.receive()
	if err != nil {
		return err.Error()
	}
	_ = w.conn.SetReadDeadline(time.Time{})
	return fmt.Sprintf("answer %x", frame[:min(known, len(frame))])
}
