package cli

import "syscall"

// childAttributes let a node end when dev-cluster is killed, and keep a
// terminal's Ctrl-C from reaching it twice.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
