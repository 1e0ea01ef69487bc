package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What each request asks of its sender's rights, once there is an authorizer. It
// is Kafka's own table. The transcripts "authorization", here and in
// broker/group, and "security" in broker/controller show that it is so; a key
// that is added must say here what it needs, and there that it asks for it.
var access = map[kmsg.Key]string{
	kmsg.Produce:                      "WRITE topic",
	kmsg.Fetch:                        "READ topic; as a replica CLUSTER_ACTION cluster",
	kmsg.ListOffsets:                  "DESCRIBE topic",
	kmsg.Metadata:                     "DESCRIBE topic; to create one CREATE cluster or topic",
	kmsg.OffsetCommit:                 "READ group, READ topic",
	kmsg.OffsetFetch:                  "DESCRIBE group, DESCRIBE topic",
	kmsg.FindCoordinator:              "DESCRIBE group",
	kmsg.JoinGroup:                    "READ group",
	kmsg.Heartbeat:                    "READ group",
	kmsg.LeaveGroup:                   "READ group",
	kmsg.SyncGroup:                    "READ group",
	kmsg.DescribeGroups:               "DESCRIBE group",
	kmsg.ListGroups:                   "DESCRIBE cluster, or DESCRIBE of each group",
	kmsg.SASLHandshake:                "nothing",
	kmsg.ApiVersions:                  "nothing",
	kmsg.CreateTopics:                 "CREATE cluster or topic; DESCRIBE_CONFIGS topic to see its configuration",
	kmsg.DeleteTopics:                 "DELETE topic",
	kmsg.DeleteRecords:                "DELETE topic",
	kmsg.InitProducerID:               "IDEMPOTENT_WRITE cluster, or WRITE of any topic",
	kmsg.OffsetForLeaderEpoch:         "DESCRIBE topic, or CLUSTER_ACTION cluster",
	kmsg.DescribeACLs:                 "DESCRIBE cluster",
	kmsg.CreateACLs:                   "ALTER cluster",
	kmsg.DeleteACLs:                   "ALTER cluster",
	kmsg.DescribeConfigs:              "DESCRIBE_CONFIGS topic or cluster",
	kmsg.AlterConfigs:                 "ALTER_CONFIGS topic or cluster",
	kmsg.DescribeLogDirs:              "DESCRIBE cluster",
	kmsg.SASLAuthenticate:             "nothing",
	kmsg.CreatePartitions:             "ALTER topic",
	kmsg.DeleteGroups:                 "DELETE group",
	kmsg.ElectLeaders:                 "ALTER cluster",
	kmsg.IncrementalAlterConfigs:      "ALTER_CONFIGS topic or cluster",
	kmsg.AlterPartitionAssignments:    "ALTER cluster",
	kmsg.ListPartitionReassignments:   "DESCRIBE cluster",
	kmsg.OffsetDelete:                 "DELETE group, READ topic",
	kmsg.DescribeUserSCRAMCredentials: "DESCRIBE cluster",
	kmsg.AlterUserSCRAMCredentials:    "ALTER cluster",
	kmsg.DescribeQuorum:               "DESCRIBE cluster",
	kmsg.UpdateFeatures:               "ALTER cluster",
	kmsg.DescribeCluster:              "nothing; DESCRIBE cluster to see one's own rights",
	kmsg.DescribeProducers:            "READ topic",
	kmsg.UnregisterBroker:             "ALTER cluster",
	kmsg.ListConfigResources:          "DESCRIBE_CONFIGS cluster",
	kmsg.DescribeTopicPartitions:      "DESCRIBE topic",
}

func TestEveryKeySaysWhatItNeeds(t *testing.T) {
	for _, k := range Keys() {
		if access[kmsg.Key(k.Key)] == "" {
			t.Errorf("%s (%d) is served, and nothing says what right it needs", kmsg.NameForKey(k.Key), k.Key)
		}
	}
}
