//go:build jvm

package conformance

import "regexp"

// difference is one that is accepted, with its reason. Request, field, and what
// each answers are expressions that match the whole text; an empty one of an
// answer matches any.
type difference struct {
	request, field string
	kafka, ours    string
	reason         string
}

// differences is the whole list of what brokerd answers otherwise than Apache
// Kafka 4.4. A line that no longer occurs fails TestOracle.
var differences = []difference{
	{".*", `(.*\.)?(ErrorMessage|StatusMessage)`, `[^<n].*`, `[^<n].*`, "texts are for people: the code is the contract, and the words are our own"},
	{".*", `(.*\.)?(ErrorMessage|StatusMessage)`, `null`, `[^<].*`, "brokerd says why where Kafka gives a code only"},
	{"DescribeConfigs: unknown topic", `Resources\[nowhere\]\.ErrorMessage`, "", "[^<n].*", "brokerd says why where Kafka gives a code only"},
	{"ApiVersions: .*", `ApiKeys(#|\[.*)`, "", "", "another range of versions: transactions, KIP-848 groups, share groups, streams groups, quotas, delegation tokens, client metrics and KRaft's own keys are not served"},
	{"ApiVersions: .*", `(Supported|Finalized)Features.*`, "", "", "features are levels of the broker's own formats"},
	// What brokerd does not have.
	{"CreateTopics: .*", `.*\.Configs#`, "37", "26", "the configs that are listed next are refused by name"},
	{"(CreateTopics|DescribeConfigs): .*", lackedConfig, present, absent, "quotas, tiered storage, share groups and a bound of their own on what batches decompress to are not implemented"},
	{"DescribeConfigs: (none of a topic|topic)", `Resources\[orders\]\.Configs#`, "37", "26", "the configs that were listed just now"},
	{"CreateTopics: (errors|leader|local|remote).*", `Topics\[config\d+\]\.(ErrorCode|NumPartitions|ReplicationFactor|TopicID|Configs.*)`, "", "40|-1|0+|<absent>", "a config without effect is refused and not stored: INVALID_CONFIG"},
	{"DescribeConfigs: (a group|client metrics)", `Resources\[[gx]\]\.(Error.*|Configs(#|\[[a-z.]+\])?)`, "", "", "groups and client metrics have no configs: INVALID_REQUEST"},
	{"IncrementalAlterConfigs: group", `Resources\[g\]\.ErrorCode`, "0", "42", "groups have no configs"},
	{"DescribeConfigs: a logger", `Resources\[1\]\.Error.*`, "0|", "", "loggers are Java's: the level is --log-level"},
	{"ListConfigResources: brokers and loggers", `ConfigResources(#|\[1\]\.Type|\[1 again2\])`, "", "", "loggers are Java's: the level is --log-level"},
	{"DescribeConfigs: this broker", `Resources\[1\]\.Configs(#|\[(log\.cleaner\.threads|log\.dirs|node\.id|no\.such\.config)\])`, "", "", "a node's identity and directories are not listed, the cleaner has no threads, and a name that nobody knows has not been taken"},
	{"FindCoordinator: transaction", `Port|NodeID|Host|Error.*|Coordinators\[-?1\](\.Error.*)?`, "", "", "transactions are not implemented"},
	{"InitProducerID: transactional time-out 0", "ErrorCode", "50", "42", "transactions are not implemented"},
	{"Produce: transactional( without id)?", `Topics\[.*log.*\]\.Partitions\[1\]\.ErrorCode`, "53", "48", "transactions are not implemented"},
	{"frame: ApiVersions negative", "Outcome", "", "connection closed", "a negative version is no version that a client could have meant"},

	// Kafka has defaults of its own.
	{".*", `.*\[min\.insync\.replicas\]\.Source`, "3|DYNAMIC_DEFAULT_BROKER_CONFIG", "5|DEFAULT_CONFIG", "Kafka sets it for the cluster once ELR is on (KIP-966)"},
	{"DescribeConfigs: .*", `.*\[min\.insync\.replicas\]\.ConfigSynonyms(#|\[min\.insync\.replicas( again2)?\](\.Source)?)`, "", "", "Kafka sets it for the cluster once ELR is on (KIP-966)"},
	{"DescribeConfigs: all brokers.*", `Resources\[BROKER\]\.Configs(#|\[min\.insync\.replicas\])?`, "", "", "Kafka sets it for the cluster once ELR is on (KIP-966)"},
	{"DescribeConfigs: .*", `.*\.ConfigSynonyms(#|\[log\.(roll\.jitter|roll|retention)\.hours\]|\[log\.flush\.scheduler\.interval\.ms\])?`, "", "", "whether a default in other units is shown as a synonym"},

	// Bytes that a program cannot tell apart, or must not depend on.
	{"(DescribeQuorum|FindCoordinator): .*", `(.*\.)?ErrorMessage`, "", "null|[^<].*", "no message is empty there and null here"},
	{"(CreatePartitions|DescribeGroups|DescribeQuorum|ElectLeaders): .*", `.*ErrorMessage`, "[^<n].*", "null", "Kafka says why where brokerd gives a code only"},
	{"Produce: duplicate of .*", `.*\.LogAppendTime`, "17000000000..", "-1", "Kafka's answer to a duplicate has the batch's largest timestamp as its time of append, though the topic's type is CreateTime"},
	{"Produce: far future", `Topics\[.*log.*\]\.Partitions\[1\]\.ErrorRecords(#|\[ again2\])`, "", "", "brokerd names the first record that is wrong, Kafka all"},
	{"DescribeQuorum: metadata", `Nodes\[1\]\.Listeners\[CONTROLLER\]\.Port|Topics\[__cluster_metadata\]\.Partitions\[0\]\.(LeaderEpoch|HighWatermark|CurrentVoters\[\]\.(LogEndOffset|LastFetchTimestamp|LastCaughtUpTimestamp)|Observers(#|\[\])?)`, "", "", "raft has terms and indexes of its own"},

	// Kafka takes what brokerd refuses.
	{"CreateTopics: cleanup.policy=", `Topics\[config4\]\.(ErrorCode|NumPartitions|ReplicationFactor|TopicID|Configs(#|\[[a-z0-9.]+\])?)`, "", "", "an empty policy neither deletes nor compacts: INVALID_CONFIG"},
	{"CreateTopics: colliding", `Topics\[dotted_name\]\.(ErrorCode|NumPartitions|ReplicationFactor|TopicID|Configs(#|\[[a-z0-9.]+\])?)`, "", "", "Kafka compares names with topics that exist, not with each other's in one request"},
	{"CreateTopics: validate only", `Topics\[imagined\]\.TopicID`, "<new id>", "0+", "nothing was created that an id could belong to"},
	{"IncrementalAlterConfigs: broker, unknown", `.*ErrorCode`, "0", "42", "Kafka keeps names for plug-ins that brokerd does not have"},
	{"Produce: (append time from a producer|offsets decrease|trailing bytes|unknown producer not from 0)", `Topics\[.*lenient.*\]\.Partitions\[[01]\]\.(ErrorCode|BaseOffset|LogStartOffset|LogAppendTime|ErrorRecords(#|\[\])?)`, "", "", "Kafka rewrites the offsets, ignores the bytes, and takes any first sequence (overtaken-by-an-unknown-producer in FOUND.md)"},
	{"Produce: no records", `Outcome|Brokers|ThrottleMillis|Topics(#|\[.*log.*\])`, `no answer in 20s|<absent>`, "|<present>", "Kafka never answers null records; they are an error of their partition here"},
	{"Fetch: isolation level 5", `ErrorCode|Topics(#|\[.*log.*\](\.Partitions\[0\]\.(ErrorCode|HighWatermark|LastStableOffset|LogStartOffset|RecordBatches|AbortedTransactions#?))?)?`, "", "", "read as read_uncommitted"},
	{"DescribeTopicPartitions: from a negative cursor", `Outcome|ThrottleMillis|NextCursor|Topics(#|\[[a-z ]+\])`, "|<present>", "connection closed|<absent>", "a cursor that no answer has given"},
	{"DescribeTopicPartitions: from a cursor that is not asked for", `Topics(#|\[(a b|nowhere|orders)\]|\[wanted\]\.(TopicID|ErrorCode|AuthorizedOperations|Partitions(#|\[0\])?))`, "", "", "a cursor that no answer has given"},

	// Kafka's answer to a request of its own making, or an accident.
	{"Produce: ((gzip|zstd) that is none|unknown codec)", `Topics\[.*log.*\]\.Partitions\[1\]\.(ErrorCode|LogStartOffset)`, "-1|0", "2|87|-1|0", "an exception that nobody caught is UNKNOWN_SERVER_ERROR there"},
	{"Fetch: maximum negative", `Topics\[.*log.*\]\.Partitions\[0\]\.(ErrorCode|HighWatermark|LastStableOffset|LogStartOffset|RecordBatches)`, "-1|", "", "an exception that nobody caught is UNKNOWN_SERVER_ERROR there"},
	{"IncrementalAlterConfigs: unknown operation", `Resources\[orders\]\.ErrorCode`, "-1", "42", "an exception that nobody caught is UNKNOWN_SERVER_ERROR there"},
	{"Produce: duplicate of the sixth last", `.*ErrorCode`, "45", "46", "DUPLICATE_SEQUENCE_NUMBER (producer-ahead-of-broker-memory in FOUND.md)"},
	{"Metadata: neither", `ErrorCode|Brokers(#|\[1\])?|ClusterID|ControllerID|AuthorizedOperations|Topics\[\]\.(Topic|ErrorCode)`, "", "", "an exception that nobody caught is UNKNOWN_SERVER_ERROR there"},
	{"ElectLeaders: everything", `Topics(#|\[[^\]]+\])?`, "", "", "Kafka lists topics of which it elected nobody, without partitions"},
	{"Fetch: as a follower that is none", `Topics\[.*log.*\]\.Partitions\[0\]\.CurrentLeader\.Leader(ID|Epoch)`, "", "-1", "the leader is named where it is news (KIP-951)"},
	{"Fetch: session: a new one", "SessionID", `[1-9]\d*`, `[1-9]\d*`, "a session's id is drawn at random"},
	{"Fetch: (partition's maximum in the middle of a batch|two partitions with a maximum for one)", `Topics\[.*log.*\]\.Partitions\[[01]\]\.RecordBatches`, "0+.*", "0+.*", "Kafka sends the beginning of a batch that does not fit, which clients throw away"},
	{"Fetch: session: of nothing", "SessionID", "", "0", "a session of nothing is none"},
	{"Fetch: session: (an unknown topic more|what is wrong stays wrong)", `Topics(#|\[.*once.*\](\.Partitions(#|\[[07]\]))?)`, "", "", "the order in which a session lists what is wrong"},
	{"OffsetDelete: nothing", `Topics(#|\[once\])?`, "", "", "a topic without partitions is answered"},
}

// lackedConfig are Kafka 4.4's topic configs without effect here.
const lackedConfig = `.*\.Configs\[(errors\.deadletterqueue\.group\.enable|` +
	`(leader|follower)\.replication\.throttled\.replicas|local\.retention\.(bytes|ms)|max\.decompressed\.message\.bytes|remote\..*)\]`

type compiled struct{ request, field, kafka, ours *regexp.Regexp }

var expressions = func() []compiled {
	list := make([]compiled, len(differences))
	whole := func(text string) *regexp.Regexp {
		if text == "" {
			text = ".*"
		}
		return regexp.MustCompile(`(?s)\A(?:` + text + `)\z`)
	}
	for i, d := range differences {
		list[i] = compiled{whole(d.request), whole(d.field), whole(d.kafka), whole(d.ours)}
	}
	return list
}()

// accepted is the line of the table that an observation is in.
func accepted(request string, f observation) *difference {
	for i, e := range expressions {
		if e.request.MatchString(request) && e.field.MatchString(f.field) && e.kafka.MatchString(f.kafka) && e.ours.MatchString(f.ours) {
			return &differences[i]
		}
	}
	return nil
}
