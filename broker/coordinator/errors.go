package coordinator

// Kafka's error codes, as far as coordinators speak of them.
const (
	errNone                   int16 = 0
	errUnknownServerError     int16 = -1
	errUnknownTopic           int16 = 3
	errNotLeaderOrFollower    int16 = 6
	errRequestTimedOut        int16 = 7
	errMessageTooLarge        int16 = 10
	errLoadInProgress         int16 = 14
	errCoordinatorUnavailable int16 = 15
	errNotCoordinator         int16 = 16
	errRecordListTooLarge     int16 = 18
	errNotEnoughReplicas      int16 = 19
	errNotEnoughReplicasAfter int16 = 20
	errStorage                int16 = 56
)

// clientCode is what a client hears of an append that failed: nothing of the
// coordinator's partition concerns it, only whether to look for another
// coordinator or to try again.
func clientCode(code int16) int16 {
	switch code {
	case errUnknownTopic, errNotEnoughReplicas, errNotEnoughReplicasAfter, errRequestTimedOut:
		return errCoordinatorUnavailable
	case errNotLeaderOrFollower, errStorage:
		return errNotCoordinator
	case errMessageTooLarge, errRecordListTooLarge:
		return errMessageTooLarge
	}
	return errUnknownServerError
}
