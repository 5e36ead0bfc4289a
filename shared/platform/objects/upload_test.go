package objects_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-dsr/writ/shared/platform/objects"
)

// storage answers the calls of an upload, keeps nothing, and fails the part it
// is told to fail.
type storage struct {
	failPart string // "" for none

	mu      sync.Mutex
	calls   map[string]int
	now     int
	most    int
	heap    uint64 // the largest seen while a part arrived
	arrived int64
}

func (s *storage) count(call string, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call]++
	s.now += by
	s.most = max(s.most, s.now)
}

func (s *storage) times(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

func (s *storage) fails(part string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failPart == part
}

func (s *storage) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failPart = ""
}

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		s.count("create", 0)
		_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodPut && q.Has("partNumber"):
		s.count("part", 1)
		n, _ := io.Copy(io.Discard, r.Body)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.mu.Lock()
		s.arrived += n
		s.heap = max(s.heap, m.HeapInuse)
		s.mu.Unlock()
		s.count("part done", -1)
		if s.fails(q.Get("partNumber")) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code></Error>`)
			return
		}
		w.Header().Set("ETag", `"e`+q.Get("partNumber")+`"`)
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		s.count(fmt.Sprintf("complete %d", strings.Count(string(body), "<Part>")), 0)
		_, _ = io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodDelete:
		s.count("abort", 0)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut:
		s.count("put", 0)
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func serve(t *testing.T, s *storage) *objects.Store {
	t.Helper()
	s.calls = map[string]int{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return objects.New(s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}), "bucket")
}

// upload writes n bytes in pieces of 1 MiB and closes.
func upload(t *testing.T, s *objects.Store, key string, n int) error {
	t.Helper()
	out, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	piece := pattern(1 << 20)
	for written := 0; written < n && err == nil; {
		k := min(len(piece), n-written)
		_, err = out.Write(piece[:k])
		written += k
	}
	if closing := out.Close(); closing != nil {
		return closing
	}
	return err
}

func TestSmallObjectIsOneCall(t *testing.T) {
	s := &storage{}
	if err := upload(t, serve(t, s), "a", objects.PartSize); err != nil {
		t.Fatal(err)
	}
	if len(s.calls) != 1 || s.calls["put"] != 1 {
		t.Errorf("calls are %v, want one put", s.calls)
	}
}

func TestFailedPartDropsTheUpload(t *testing.T) {
	for _, part := range []string{"1", "2", "5"} {
		s := &storage{failPart: part}
		store := serve(t, s)
		err := upload(t, store, "a", 5*objects.PartSize)
		if err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("part %s fails: got %v, want the storage's answer", part, err)
		}
		if aborts, completes := s.times("abort"), s.times("complete 5"); aborts != 1 || completes != 0 {
			t.Errorf("part %s fails: %d aborts and %d completes, want 1 and 0", part, aborts, completes)
		}
		s.heal()
		if err := upload(t, store, "b", 5*objects.PartSize); err != nil {
			t.Errorf("the store is stuck after a failure: %v", err)
		}
	}
}

func TestMemoryStaysFlat(t *testing.T) {
	s := &storage{}
	store := serve(t, s)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	const uploads, size = 4, 12 * objects.PartSize
	var wg sync.WaitGroup
	for i := range uploads {
		wg.Go(func() {
			if err := upload(t, store, fmt.Sprint("o", i), size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.calls["complete 12"] != uploads || s.calls["part"] != 12*uploads {
		t.Errorf("calls are %v", s.calls)
	}
	if s.arrived < uploads*size {
		t.Errorf("%d bytes arrived, want %d", s.arrived, uploads*size)
	}
	if s.most > 3 {
		t.Errorf("%d parts were on their way at once, want at most 3", s.most)
	}
	// Each upload fills one part, three more are on their way; garbage may
	// double that. The objects together have 384 MiB.
	limit := uint64(2 * (uploads + 3 + 1) * objects.PartSize)
	if grown := s.heap - min(s.heap, before.HeapInuse); grown > limit {
		t.Errorf("the heap grew by %d MiB, want at most %d", grown>>20, limit>>20)
	}
}
