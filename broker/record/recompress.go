package record

import "encoding/binary"

// Recompress writes b over dst with another codec, for topics whose
// compression.type is not "producer". The records' bytes and every header field
// but codec, length and CRC stay. b must have passed Validate or come from a
// log; level as in Options. The error is that of decompression.
func (s *Scratch) Recompress(dst []byte, b Batch, codec Codec, level int) (Batch, error) {
	plain, err := s.records(b)
	if err != nil {
		return nil, err
	}
	out := append(dst[:0], b[:HeaderBytes]...)
	out = s.packer.append(out, plain, codec, level)
	batch := Batch(out)
	batch.setAttributes(b.Attributes()&^attrCodecMask | Attributes(codec))
	binary.BigEndian.PutUint32(batch[atLength:], uint32(len(batch)-LogOverhead))
	batch.writeCRC()
	return batch, nil
}
