// Package netsim is a deterministic network of hosts.
package netsim
