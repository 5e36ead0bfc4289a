// Package vault keeps what names a person unreadable: it seals values with a
// data key per request, which KMS wraps, and turns values that must be looked
// up into keyed hashes. Whoever holds only the tables can read and guess
// nothing; destroying a wrapped key makes all that it sealed unreadable.
package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/writ-dsr/writ/shared/dsr"
)

// KMS is what Vault needs of the key service; *kms.Client has it.
type KMS interface {
	GenerateDataKey(ctx context.Context, in *kms.GenerateDataKeyInput, opts ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error)
	Decrypt(ctx context.Context, in *kms.DecryptInput, opts ...func(*kms.Options)) (*kms.DecryptOutput, error)
	GenerateMac(ctx context.Context, in *kms.GenerateMacInput, opts ...func(*kms.Options)) (*kms.GenerateMacOutput, error)
	VerifyMac(ctx context.Context, in *kms.VerifyMacInput, opts ...func(*kms.Options)) (*kms.VerifyMacOutput, error)
}

// Errors that callers tell apart.
var (
	// ErrSealed says that a sealed value does not open: another key, another
	// place than it was sealed for, or changed bytes.
	ErrSealed = errors.New("the sealed value does not open here")
	// ErrMAC says that a MAC was not made over this message with our key.
	ErrMAC = errors.New("the MAC does not match")
)

// contextKey is the name in KMS's encryption context that binds a wrapped key
// to its request; CloudTrail shows it, so it holds the request's id and no more.
const contextKey = "writ:request"

// Vault is the way to KMS. It holds no key itself.
type Vault struct {
	kms       KMS
	dataKeyID string
	macKeyID  string
}

// New returns a vault on two keys: a symmetric one that wraps data keys, and an
// HMAC_256 one for hashes and MACs.
func New(kms KMS, dataKeyID, macKeyID string) *Vault {
	return &Vault{kms: kms, dataKeyID: dataKeyID, macKeyID: macKeyID}
}

// Box seals and opens with one data key. About names the place a value is kept
// in and is authenticated with it, so that a ciphertext moved to another place
// does not open. An alias, so that callers may declare the same interface.
type Box = interface {
	Seal(plain []byte, about string) []byte
	Open(sealed []byte, about string) ([]byte, error)
}

// NewBox makes a data key for a request and returns it ready for use and, for
// the ledger, wrapped.
func (v *Vault) NewBox(ctx context.Context, id dsr.RequestID) (b Box, wrapped []byte, err error) {
	out, err := v.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &v.dataKeyID, KeySpec: types.DataKeySpecAes256, EncryptionContext: bind(id),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("making a data key for request %s: %w", id, err)
	}
	b, err = newBox(out.Plaintext)
	if err != nil {
		return nil, nil, fmt.Errorf("making a data key for request %s: %w", id, err)
	}
	return b, out.CiphertextBlob, nil
}

// OpenBox unwraps the data key of a request. A key that was wrapped for another
// request is refused.
func (v *Vault) OpenBox(ctx context.Context, id dsr.RequestID, wrapped []byte) (Box, error) {
	out, err := v.kms.Decrypt(ctx, &kms.DecryptInput{
		KeyId: &v.dataKeyID, CiphertextBlob: wrapped, EncryptionContext: bind(id),
	})
	if err != nil {
		return nil, fmt.Errorf("unwrapping the data key of request %s: %w", id, err)
	}
	b, err := newBox(out.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("unwrapping the data key of request %s: %w", id, err)
	}
	return b, nil
}

func bind(id dsr.RequestID) map[string]string { return map[string]string{contextKey: string(id)} }

// hashVersion precedes every keyed hash, so that a later key or construction
// can live beside this one.
const hashVersion = "h1:"

