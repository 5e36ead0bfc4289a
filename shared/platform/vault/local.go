package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// localKMS is the part of the key service that Vault uses, with keys that come
// from a seed. It refuses what the real one refuses.
type localKMS struct {
	wrap Box
	mac  []byte
}

func newLocalKMS(seed string) *localKMS {
	wrap, err := newBox(digest("local wrapping key", seed))
	if err != nil {
		panic(err) // a digest always has the length of a key
	}
	return &localKMS{wrap: wrap, mac: digest("local MAC key", seed)}
}

// about is the encryption context as associated data.
func about(context map[string]string) string {
	var parts []string
	for name, value := range context {
		parts = append(parts, string(digest(name, value)))
	}
	slices.Sort(parts)
	return string(digest(parts...))
}

// GenerateDataKey implements KMS.
func (l *localKMS) GenerateDataKey(_ context.Context, in *kms.GenerateDataKeyInput, _ ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: it ends the program instead
	return &kms.GenerateDataKeyOutput{KeyId: in.KeyId, Plaintext: key, CiphertextBlob: l.wrap.Seal(key, about(in.EncryptionContext))}, nil
}

// Decrypt implements KMS.
func (l *localKMS) Decrypt(_ context.Context, in *kms.DecryptInput, _ ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	key, err := l.wrap.Open(in.CiphertextBlob, about(in.EncryptionContext))
	if err != nil {
		return nil, &types.InvalidCiphertextException{Message: aws.String("the wrapped key belongs to another key or request")}
	}
	return &kms.DecryptOutput{KeyId: in.KeyId, Plaintext: key}, nil
}

// GenerateMac implements KMS.
func (l *localKMS) GenerateMac(_ context.Context, in *kms.GenerateMacInput, _ ...func(*kms.Options)) (*kms.GenerateMacOutput, error) {
	return &kms.GenerateMacOutput{KeyId: in.KeyId, MacAlgorithm: in.MacAlgorithm, Mac: l.sum(in.Message)}, nil
}

// VerifyMac implements KMS.
func (l *localKMS) VerifyMac(_ context.Context, in *kms.VerifyMacInput, _ ...func(*kms.Options)) (*kms.VerifyMacOutput, error) {
	if !hmac.Equal(in.Mac, l.sum(in.Message)) {
		return nil, &types.KMSInvalidMacException{Message: aws.String("the MAC was not made with this key over this message")}
	}
	return &kms.VerifyMacOutput{KeyId: in.KeyId, MacAlgorithm: in.MacAlgorithm, MacValid: true}, nil
}

func (l *localKMS) sum(message []byte) []byte {
	h := hmac.New(sha256.New, l.mac)
	h.Write(message)
	return h.Sum(nil)
}
