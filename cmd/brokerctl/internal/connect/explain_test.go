package connect

import (
	"net"
	"strings"
	"testing"
)

// A broker that has only just been started resets what comes.
func TestABrokerThatStartsIsNotTakenForAnother(t *testing.T) {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = door.Close() }) // its purpose is fulfilled
	go func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset
			_ = conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", door.Addr().String())
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	reason, cure := new(Client).diagnose(err)
	if reason != "it reset the connection" || !strings.Contains(cure, "starting") {
		t.Errorf("%v is explained as %q, %q", err, reason, cure)
	}
}