// Hash returns the keyed hash under which a value is looked up. The same value
// has another hash for each purpose, so that two tables cannot be joined. The
// caller brings the value into its normal form first.
func (v *Vault) Hash(ctx context.Context, purpose, value string) (string, error) {
	sum, err := v.generate(ctx, digest("hash", purpose, value))
	if err != nil {
		return "", fmt.Errorf("hashing a value for %s: %w", purpose, err)
	}
	return hashVersion + sum, nil
}

// macVersion precedes every MAC.
const macVersion = "m1:"

// MAC authenticates a message, such as the head of a closed chain, with a key
// that no reader of the tables has.
func (v *Vault) MAC(ctx context.Context, purpose, message string) (string, error) {
	sum, err := v.generate(ctx, digest("mac", purpose, message))
	if err != nil {
		return "", fmt.Errorf("making a MAC for %s: %w", purpose, err)
	}
	return macVersion + sum, nil
}

// VerifyMAC checks what MAC made; ErrMAC. It needs no right to make a MAC, so
// an auditor can check without being able to forge.
func (v *Vault) VerifyMAC(ctx context.Context, purpose, message, mac string) error {
	sum, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(mac, macVersion))
	if err != nil || len(sum) != sha256.Size || !strings.HasPrefix(mac, macVersion) {
		return fmt.Errorf("checking a MAC for %s: %w", purpose, ErrMAC)
	}
	out, err := v.kms.VerifyMac(ctx, &kms.VerifyMacInput{
		KeyId: &v.macKeyID, MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: digest("mac", purpose, message), Mac: sum,
	})
	var invalid *types.KMSInvalidMacException
	switch {
	case errors.As(err, &invalid), err == nil && !out.MacValid:
		return fmt.Errorf("checking a MAC for %s: %w", purpose, ErrMAC)
	case err != nil:
		return fmt.Errorf("checking a MAC for %s: %w", purpose, err)
	}
	return nil
}

func (v *Vault) generate(ctx context.Context, message []byte) (string, error) {
	out, err := v.kms.GenerateMac(ctx, &kms.GenerateMacInput{
		KeyId: &v.macKeyID, MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Message: message,
	})
	if err != nil {
		return "", err
	}
	if len(out.Mac) != sha256.Size {
		return "", fmt.Errorf("the key service answered %d bytes in place of %d", len(out.Mac), sha256.Size)
	}
	return base64.RawURLEncoding.EncodeToString(out.Mac), nil
}

// digest brings any number of bytes into what KMS takes (4,096 at most), and
// keeps personal values out of its request. Each part is preceded by its
// length: no two lists of parts have one digest.
func digest(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// box is AES-256-GCM with a random nonce before each ciphertext: with one key
// per request, far below the 2³² messages that random nonces allow.
type box struct{ aead cipher.AEAD }

// boxVersion is the first byte of every sealed value.
const boxVersion = 1

func newBox(key []byte) (Box, error) {
	defer clear(key)
	if len(key) != 32 {
		return nil, fmt.Errorf("the key service answered a key of %d bytes in place of 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return box{aead}, nil
}

// Seal encrypts plain for the place that about names.
func (b box) Seal(plain []byte, about string) []byte {
	sealed := make([]byte, 1, 1+len(plain)+b.aead.Overhead())
	sealed[0] = boxVersion
	return b.aead.Seal(sealed, nil, plain, []byte(about))
}

// Open decrypts what Seal sealed for the same place; ErrSealed.
func (b box) Open(sealed []byte, about string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != boxVersion {
		return nil, ErrSealed
	}
	plain, err := b.aead.Open(nil, nil, sealed[1:], []byte(about))
	if err != nil {
		return nil, ErrSealed // the cipher's own error says no more
	}
	return plain, nil
}

var _ KMS = (*kms.Client)(nil)

// NewLocal returns a vault whose key service lives in this process, for tests
// and dry runs: hashes and MACs depend on the seed alone, and boxes open in
// every vault of the same seed.
func NewLocal(seed string) *Vault {
	return New(newLocalKMS(seed), "local-data", "local-mac")
}
