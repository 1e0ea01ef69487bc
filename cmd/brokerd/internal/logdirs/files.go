package logdirs

import (
	"errors"
	"io"
	"os"
)

// temporarySuffix is of files that are not complete.
const temporarySuffix = ".tmp"

// writeFile replaces a file as a whole.
func writeFile(path string, data []byte) error {
	temporary := path + temporarySuffix
	file, err := os.Create(temporary)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// copyFile makes a copy on stable storage.
func copyFile(from, into string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // it was only read
	target, err := os.Create(into)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Sync(), target.Close())
}

// syncDir makes the names in a directory stable.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
