package group

// Kafka's error codes, as far as group coordinators speak of them.
const (
	errNone                  int16 = 0
	errUnknownServerError    int16 = -1
	errUnknownTopic          int16 = 3
	errMessageTooLarge       int16 = 10
	errOffsetMetadataTooLong int16 = 12
	errLoadInProgress        int16 = 14
	errNotAvailable          int16 = 15
	errNotCoordinator        int16 = 16
	errIllegalGeneration     int16 = 22
	errInconsistentProtocol  int16 = 23
	errInvalidGroupID        int16 = 24
	errUnknownMember         int16 = 25
	errInvalidSessionTimeout int16 = 26
	errRebalanceInProgress   int16 = 27
	errInvalidOffsetSize     int16 = 28
	errTopicAuthorization    int16 = 29
	errGroupAuthorization    int16 = 30
	errNonEmptyGroup         int16 = 68
	errGroupNotFound         int16 = 69
	errMemberIDRequired      int16 = 79
	errGroupMaxSize          int16 = 81
	errFencedInstance        int16 = 82
	errSubscribedToTopic     int16 = 86
	errUnknownTopicID        int16 = 100
)
