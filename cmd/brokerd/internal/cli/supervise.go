package cli

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// quorumlessWait is how long nodes may take to end once so few controllers run
// that none can agree to a controlled shutdown: they would wait for minutes.
const quorumlessWait = 3 * time.Second

// cluster is the running nodes of dev-cluster.
type cluster struct {
	app     *App
	members []*member
	id      string
	restart bool
	ends    chan ended
	up      chan *member
	running int
}

// ended is a node's process that is no more.
type ended struct {
	member *member
	how    string
}

// run starts all nodes and stays until all have ended.
func (c *cluster) run(signals <-chan os.Signal) error {
	// The kernel tells children of the end of the thread that started them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stopping := false
	for _, m := range c.members {
		if err := c.start(m); err != nil {
			c.tell(syscall.SIGKILL)
			return err
		}
	}
	ready := make(map[int]bool)
	announced := false
	var giveUp <-chan time.Time
	for c.running > 0 {
		select {
		case m := <-c.up:
			ready[m.id] = true
			if len(ready) == len(c.members) && !announced {
				announced = true
				c.announce()
			}
		case e := <-c.ends:
			c.running--
			e.member.ended = true
			if stopping {
				giveUp = c.quorumless(giveUp)
				continue
			}
			_, _ = fmt.Fprintf(c.app.Stderr, "%s %s; its log is %s; brokerd --config %s starts it again\n",
				e.member.name(), e.how, filepath.Join(e.member.dir, "log"), e.member.config())
			if !announced && !c.restart {
				stopping = true
				c.tell(syscall.SIGTERM)
				giveUp = c.quorumless(giveUp)
				continue
			}
			if c.restart {
				if err := c.start(e.member); err != nil {
					_, _ = fmt.Fprintln(c.app.Stderr, err)
				}
			}
		case s := <-signals:
			if stopping {
				c.tell(syscall.SIGKILL)
			}
			stopping = true
			c.tell(s.(syscall.Signal))
			giveUp = c.quorumless(giveUp)
		case <-giveUp:
			c.tell(syscall.SIGTERM) // the second one: end at once
		}
	}
	if !announced {
		return fmt.Errorf("the cluster did not come up: see the logs in %s", filepath.Dir(c.members[0].dir))
	}
	return nil
}

// start starts a node's process, which ends with this one.
func (c *cluster) start(m *member) error {
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", m.name(), err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	cmd := exec.Command(c.app.Program, "--config", m.config(), "--cluster-id", c.id)
	cmd.Env, cmd.Stderr = c.app.Environ, log
	cmd.SysProcAttr = childAttributes()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", m.name(), err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.name(), err)
	}
	m.process, m.ended = cmd, false
	c.running++
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "bootstrap.servers=") {
				c.up <- m
			}
		}
		how := "ended"
		if err := cmd.Wait(); err != nil {
			how = "ended: " + err.Error()
		}
		c.ends <- ended{m, how}
	}()
	return nil
}

// quorumless returns the end of quorumlessWait, which begins when the controllers
// that run are no majority.
func (c *cluster) quorumless(giveUp <-chan time.Time) <-chan time.Time {
	voters, alive := 0, 0
	for _, m := range c.members {
		if m.quorum == 0 {
			continue
		}
		voters++
		if !m.ended {
			alive++
		}
	}
	if giveUp == nil && 2*alive <= voters {
		return time.After(quorumlessWait)
	}
	return giveUp
}

func (c *cluster) tell(s syscall.Signal) {
	for _, m := range c.members {
		if m.process != nil && !m.ended {
			_ = m.process.Process.Signal(s) // it may have ended just now
		}
	}
}

// announce prints the nodes, and last the line that other programs wait for.
func (c *cluster) announce() {
	var addresses []string
	for _, m := range c.members {
		_, _ = fmt.Fprintf(c.app.Stdout, "%s  zone %s  %s  pid %d  %s\n", m.name(), m.zone, m.address(), m.process.Process.Pid, m.dir)
		addresses = append(addresses, m.address())
	}
	_, _ = fmt.Fprintf(c.app.Stdout, "bootstrap.servers=%s\n", strings.Join(addresses, ","))
}
