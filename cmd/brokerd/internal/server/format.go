package server

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
)

const propertiesFile = "meta.properties"

// format returns what meta.properties says of a data directory; an empty
// directory is given an identity first. It refuses the directory of another
// node.
func format(dir string, nodeID int32) (log.MetaProperties, error) {
	path := filepath.Join(dir, propertiesFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path, nodeID)
	}
	if err != nil {
		return log.MetaProperties{}, fmt.Errorf("read the data directory's identity: %w", err)
	}
	p, err := log.ParseMetaProperties(data)
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	if p.NodeID != nodeID {
		return p, fmt.Errorf("%s belongs to node %d and node.id is %d: set node.id=%d, or give this node a directory of its own",
			dir, p.NodeID, nodeID, p.NodeID)
	}
	return p, nil
}

func create(path string, nodeID int32) (log.MetaProperties, error) {
	var id [16]byte
	p := log.MetaProperties{NodeID: nodeID}
	for _, b := range [][]byte{id[:], p.DirectoryID[:]} {
		if _, err := rand.Read(b); err != nil {
			return p, fmt.Errorf("draw an id: %w", err)
		}
	}
	p.ClusterID = base64.RawURLEncoding.EncodeToString(id[:])
	if err := os.WriteFile(path, p.Encode(), 0o644); err != nil {
		return p, fmt.Errorf("give the data directory an identity: %w", err)
	}
	return p, nil
}
