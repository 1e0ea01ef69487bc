package partition

import (
	"errors"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// Kafka's error codes, as far as replicas speak of them.
const (
	errNone                       int16 = 0
	errOffsetOutOfRange           int16 = 1
	errCorruptMessage             int16 = 2
	errUnknownTopicOrPartition    int16 = 3
	errLeaderNotAvailable         int16 = 5
	errNotLeaderOrFollower        int16 = 6
	errRequestTimedOut            int16 = 7
	errMessageTooLarge            int16 = 10
	errInvalidTopic               int16 = 17
	errRecordListTooLarge         int16 = 18
	errNotEnoughReplicas          int16 = 19
	errNotEnoughReplicasAfter     int16 = 20
	errTopicAuthorizationFailed   int16 = 29
	errInvalidTimestamp           int16 = 32
	errInvalidRequest             int16 = 42
	errPolicyViolation            int16 = 44
	errOutOfOrderSequence         int16 = 45
	errDuplicateSequence          int16 = 46
	errInvalidProducerEpoch       int16 = 47
	errInvalidTxnState            int16 = 48
	errOperationNotAttempted      int16 = 55
	errStorage                    int16 = 56
	errUnknownProducerID          int16 = 59
	errFetchSessionIDNotFound     int16 = 70
	errInvalidFetchSessionEpoch   int16 = 71
	errFencedLeaderEpoch          int16 = 74
	errUnknownLeaderEpoch         int16 = 75
	errOffsetNotAvailable         int16 = 78
	errInvalidRecord              int16 = 87
	errInvalidUpdateVersion       int16 = 95
	errUnknownTopicID             int16 = 100
	errInconsistentTopicID        int16 = 103
	errFetchSessionTopicID        int16 = 106
	errIneligibleReplica          int16 = 107
	errNewLeaderElected           int16 = 108
	errUnsupportedCompressionType int16 = 76
)

// appendError is the code for a batch that the log or its validation refused.
func appendError(err error) int16 {
	switch {
	case errors.Is(err, log.ErrOutOfOrderSequence):
		return errOutOfOrderSequence
	case errors.Is(err, log.ErrInvalidProducerEpoch):
		return errInvalidProducerEpoch
	case errors.Is(err, log.ErrUnknownProducer):
		return errUnknownProducerID
	case errors.Is(err, log.ErrRebuilding), errors.Is(err, log.ErrDeleted):
		return errNotLeaderOrFollower
	case errors.Is(err, log.ErrTooLarge):
		return errRecordListTooLarge
	case errors.Is(err, record.ErrTooLarge):
		return errMessageTooLarge
	case errors.Is(err, record.ErrTimestamp):
		return errInvalidTimestamp
	case errors.Is(err, record.ErrShort), errors.Is(err, record.ErrOldMagic):
		return errInvalidRecord // a client would send CORRUPT_MESSAGE again, in vain
	case errors.Is(err, record.ErrCorrupt):
		return errCorruptMessage
	case errors.Is(err, record.ErrInvalid):
		return errInvalidRecord
	}
	return errStorage
}

// tellsLogStart says whether an answer that refuses a batch says where the log
// starts. Where the replica or its log is not to be trusted it does not; for a
// batch that is too large or damaged Kafka leaves it out, too.
func tellsLogStart(code int16) bool {
	switch code {
	case errUnknownTopicOrPartition, errUnknownTopicID, errNotLeaderOrFollower, errStorage, errMessageTooLarge, errRecordListTooLarge, errCorruptMessage:
		return false
	}
	return true
}

// readError is the code for what a log could not read.
func readError(err error) int16 {
	switch {
	case errors.Is(err, log.ErrOffsetOutOfRange):
		return errOffsetOutOfRange
	case errors.Is(err, log.ErrRebuilding), errors.Is(err, log.ErrDeleted):
		return errNotLeaderOrFollower
	case errors.Is(err, log.ErrCorrupt):
		return errCorruptMessage
	}
	return errStorage
}
