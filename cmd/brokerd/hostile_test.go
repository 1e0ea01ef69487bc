package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A node is shown what no client would send, while a client of good manners
// produces and reads. Whatever comes, the bad connection gets an error or is
// closed, the good client is served, and the memory stays bounded.

const residentMax = 700 << 20

func TestHostileInput(t *testing.T) {
	p := run(t, "--dev", "--data", t.TempDir(), "--listen", "localhost:0")
	c := &brokers{t: t, bootstrap: p.bootstrap}
	good := startBystander(c)
	attack := func(name string, do func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			before := good.served.Load()
			do(t)
			good.await(t, before+20)
			if rss := resident(t, p.cmd.Process.Pid); rss > residentMax {
				t.Errorf("%d MiB are resident, want at most %d", rss>>20, residentMax>>20)
			}
		})
	}
	dial := func(t *testing.T) net.Conn { return dialNode(t, p.bootstrap) }
	attack("random bytes", func(t *testing.T) { randomBytes(t, dial) })
	attack("truncated and oversized frames", func(t *testing.T) { badFrames(t, dial) })
	attack("wrong versions", func(t *testing.T) { wrongVersions(t, dial) })
	attack("a fetch of ten thousand partitions", func(t *testing.T) { hugeFetch(t, c) })
	attack("a client that does not read", func(t *testing.T) { deafClient(t, c, dial) })
	attack("requests that decode to much", func(t *testing.T) { swellingRequests(t, dial) })
	attack("slow loris", func(t *testing.T) {
		for range 500 { // each announces 100 MB and sends a byte
			if _, err := dial(t).Write([]byte{6, 0, 0, 0, 'x'}); err != nil {
				t.Fatal(err)
			}
		}
	})
	attack("ten thousand idle connections", func(t *testing.T) {
		conns := make([]net.Conn, 0, 10_000)
		for range 10_000 {
			conns = append(conns, dial(t))
		}
		roundTrip(t, conns[len(conns)-1]) // the last one is served
	})
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// More connections than there are descriptors: those that are there are served, and
// the node still makes the files of a new topic. Without one it would halt.
func TestConnectionsLeaveRoomForFiles(t *testing.T) {
	const descriptors = 400
	cmd := command(t, "--dev", "--data", t.TempDir(), "--listen", "localhost:0")
	cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, descriptors), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	p := start(t, cmd)
	c := &brokers{t: t, bootstrap: p.bootstrap}
	good := startBystander(c)
	good.await(t, 1)
	cl := c.client(kgo.AllowAutoTopicCreation())
	produce := func(topic string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("a")}).FirstErr()
	}
	if err := produce("before"); err != nil { // and it has its connections
		t.Fatal(err)
	}
	refused := 0
	for range descriptors {
		conn := dialNode(t, p.bootstrap)
		if _, err := conn.Write(request(int16(kmsg.ApiVersions), 0, nil)); err != nil {
			refused++
			continue
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a connection behind %d refused ones is neither served nor refused", refused)
		} else if err != nil {
			refused++
		}
	}
	if refused == 0 || refused == descriptors {
		t.Errorf("%d of %d connections were refused", refused, descriptors)
	}
	for i := range 5 {
		if err := produce(fmt.Sprintf("after-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	good.await(t, good.served.Load()+20)
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// Clients send requests that wait for a minute, and are long for no reason: thirty
// times as much as the node may hold. It reads no more than that, the rest stays
// with the kernel and the clients, and others are served all the while.
func TestRequestsThatWaitAreBounded(t *testing.T) {
	const budget = 8 << 20
	p := run(t, "--dev", "--data", t.TempDir(), "--listen", "localhost:0", "--override", "queued.max.request.bytes="+strconv.Itoa(budget))
	c := &brokers{t: t, bootstrap: p.bootstrap}
	good := startBystander(c)
	cl := c.client(kgo.DefaultProduceTopic("quiet"), kgo.AllowAutoTopicCreation())
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("a")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	good.await(t, 20)
	before := resident(t, p.cmd.Process.Pid)
	const conns, requests = 64, 60
	one := waitingFetch("quiet")
	if all := conns * requests * len(one); all < 30*budget {
		t.Fatalf("%d bytes are less than 30 times %d", all, budget)
	}
	for range conns {
		conn := dialNode(t, p.bootstrap)
		go func() {
			for range requests {
				if _, err := conn.Write(one); err != nil {
					return // the test is over
				}
			}
		}()
	}
	for range 10 {
		good.await(t, good.served.Load()+20)
	}
	if more := resident(t, p.cmd.Process.Pid) - before; more > 8*budget {
		t.Errorf("%d MiB more are resident for %d MiB of requests", more>>20, budget>>20)
	}
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// waitingFetch is a request of 64 KiB that waits a minute for more than there is.
func waitingFetch(name string) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 11
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 60_000, 1<<30, 1<<30, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = name
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 30
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	req.Rack = strings.Repeat("r", 1<<15-1)
	body := req.AppendTo(nil)
	b := make([]byte, 4, 1<<16+len(body))
	b = append(b, 0, byte(kmsg.Fetch), 0, byte(req.Version), 0, 0, 0, 7, 0x7f, 0xff)
	b = append(append(b, strings.Repeat("c", 1<<15-1)...), body...) // the client's id
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// bystander produces records one by one and reads them back.
type bystander struct {
	served atomic.Int64
	mu     sync.Mutex
	more   sync.Cond
	failed error
}

func startBystander(c *brokers) *bystander {
	b := &bystander{}
	b.more.L = &b.mu
	cl := c.client(kgo.DefaultProduceTopic("good"), kgo.ConsumeTopics("good"), kgo.AllowAutoTopicCreation(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond), kgo.RecordDeliveryTimeout(time.Minute))
	ctx, stop := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			err := cl.ProduceSync(ctx, &kgo.Record{Value: numbered(i)}).FirstErr()
			for read := false; err == nil && !read; {
				fetches := cl.PollFetches(ctx)
				err = ctx.Err()
				fetches.EachRecord(func(r *kgo.Record) { read = read || string(r.Value) == string(numbered(i)) })
			}
			b.mu.Lock()
			b.failed = err
			b.mu.Unlock()
			b.served.Add(1)
			b.more.Broadcast()
			if err != nil {
				return
			}
		}
	}()
	c.t.Cleanup(func() {
		stop()
		cl.Close() // what a node that has ended may have taken is given up no sooner
		<-done
	})
	return b
}

func (b *bystander) await(t *testing.T, n int64) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.served.Load() < n && b.failed == nil {
		b.more.Wait()
	}
	if b.failed != nil {
		t.Fatalf("the client of good manners: %v", b.failed)
	}
}

func dialNode(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// resident is what a process holds in memory.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	text := readFile(t, "/proc/"+strconv.Itoa(pid)+"/statm")
	pages, err := strconv.ParseInt(strings.Fields(text)[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// request frames an encoded request.
func request(key, version int16, body []byte) []byte {
	b := make([]byte, 4, 64+len(body))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	b = binary.BigEndian.AppendUint16(b, 0xffff) // no client id
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func roundTrip(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write(request(int16(kmsg.ApiVersions), 0, nil)); err != nil {
		t.Fatal(err)
	}
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil || binary.BigEndian.Uint32(head[4:]) != 7 {
		t.Fatalf("no answer to ApiVersions: %v %v", head, err)
	}
}

// ends reads until the node closes the connection, and tells whether it has
// answered before.
func answeredBeforeEnd(t *testing.T, conn net.Conn) bool {
	t.Helper()
	n, err := io.Copy(io.Discard, conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return n > 0
}

func randomBytes(t *testing.T, dial func(*testing.T) net.Conn) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		conn := dial(t)
		b := make([]byte, 1+random.IntN(4096))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		if random.IntN(2) == 0 && len(b) > 8 { // a whole frame, for a key that exists
			binary.BigEndian.PutUint32(b, uint32(len(b)-4))
			binary.BigEndian.PutUint16(b[4:], uint16(random.IntN(70)))
			binary.BigEndian.PutUint16(b[6:], uint16(random.IntN(12)))
		}
		_, _ = conn.Write(b) // it may be closed already
		_ = conn.(*net.TCPConn).CloseWrite()
		answeredBeforeEnd(t, conn)
	}
}

func badFrames(t *testing.T, dial func(*testing.T) net.Conn) {
	whole := request(int16(kmsg.ApiVersions), 0, nil)
	for n := range whole { // cut everywhere
		conn := dial(t)
		if _, err := conn.Write(whole[:n]); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		if answeredBeforeEnd(t, conn) {
			t.Errorf("%d of %d bytes were answered", n, len(whole))
		}
	}
	for _, length := range []uint32{100<<20 + 1, 1 << 31, 1<<32 - 1, 0, 1, 7} {
		conn := dial(t)
		b := binary.BigEndian.AppendUint32(nil, length)
		b = append(b, bytes.Repeat([]byte{0}, int(min(length, 16)))...)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		if answeredBeforeEnd(t, conn) {
			t.Errorf("a frame of %d bytes was answered", length)
		}
	}
}

func wrongVersions(t *testing.T, dial func(*testing.T) net.Conn) {
	for key := range int16(100) {
		for _, version := range []int16{-1, 99} {
			conn := dial(t)
			var tags []byte
			if version > 0 {
				tags = []byte{0} // none: the header of a version that new has room for them
			}
			if _, err := conn.Write(request(key, version, tags)); err != nil {
				t.Fatal(err)
			}
			if key == int16(kmsg.ApiVersions) && version > 0 {
				// It says which versions there are, in version 0 (KIP-511).
				var head [10]byte
				if _, err := io.ReadFull(conn, head[:]); err != nil || binary.BigEndian.Uint16(head[8:]) != 35 {
					t.Errorf("ApiVersions version %d: %v %v", version, head, err)
				}
				continue
			}
			if answeredBeforeEnd(t, conn) {
				t.Errorf("key %d version %d was answered", key, version)
			}
		}
	}
}

// hugeFetch asks for ten thousand partitions of which one exists.
func hugeFetch(t *testing.T, c *brokers) {
	const many = 10_000
	req := kmsg.NewPtrFetchRequest()
	req.Version = 12
	req.ReplicaID, req.MaxWaitMillis, req.MaxBytes, req.SessionEpoch = -1, 10, 1<<30, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "good"
	for i := range int32(many) {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = i, 1<<30
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	cl := c.client(kgo.MaxVersions(kversion.V2_8_0())) // the last with topic names
	resp, err := req.RequestWith(t.Context(), cl.Broker(1))
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if rp.ErrorCode != 0 {
				bad++
			}
		}
	}
	if bad != many-1 {
		t.Errorf("%d of %d partitions have an error, want all but one", bad, many)
	}
}

// deafClient asks for much and reads nothing: it is closed.
func deafClient(t *testing.T, c *brokers, dial func(*testing.T) net.Conn) {
	cl := c.client(kgo.DefaultProduceTopic("big"), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 16 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 900_000)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	req := kmsg.NewPtrFetchRequest()
	req.Version = 11
	req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 1<<30, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "big"
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 30
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	one := request(int16(kmsg.Fetch), 11, req.AppendTo(nil))
	conn := dial(t)
	for range 5000 { // of 14 MB each
		if _, err := conn.Write(one); err != nil {
			return // closed, as it should be
		}
	}
	// All requests are with the node, so the connection must end although nobody
	// reads; what is read now is what had been sent before.
	n, _ := io.Copy(io.Discard, conn)
	if n > 200<<20 {
		t.Errorf("%d MB were sent to a client that does not read", n>>20)
	}
}

// swellingRequests sends frames of what takes least on the wire and most when it is
// decoded: topics without a name, each with a tag that nobody knows. What is longer
// than may be decoded is refused; what is not is answered, eight at a time.
func swellingRequests(t *testing.T, dial func(*testing.T) net.Conn) {
	const longest = 2 << 20
	swelling := func(key int16, head, element, tail []byte, length int) []byte {
		n := (length - len(head) - len(tail)) / len(element)
		body := binary.AppendUvarint(bytes.Clone(head), uint64(n+1))
		return request(key, 9, append(append(body, bytes.Repeat(element, n)...), tail...))
	}
	metadata := func(length int) []byte { // no tags in the header; an empty name, and a tag
		return swelling(3, []byte{0}, []byte{1, 1, 100, 0}, make([]byte, 4), length)
	}
	produce := func(length int) []byte { // nor there; no transaction, acks, time-out; an empty name, no partitions
		return swelling(0, []byte{0, 0, 0xff, 0xff, 0, 0, 1, 0}, []byte{1, 1, 0}, make([]byte, 1), length)
	}
	for _, frame := range [][]byte{metadata(longest + 100), metadata(50 << 20), produce(50 << 20)} {
		conn := dial(t)
		if _, err := conn.Write(frame); err == nil && answeredBeforeEnd(t, conn) {
			t.Errorf("a request of %d bytes with key %d was answered", len(frame), frame[5])
		}
	}
	var all sync.WaitGroup
	for range 8 {
		conn := dial(t)
		all.Go(func() {
			if _, err := conn.Write(metadata(longest - 100)); err != nil {
				t.Error(err)
				return
			}
			var length [4]byte
			if _, err := io.ReadFull(conn, length[:]); err != nil {
				t.Errorf("a request of %d bytes is not answered: %v", longest-100, err)
				return
			}
			if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(length[:]))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// How long a request may be follows from the memory that is for requests: at 512 MiB
// of it one of 3 MiB is answered, which is refused without, and one of 5 MiB is not.
func TestLongRequestsNeedMemory(t *testing.T) {
	t.Parallel()
	metadata := func(length int) []byte { // topics with long names, none of them there
		const name = 249
		element := append(binary.AppendUvarint(nil, name+1), append(bytes.Repeat([]byte("x"), name), 0)...)
		n := length / len(element)
		body := binary.AppendUvarint([]byte{0}, uint64(n+1))
		return request(3, 9, append(append(body, bytes.Repeat(element, n)...), 0, 0, 0, 0))
	}
	for _, c := range []struct {
		budget, length int
		want           bool
	}{{-1, 3 << 20, false}, {512 << 20, 3 << 20, true}, {512 << 20, 5 << 20, false}} {
		p := run(t, "--dev", "--data", t.TempDir(), "--listen", "localhost:0", "--override", "queued.max.request.bytes="+strconv.Itoa(c.budget))
		conn := dialNode(t, p.bootstrap)
		_, err := conn.Write(metadata(c.length))
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, 4))
		}
		if got := err == nil; got != c.want {
			t.Errorf("a request of %d bytes with queued.max.request.bytes=%d: %v", c.length, c.budget, err)
		}
	}
}
