package edge

// DiskOpKind says what a disk operation does.
type DiskOpKind uint8

// The disk operations. Paths are relative to the machine's data directory,
// with forward slashes. Which fields are used stands behind each.
const (
	OpNone     DiskOpKind = iota
	OpMkdir               // Path; no error if it exists
	OpList                // Path -> Entries in name order; ErrNotFound if it is no directory
	OpOpen                // File, Path; creates the file if it is missing -> Length (its size)
	OpClose               // File
	OpRead                // File, Offset, Length -> Data, shorter at the end of the file
	OpWrite               // File, Offset, Data; into the page cache; Offset is the current end or inside the file
	OpTruncate            // File, Length: the file's new size, smaller or equal
	OpSync                // File: fdatasync; what was written before is on stable storage when it ends
	OpSyncDir             // Path: fsync of a directory; its entries are on stable storage when it ends
	OpRename              // Path -> NewPath, replacing it atomically
	OpRemove              // Path: a file, or a directory with all that it holds; no error if it is missing
	OpReadFile            // Path -> Data, whole, at most Length bytes; ErrNotFound if missing
	// OpReplaceFile writes Data to Path+".tmp", syncs it, renames it to Path and
	// syncs the directory: how Kafka writes its checkpoints.
	OpReplaceFile
	// OpVolume asks for the room on the volume of the data directory -> Length, the
	// bytes that can still be written, and Total, those that it has. Both are -1
	// where there is no bound.
	OpVolume
	// OpAllocate makes a file Length bytes long where it is shorter, and reserves
	// the room for all of them: what is written below cannot fail for want of it.
	// New bytes are zeros. File, Length; after ErrNoSpace the file is as it was.
	OpAllocate
)

func (k DiskOpKind) String() string {
	names := [...]string{"none", "mkdir", "list", "open", "close", "read", "write", "truncate", "sync", "syncdir",
		"rename", "remove", "readfile", "replacefile", "volume", "allocate"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Token is what a machine wants back with the result of an operation, to find
// the struct that waits for it. Owner is a machine's own table of components.
type Token struct {
	Owner uint8
	Kind  uint8
	A     uint32
	B     uint64
}

// DiskOp is one operation on the machine's disk.
type DiskOp struct {
	Kind    DiskOpKind
	Queue   QueueID
	File    FileID
	Offset  int64
	Length  int64
	Path    string
	NewPath string
	Data    []Slice // OpWrite, OpReplaceFile: retained for the host, which releases them when the operation has ended
	Token   Token
}

// DiskError is what went wrong, as far as a broker can tell.
type DiskError uint8

// The errors.
const (
	DiskOK      DiskError = iota
	ErrIO                 // EIO: the operation failed, what it wrote is undefined
	ErrNoSpace            // ENOSPC: nothing or a prefix was written
	ErrNotFound           // ENOENT
)

func (e DiskError) String() string {
	return [...]string{"ok", "input/output error", "no space left on device", "no such file or directory"}[e]
}

// DirEntry is one entry of a directory.
type DirEntry struct {
	Name string
	Dir  bool
	Size int64
}

// DiskResult is how a disk operation ended.
type DiskResult struct {
	Token   Token
	Op      DiskOpKind
	Err     DiskError
	Data    *Buffer // OpRead, OpReadFile: owned by the machine
	Entries []DirEntry
	Length  int64 // OpOpen: the file's size; OpWrite: bytes written; OpVolume: what is left
	Total   int64 // OpVolume
}
