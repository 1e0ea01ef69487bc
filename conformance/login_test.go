package conformance

import (
	"bufio"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	xdg "github.com/xdg-go/scram"
)

// Goal: each library logs in by PLAIN and by both kinds of SCRAM, and does not
// with a wrong password. Method: a node with all of them, to which each writes a
// record as a user of each mechanism.

const loginTopic = "logins"

// startSecured runs one node whose listener for clients is SASL_PLAINTEXT.
func startSecured(t *testing.T) (bootstrap string) {
	t.Helper()
	args := []string{"--dev", "--data", t.TempDir()}
	for _, property := range []string{
		"listeners=CLIENTS://localhost:0,INTERNAL://localhost:0,CONTROLLER://localhost:0",
		"listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name=INTERNAL",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		`listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_user="secret";`,
		"windtunnel.bootstrap.scram=SCRAM-SHA-256=[name=user,password=secret];SCRAM-SHA-512=[name=user,password=secret]",
	} {
		args = append(args, "--override", property)
	}
	lines := bufio.NewScanner(runBrokerd(t, args...))
	for lines.Scan() {
		if list, ok := strings.CutPrefix(lines.Text(), "bootstrap.servers="); ok {
			bootstrap, _, _ = strings.Cut(list, ",") // the first listener is the clients'
			return bootstrap
		}
	}
	t.Fatal("brokerd did not come up")
	return ""
}

func TestLogins(t *testing.T) {
	bootstrap := startSecured(t)
	for name, write := range map[string]func(ctx context.Context, bootstrap, mechanism, password string) error{
		"confluent-kafka-go": confluentWrites, "sarama": saramaWrites, "kafka-go": kafkagoWrites,
	} {
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			t.Run(name+"/"+mechanism, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if err := write(ctx, bootstrap, mechanism, "secret"); err != nil {
					t.Errorf("with the password: %v", err)
				}
				brief, cancelBrief := context.WithTimeout(ctx, 5*time.Second)
				defer cancelBrief()
				if err := write(brief, bootstrap, mechanism, "guess"); err == nil {
					t.Error("a wrong password lets in")
				}
			})
		}
	}
}

func confluentWrites(ctx context.Context, bootstrap, mechanism, password string) error {
	deadline, _ := ctx.Deadline()
	p, err := kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers": bootstrap, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
		"sasl.username": "user", "sasl.password": password, "delivery.timeout.ms": int(time.Until(deadline).Milliseconds()),
	})
	if err != nil {
		return err
	}
	defer p.Close()
	topic := loginTopic
	done := make(chan kafka.Event, 1)
	to := kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}
	if err := p.Produce(&kafka.Message{TopicPartition: to, Value: []byte("hello")}, done); err != nil {
		return err
	}
	return (<-done).(*kafka.Message).TopicPartition.Error
}

// xdgConversation is SCRAM as sarama's users plug it in.
type xdgConversation struct {
	hash xdg.HashGeneratorFcn
	*xdg.ClientConversation
}

func (x *xdgConversation) Begin(user, password, authorization string) error {
	client, err := x.hash.NewClient(user, password, authorization)
	if err == nil {
		x.ClientConversation = client.NewConversation()
	}
	return err
}

func saramaWrites(_ context.Context, bootstrap, mechanism, password string) error {
	c := sarama.NewConfig()
	c.Producer.Return.Successes = true
	c.Net.SASL.Enable, c.Net.SASL.User, c.Net.SASL.Password = true, "user", password
	c.Net.SASL.Mechanism = sarama.SASLMechanism(mechanism)
	c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient {
		if mechanism == sarama.SASLTypeSCRAMSHA256 {
			return &xdgConversation{hash: xdg.SHA256}
		}
		return &xdgConversation{hash: xdg.SHA512}
	}
	p, err := sarama.NewSyncProducer([]string{bootstrap}, c)
	if err != nil {
		return err
	}
	defer p.Close()
	_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: loginTopic, Value: sarama.StringEncoder("hello")})
	return err
}

func kafkagoWrites(ctx context.Context, bootstrap, mechanism, password string) (err error) {
	var m sasl.Mechanism = plain.Mechanism{Username: "user", Password: password}
	switch mechanism {
	case "SCRAM-SHA-256":
		m, err = scram.Mechanism(scram.SHA256, "user", password)
	case "SCRAM-SHA-512":
		m, err = scram.Mechanism(scram.SHA512, "user", password)
	}
	if err != nil {
		return err
	}
	w := &kafkago.Writer{
		Addr: kafkago.TCP(bootstrap), Topic: loginTopic, RequiredAcks: kafkago.RequireAll, AllowAutoTopicCreation: true,
		Transport: &kafkago.Transport{SASL: m}, BatchTimeout: time.Millisecond,
	}
	defer w.Close()
	return w.WriteMessages(ctx, kafkago.Message{Value: []byte("hello")})
}
