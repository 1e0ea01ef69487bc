package client

import "github.com/twmb/franz-go/pkg/kerr"

// The error codes of the protocol that clients treat apart.
const (
	codeUnknownServer            int16 = -1
	codeNone                     int16 = 0
	codeOffsetOutOfRange         int16 = 1
	codeCorruptMessage           int16 = 2
	codeUnknownTopicPartition    int16 = 3
	codeLeaderNotAvailable       int16 = 5
	codeNotLeader                int16 = 6
	codeRequestTimedOut          int16 = 7
	codeReplicaNotAvailable      int16 = 9
	codeMessageTooLarge          int16 = 10
	codeNetworkException         int16 = 13
	codeCoordinatorLoading       int16 = 14
	codeCoordinatorNotAvail      int16 = 15
	codeNotCoordinator           int16 = 16
	codeNotEnoughReplicasAfter   int16 = 20
	codeIllegalGeneration        int16 = 22
	codeUnknownMember            int16 = 25
	codeRebalanceInProgress      int16 = 27
	codeUnsupportedVersion       int16 = 35
	codeTopicExists              int16 = 36
	codeOutOfOrderSequence       int16 = 45
	codeDuplicateSequence        int16 = 46
	codeInvalidReplicationFactor int16 = 38
	codeInvalidProducerEpoch     int16 = 47
	codeKafkaStorage             int16 = 56
	codeUnknownProducerID        int16 = 59
	codeFetchSessionNotFound     int16 = 70
	codeInvalidFetchEpoch        int16 = 71
	codeFencedLeaderEpoch        int16 = 74
	codeUnknownLeaderEpoch       int16 = 75
	codeOffsetNotAvailable       int16 = 78
	codeMemberIDRequired         int16 = 79
	codeElectionNotNeeded        int16 = 84
	codeFencedInstanceID         int16 = 82
	codeUnknownTopicID           int16 = 100
	codeFetchSessionTopicID      int16 = 106
	codeInconsistentTopicID      int16 = 103
	codeRebootstrapRequired      int16 = 129
)

// codeName is Kafka's name of a code.
func codeName(code int16) string {
	if e := kerr.TypedErrorForCode(code); e != nil {
		return e.Message
	}
	return "NONE"
}

// retriable tells whether Java's exception for the code is a RetriableException.
func retriable(code int16) bool {
	if code == codeNetworkException {
		return true
	}
	e := kerr.TypedErrorForCode(code)
	return e != nil && e.Retriable
}

// staleMetadata tells whether Java's exception for the code is an
// InvalidMetadataException, which asks for new metadata.
func staleMetadata(code int16) bool {
	switch code {
	case codeUnknownTopicPartition, codeLeaderNotAvailable, codeNotLeader, codeReplicaNotAvailable, codeNetworkException,
		codeKafkaStorage, codeFencedLeaderEpoch, codeUnknownLeaderEpoch, codeUnknownTopicID, codeInconsistentTopicID:
		return true
	}
	return false
}

// mayBeAppended tells whether a Produce that was answered with the code may
// have been appended all the same. With acks=all the leader appends first and
// answers when it has lost its office, its disk or the followers; the answer
// then is the same as if it had refused at once.
func mayBeAppended(code int16) bool {
	switch code {
	case codeUnknownServer, codeUnknownTopicPartition, codeLeaderNotAvailable, codeNotLeader, codeRequestTimedOut,
		codeNetworkException, codeNotEnoughReplicasAfter, codeKafkaStorage, codeFencedLeaderEpoch, codeReplicaNotAvailable,
		codeUnknownTopicID, codeInconsistentTopicID, codeDuplicateSequence:
		return true
	}
	return false
}
