package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// makeSick lets the fake cluster tell of a second broker that is not there and
// of partitions in every state that health looks for.
func (w *workbench) makeSick() string {
	host, port, err := net.SplitHostPort(w.cluster.ListenAddrs()[0])
	if err != nil {
		w.t.Fatal(err)
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		w.t.Fatal(err)
	}
	w.cluster.ControlKey(kmsg.Metadata.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.cluster.KeepControl()
		return sickMetadata(request.(*kmsg.MetadataRequest), host, int32(number)), nil, true
	})
	return ""
}

func sickMetadata(request *kmsg.MetadataRequest, host string, port int32) *kmsg.MetadataResponse {
	response := request.ResponseKind().(*kmsg.MetadataResponse)
	response.ControllerID = -1
	for id, address := range []struct {
		host string
		port int32
	}{{host, port}, {"127.0.0.1", 1}} {
		broker := kmsg.NewMetadataResponseBroker()
		broker.NodeID, broker.Host, broker.Port = int32(id), address.host, address.port
		response.Brokers = append(response.Brokers, broker)
	}
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = kmsg.StringPtr("orders")
	for i, state := range []struct {
		leader            int32
		inSync, offline   []int32
		errorOfTheRequest *kerr.Error
	}{
		{0, []int32{0, 1}, nil, nil},
		{-1, []int32{1}, []int32{1}, kerr.LeaderNotAvailable},
		{0, []int32{0}, nil, nil},
		{0, nil, nil, nil},
		{0, []int32{0}, []int32{1}, nil},
	} {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.Replicas, p.ISR, p.OfflineReplicas = int32(i), state.leader, []int32{0, 1}, state.inSync, state.offline
		if state.errorOfTheRequest != nil {
			p.ErrorCode = state.errorOfTheRequest.Code
		}
		topic.Partitions = append(topic.Partitions, p)
	}
	// Asking for no topic is not asking for all.
	if request.Topics == nil || len(request.Topics) > 0 {
		response.Topics = append(response.Topics, topic)
	}
	return response
}

// certify makes a certificate for 127.0.0.1 that signs itself, and writes it to
// a file.
func certify(t *testing.T, path string) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	data, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: data}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{data}, PrivateKey: key}}}
}
