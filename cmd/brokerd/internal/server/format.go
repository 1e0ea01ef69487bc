package server

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
)

const propertiesFile = "meta.properties"

// NewClusterID draws an id as Kafka's are: 16 random bytes in base64.
func NewClusterID() (string, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("draw an id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(id[:]), nil
}

// identify returns who a data directory belongs to. An empty one is given an
// identity: the cluster's id must be known then, unless the node is alone. The
// directory of another node or cluster is refused.
func identify(dir string, nodeID int32, clusterID string, alone bool) (log.MetaProperties, error) {
	if err := refuseForeign(dir); err != nil {
		return log.MetaProperties{}, err
	}
	path := filepath.Join(dir, propertiesFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(dir, path, nodeID, clusterID, alone)
	}
	if err != nil {
		return log.MetaProperties{}, fmt.Errorf("read the data directory's identity: %w", err)
	}
	p, err := log.ParseMetaProperties(data)
	switch {
	case err != nil:
		return p, fmt.Errorf("%s: %w", path, err)
	case p.NodeID != nodeID:
		return p, fmt.Errorf("%s belongs to node %d and node.id is %d: set node.id=%d, or give this node a directory of its own",
			dir, p.NodeID, nodeID, p.NodeID)
	case clusterID != "" && clusterID != p.ClusterID:
		return p, fmt.Errorf("%s belongs to cluster %s and --cluster-id is %s: leave the flag out, or give this node a directory of its own",
			dir, p.ClusterID, clusterID)
	}
	return p, nil
}

// refuseForeign refuses a directory whose metadata Apache Kafka has written. A
// node that knew none of its topics would take their logs for those of deleted
// ones.
func refuseForeign(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, controller.Dir, "*.log"))
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%s is the data directory of an Apache Kafka: give this node one of its own, and take topics over with brokerd import", dir)
	}
	return err
}

// write makes a file that is there whole or not at all.
func write(path string, data []byte) error {
	temporary := path + ".tmp"
	file, err := os.Create(temporary)
	if err == nil {
		_, err = file.Write(data)
		if err == nil {
			err = file.Sync()
		}
		if err = errors.Join(err, file.Close()); err == nil {
			err = os.Rename(temporary, path)
		}
	}
	if err != nil {
		return fmt.Errorf("give the data directory an identity: %w", err)
	}
	return nil
}

func create(dir, path string, nodeID int32, clusterID string, alone bool) (log.MetaProperties, error) {
	p := log.MetaProperties{NodeID: nodeID, ClusterID: clusterID}
	if clusterID == "" && !alone {
		return p, fmt.Errorf("%s is new, and this node is one of several: draw an id with brokerd cluster-id and give it to each node, with --cluster-id", dir)
	}
	var err error
	if clusterID == "" {
		if p.ClusterID, err = NewClusterID(); err != nil {
			return p, err
		}
	}
	if _, err := rand.Read(p.DirectoryID[:]); err != nil {
		return p, fmt.Errorf("draw an id: %w", err)
	}
	return p, write(path, p.Encode())
}
