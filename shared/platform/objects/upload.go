package objects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// errClosed says that an upload was used after Close or Abort.
var errClosed = errors.New("the upload has ended")

// Upload is one object on its way into the store. What fits in one part is
// written by one call at Close; more goes in parts as it comes. It is not safe
// for use by several goroutines.
type Upload struct {
	ctx    context.Context // of the parts; ends with the first part that fails
	cancel context.CancelFunc
	caller context.Context
	store  *Store
	key    string
	group  *errgroup.Group
	id     *string // of the multipart upload, nil while there is none
	parts  []*types.CompletedPart
	buf    []byte // the part being filled
	sum    hash.Hash
	size   int64
	ended  bool
}

func newUpload(caller context.Context, s *Store, key string) *Upload {
	ctx, cancel := context.WithCancel(caller)
	group, ctx := errgroup.WithContext(ctx)
	return &Upload{ctx: ctx, cancel: cancel, caller: caller, store: s, key: key, group: group, sum: sha256.New()}
}

// Size is how many bytes were written.
func (u *Upload) Size() int64 { return u.size }

// SHA256 is the digest of what was written, in hexadecimal.
func (u *Upload) SHA256() string { return hex.EncodeToString(u.sum.Sum(nil)) }

// Write takes the next bytes. It waits while too many parts are on their way.
func (u *Upload) Write(p []byte) (n int, err error) {
	if u.ended {
		return 0, u.fail(errClosed)
	}
	for len(p) > 0 {
		if len(u.buf) == PartSize {
			if err := u.send(); err != nil {
				return n, u.fail(err)
			}
		}
		u.grow(len(p))
		k := min(len(p), PartSize-len(u.buf))
		u.buf = append(u.buf, p[:k]...)
		u.sum.Write(p[:k])
		p, n, u.size = p[k:], n+k, u.size+int64(k)
	}
	return n, nil
}

// grow makes room for n more bytes, up to one part: doubling, so that a small
// object stays small, and never beyond the part, as append would.
func (u *Upload) grow(n int) {
	need := min(len(u.buf)+n, PartSize)
	if need <= cap(u.buf) {
		return
	}
	if u.id != nil { // a large object: take a whole part at once
		select {
		case u.buf = <-u.store.spare:
		default:
			u.buf = make([]byte, 0, PartSize)
		}
		return
	}
	grown := make([]byte, len(u.buf), min(max(need, 2*cap(u.buf), 4<<10), PartSize))
	copy(grown, u.buf)
	u.buf = grown
}

// send hands the filled part on and leaves an empty one.
func (u *Upload) send() error {
	if u.id == nil {
		out, err := u.store.client.CreateMultipartUpload(u.ctx, &s3.CreateMultipartUploadInput{
			Bucket: &u.store.bucket, Key: &u.key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			return err
		}
		u.id = out.UploadId
	}
	select {
	case <-u.ctx.Done():
		return u.why()
	case u.store.slots <- struct{}{}:
	}
	number := int32(len(u.parts) + 1)
	part := &types.CompletedPart{PartNumber: &number}
	u.parts = append(u.parts, part)
	body := u.buf
	u.buf = nil
	u.group.Go(func() error {
		defer func() { <-u.store.slots }()
		out, err := u.store.client.UploadPart(u.ctx, &s3.UploadPartInput{
			Bucket: &u.store.bucket, Key: &u.key, UploadId: u.id, PartNumber: &number,
			Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			return err
		}
		part.ETag, part.ChecksumCRC32 = out.ETag, out.ChecksumCRC32
		select {
		case u.store.spare <- body[:0]:
		default:
		}
		return nil
	})
	return nil
}

// Close makes the object visible with all that was written, or drops it and
// says why.
func (u *Upload) Close() error {
	if u.ended {
		return u.fail(errClosed)
	}
	if err := u.finish(); err != nil {
		return errors.Join(u.fail(err), u.Abort())
	}
	u.end()
	return nil
}

func (u *Upload) finish() error {
	if err := u.caller.Err(); err != nil {
		return err
	}
	if u.id == nil {
		_, err := u.store.client.PutObject(u.ctx, &s3.PutObjectInput{
			Bucket: &u.store.bucket, Key: &u.key, Body: bytes.NewReader(u.buf), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		return err
	}
	if err := u.send(); err != nil {
		return err
	}
	if err := u.group.Wait(); err != nil {
		return err
	}
	parts := make([]types.CompletedPart, len(u.parts))
	for i, part := range u.parts {
		parts[i] = *part
	}
	_, err := u.store.client.CompleteMultipartUpload(u.caller, &s3.CompleteMultipartUploadInput{
		Bucket: &u.store.bucket, Key: &u.key, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

// longestAbort bounds the call that drops the parts of a failed upload; it runs
// although the caller's context has ended.
const longestAbort = 10 * time.Second

// Abort drops all that was written. After Close it does nothing.
func (u *Upload) Abort() error {
	if u.ended {
		return nil
	}
	u.end()
	_ = u.group.Wait() // why a part failed was told before
	if u.id == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.caller), longestAbort)
	defer cancel()
	_, err := u.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.store.bucket, Key: &u.key, UploadId: u.id})
	if err != nil {
		return fmt.Errorf("dropping the parts of object %s: %w", u.key, err)
	}
	return nil
}

// end stops what is on its way and lets go of the memory.
func (u *Upload) end() {
	u.ended = true
	u.cancel()
	u.buf = nil
}

// why is the cause of u.ctx's end: the caller's, or the first part's failure.
func (u *Upload) why() error {
	if err := u.caller.Err(); err != nil {
		return err
	}
	return u.group.Wait()
}

func (u *Upload) fail(err error) error { return fmt.Errorf("writing object %s: %w", u.key, err) }
