package real

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// A network stands between every two parties: each node is reached through a
// proxy, which learns from the client id of a connection's first request who is
// calling, and holds, delays or resets what passes in either direction. What is
// held arrives when the cut heals, as TCP would retransmit it.
type network struct {
	mu      sync.Mutex
	changed *sync.Cond
	cut     map[direction]int
	// holds counts the faults that hold back a kind of request, heldBack the requests.
	holds    map[held]int
	heldBack map[held]int
	weather  map[direction][]*weather
	random   *rand.Rand
	links    map[*link]bool
	nameless map[string]int // parties whose questions for names get no answer
	proxies  []net.Listener
	life     context.Context // until it is closed
	end      context.CancelFunc
}

// direction is from one party to another, by the names of the scenario.
type direction struct{ from, to string }

// link is one proxied connection.
type link struct {
	caller, node string
	client, back net.Conn
	deaf         bool // nothing passes any more, in either direction
}

const (
	// helloBytesMax bounds the first request, from which only the client id is read.
	helloBytesMax = 64 << 10
	// chunkBytes is how much is passed on at a time, and chunksMax how many chunks
	// are on their way in one direction.
	chunkBytes  = 64 << 10
	chunksMax   = 64
	dialTimeout = 5 * time.Second
)

func newNetwork(seed uint64) *network {
	n := &network{cut: map[direction]int{}, holds: map[held]int{}, heldBack: map[held]int{}, weather: map[direction][]*weather{}, links: map[*link]bool{},
		nameless: map[string]int{}, random: rand.New(rand.NewPCG(seed, 1))}
	n.changed = sync.NewCond(&n.mu)
	n.life, n.end = context.WithCancel(context.Background())
	return n
}

// serve opens a proxy to a node and returns its address.
func (n *network) serve(node, backend string) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("open the proxy of %s: %w", node, err)
	}
	n.mu.Lock()
	n.proxies = append(n.proxies, l)
	n.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.pass(c, node, backend)
		}
	}()
	return l.Addr().String(), nil
}

func (n *network) pass(client net.Conn, node, backend string) {
	defer func() { _ = client.Close() }() // it is being thrown away
	back, err := net.DialTimeout("tcp", backend, dialTimeout)
	if err != nil {
		reset(client) // refused, as by a host whose process is gone
		return
	}
	defer func() { _ = back.Close() }() // likewise
	hello, caller, err := readHello(client)
	if err != nil {
		return
	}
	if !n.lookUp(caller) {
		reset(client)
		return
	}
	k := &link{caller: caller, node: node, client: client, back: back}
	n.mu.Lock()
	n.links[k] = true
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.links, k)
		n.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() {
		n.flow(k, direction{caller, node}, io.MultiReader(strings.NewReader(string(hello)), client), back, &frames{})
	})
	both.Go(func() { n.flow(k, direction{node, caller}, back, client, nil) })
	both.Wait()
}

// readHello reads the first frame of a connection and the client id in it.
func readHello(c net.Conn) (frame []byte, caller string, err error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, "", err
	}
	size := int(binary.BigEndian.Uint32(head))
	if size < 10 || size > helloBytesMax {
		return nil, "", errors.New("no Kafka request")
	}
	frame = append(head, make([]byte, size)...)
	if _, err := io.ReadFull(c, frame[4:]); err != nil {
		return nil, "", err
	}
	// key, version and correlation id come before the client id.
	length := int(int16(binary.BigEndian.Uint16(frame[12:])))
	if length > 0 && 14+length <= len(frame) {
		caller = string(frame[14 : 14+length])
	}
	return frame, caller, nil
}

type chunk struct {
	data []byte
	due  time.Time
}

// flow passes bytes on in one direction until either side ends; requests are nil
// for answers.
func (n *network) flow(k *link, d direction, from io.Reader, to net.Conn, requests *frames) {
	chunks := make(chan chunk, chunksMax)
	var ended error // of the reader, who tells it by closing the channel
	go func() {
		defer close(chunks)
		for {
			b := make([]byte, chunkBytes)
			count, err := from.Read(b)
			if count > 0 {
				chunks <- chunk{b[:count], n.due(d, count)}
			}
			if err != nil {
				ended = err
				return
			}
		}
	}()
	// An end is passed on as it came: in order, or with a reset.
	if n.forward(k, d, chunks, to, requests) && errors.Is(ended, io.EOF) {
		_ = to.Close()
	} else {
		reset(to)
	}
	// The other direction, and a reader that waits for room, end with this one.
	if c, ok := from.(net.Conn); ok {
		_ = c.Close()
	}
	go func() {
		for range chunks { //nolint:revive // what is left goes nowhere
		}
	}()
}

// forward writes chunks when they are due; it is true if it has written all of
// them.
func (n *network) forward(k *link, d direction, chunks <-chan chunk, to net.Conn, requests *frames) bool {
	write := func(data []byte) bool {
		if !n.open(k, d) {
			return false
		}
		_, err := to.Write(data)
		return err == nil
	}
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		if requests == nil {
			if !write(c.data) {
				return false
			}
			continue
		}
		requests.buffer = append(requests.buffer, c.data...)
		for piece, first := requests.next(); piece != nil; piece, first = requests.next() {
			if first && !n.await(d, requests.key) || !write(piece) {
				return false
			}
		}
	}
	return requests == nil || len(requests.buffer) == 0 || write(requests.buffer)
}

// reset ends a connection as one whose peer is gone: an orderly end would be a
// broker that does not want to talk.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is being thrown away
	}
	_ = c.Close()
}

// open waits until the direction is not cut; it is false once everything ends.
func (n *network) open(k *link, d direction) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for (n.cut[d] > 0 || k.deaf) && n.life.Err() == nil {
		n.changed.Wait()
	}
	return n.life.Err() == nil
}

// setCut begins (by 1) or ends (by -1) a cut of every direction.
func (n *network) setCut(directions []direction, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range directions {
		n.cut[d] += by
	}
	n.changed.Broadcast()
}

// reset ends every connection of a party.
func (n *network) reset(party string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.links {
		if k.caller == party || k.node == party {
			reset(k.client)
			reset(k.back)
		}
	}
}

func (n *network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.end()
	n.changed.Broadcast()
	for _, p := range n.proxies {
		_ = p.Close()
	}
	for k := range n.links {
		_ = k.client.Close()
		_ = k.back.Close()
	}
}
